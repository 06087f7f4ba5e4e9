/** Owns what is known of a device besides: how often it sends and in what, where it comes from, and what became of its messages. */

import { linkTo } from '../address.ts'
import type { DeadLettersOfCode, DeviceRecord, StreamOfDevice } from '../answers.ts'
import { duration } from '../duration.ts'
import { age, clockTime } from '../time.ts'
import { count, counted, rate } from '../values.ts'
import { Hours } from './hours.tsx'
import { amountOf, newestOf } from './story.ts'

export function Facts({ record, isPast }: { readonly record: DeviceRecord; readonly isPast: boolean }) {
  const { device, ledger, streams, deadLetters, hours } = record
  const { accepted, stored, deadLettered, pending, superseded, readings } = ledger
  return (
    <section class="card device-facts" id="facts" aria-label="Facts">
      <h2>Facts{isPast && ', as they are now'}</h2>
      <dl>
        <Fact name={record.online ? 'Connected' : 'Not connected'}>{connection(record)}</Fact>
        <Fact name="Sends">{pace(record)}</Fact>
        <Fact name="Clock">{clockOf(record)}</Fact>
        <Fact name="First message">{moment(record.firstHeardAt)}</Fact>
        <Fact name="Last message">{moment(record.heardAt)}</Fact>
        <Fact name="Last stored">{moment(record.lastStoredAt)}</Fact>
        <Fact name="Taken over">{record.takeovers > 0 && counted(record.takeovers, 'time')}</Fact>
        <Fact name="Refused">{record.refusals > 0 && counted(record.refusals, 'time')}</Fact>
      </dl>
      <h3>
        Messages <small>{ledger.balanced ? 'the books balance' : 'the books do not balance'}</small>
      </h3>
      <dl>
        <Fact name="Accepted">{count(accepted)}</Fact>
        <Fact name="Stored">
          {stored === readings ? count(stored) : `${count(stored)}, of ${counted(readings, 'reading')}`}
        </Fact>
        <Fact name="Dead-lettered">{count(deadLettered)}</Fact>
        <Fact name="Pending">{count(pending)}</Fact>
        <Fact name="Superseded">{superseded > 0 && `${counted(superseded, 'reading')}, of the same time`}</Fact>
      </dl>
      {deadLetters.length > 0 && <DeadLetters device={device} deadLetters={deadLetters} />}
      <Hours hours={hours} />
      {streams.length > 0 && <Streams streams={streams} />}
    </section>
  )
}

interface FactProps {
  readonly name: string
  readonly children: preact.ComponentChildren
}

/** Left out where there is nothing to say. */
function Fact({ name, children }: FactProps) {
  if (children === undefined || children === false) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function connection({ since, from, online }: DeviceRecord): string | undefined {
  if (since === undefined) return 'never seen to connect'
  return `since ${clockTime(since)}${from ? `, ${online ? '' : 'was '}from ${from}` : ''}`
}

function pace({ intervalMs }: DeviceRecord): string | undefined {
  if (intervalMs === undefined || intervalMs === 0) return undefined
  const often = intervalMs < 1_000 ? `, ${rate(1_000 / intervalMs)} a second` : ''
  return `one every ${duration(intervalMs)}${often}`
}

/** Receipt less reading time: negative of a clock that is ahead. */
function clockOf({ clockOffsetMs, heardAt }: DeviceRecord) {
  if (clockOffsetMs === undefined) return heardAt === undefined ? undefined : 'right, to a minute'
  return <b class="warn">{`${duration(Math.abs(clockOffsetMs))} ${clockOffsetMs < 0 ? 'ahead' : 'behind'}`}</b>
}

const moment = (at: number | undefined) => (at === undefined ? undefined : `${clockTime(at)}, ${age(at)}`)

interface DeadLettersProps {
  readonly device: string
  readonly deadLetters: readonly DeadLettersOfCode[]
}

function DeadLetters({ device, deadLetters }: DeadLettersProps) {
  return (
    <>
      <h3>Dead letters</h3>
      <ul>
        {deadLetters.map((each) => (
          <li key={each.code}>
            <a href={linkTo(['deadletters'], { device, code: each.code })}>{each.code}</a>
            <small>
              {amountOf(each)}, {newestOf(each)} {age(each.lastAt)}
            </small>
            <span>{each.reason}</span>
          </li>
        ))}
      </ul>
    </>
  )
}

function Streams({ streams }: { readonly streams: readonly StreamOfDevice[] }) {
  return (
    <>
      <h3>Streams</h3>
      <ul>
        {streams.map(({ stream, intervalMs, formats = [], heardAt, expected }) => (
          <li key={stream}>
            <b>{stream}</b>
            <small>
              {intervalMs !== undefined && `one every ${duration(intervalMs)}, `}
              {heardAt === undefined ? 'not heard since the gateway began' : `the last ${age(heardAt)}`}
              {expected && ', expected by its file'}
            </small>
            {formats.map(({ framing, schema, lastAt }) => (
              <span key={`${framing} ${schema}`}>
                {framing}
                {schema && `, ${schema}`} <small>{age(lastAt)}</small>
              </span>
            ))}
          </li>
        ))}
      </ul>
    </>
  )
}
