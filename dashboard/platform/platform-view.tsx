/** Owns the view of how the platform is: one sentence, the books, what comes, and what it stands on. What the gateway does not say is not drawn. */

import { linkTo } from '../address.ts'
import type { PlatformHealth } from '../answers.ts'
import { duration } from '../duration.ts'
import { trouble } from '../gateway.ts'
import { age, clockTime, dateTime } from '../time.ts'
import { bytes, count } from '../values.ts'
import { Books } from './books.tsx'
import { findingsOf, wellness } from './findings.ts'
import { health, healthError, samples } from './health.ts'
import { Plot, roundMax } from './plot.tsx'
import './platform.css'

export function PlatformView() {
  const known = health.value
  if (known === undefined) return <p class="soft">{healthError.value ?? 'Asking how the platform is'}</p>
  const { ledger, log, disk, store, parts, devices, apps } = known
  return (
    <>
      <h1 class="sr-only">Platform</h1>
      <Verdict health={known} />
      <Books ledger={ledger} />
      <Flow />
      <div class="health">
        {store && <Store store={store} />}
        {(log || disk) && (
          <section class="card">
            <h2>Room</h2>
            {log && (
              <Bar label="Log" used={log.bytes} of={log.bytesMax} isFull={log.full !== undefined}>
                {log.oldestAt !== undefined && `back to ${clockTime(log.oldestAt)}`}
              </Bar>
            )}
            {disk && (
              <Bar label="Disk" used={disk.totalBytes - disk.freeBytes} of={disk.totalBytes}>
                {bytes(disk.freeBytes)} free
              </Bar>
            )}
          </section>
        )}
        {parts && <Parts parts={parts} />}
        {(devices || apps) && (
          <section class="card">
            <h2>Connected</h2>
            <dl class="health-facts">
              {devices && (
                <div>
                  <dt>
                    <a href={linkTo(['devices'])}>Devices</a>
                  </dt>
                  <dd>
                    {count(devices.online)} of {count(devices.known)} online
                  </dd>
                </div>
              )}
              {apps && (
                <>
                  <Fact name="Connections of apps">{count(apps.connections)}</Fact>
                  <Fact name="Subscriptions">{count(apps.subscriptions)}</Fact>
                </>
              )}
            </dl>
          </section>
        )}
      </div>
    </>
  )
}

function Verdict({ health: known }: { readonly health: PlatformHealth }) {
  const { at, version, startedAt } = known
  const away = trouble.value
  const findings = away
    ? [{ tone: 'bad', text: `The gateway does not answer; it was last heard at ${clockTime(at)}.` }]
    : findingsOf(known)
  const said = findings.length > 0 ? findings : [{ tone: 'good', text: wellness(known) }]
  const facts = [
    version && `Telltale ${version}`,
    startedAt !== undefined && `this gateway runs since ${dateTime(startedAt)}`,
    `as of ${clockTime(at)}`,
  ]
  return (
    <section class="verdict" aria-label="How it is">
      <div role="status">
        {said.map(({ tone, text }) => (
          <p key={text} class={tone}>
            <i class="dot" aria-hidden="true" />
            <span>{text}</span>
          </p>
        ))}
      </div>
      <small>{facts.filter(Boolean).join(' · ')}</small>
    </section>
  )
}

function Flow() {
  const all = samples.value
  if (all.length === 0) return null
  const max = roundMax(Math.max(...all.map((each) => Math.max(each.receivedPerSecond, each.storedPerSecond))))
  const aside = roundMax(Math.max(...all.map((each) => each.deadLetteredPerSecond)))
  return (
    <section class="card" aria-labelledby="flow">
      <h2 id="flow">Messages</h2>
      <div class="rates">
        <Plot label="Received" samples={all} of={(each) => each.receivedPerSecond} max={max} />
        <Plot label="Stored" samples={all} of={(each) => each.storedPerSecond} max={max} />
        <Plot label="Dead-lettered" samples={all} of={(each) => each.deadLetteredPerSecond} max={aside} />
      </div>
    </section>
  )
}

const STORES: Readonly<Record<string, string>> = { duckdb: 'DuckDB, embedded', influx: 'InfluxDB' }
const STORE_STATES = {
  ok: { tone: 'good', label: 'Takes writes' },
  away: { tone: 'warn', label: 'Away' },
  unknown: { tone: 'warn', label: 'Not known: no ingest runs' },
} as const

function Store({ store }: { readonly store: NonNullable<PlatformHealth['store']> }) {
  const { tone, label } = STORE_STATES[store.state] ?? { tone: 'warn', label: store.state }
  return (
    <section class="card">
      <h2>Store</h2>
      <dl class="health-facts">
        <Fact name={STORES[store.kind] ?? store.kind}>
          <State tone={tone} label={label} />
        </Fact>
        {store.since !== undefined && <Fact name="Since">{`${clockTime(store.since)}, ${age(store.since)}`}</Fact>}
        <Fact name="Messages that wait">{count(store.lagMessages)}</Fact>
        <Fact name="Behind">{store.lagMs === 0 ? 'not at all' : duration(store.lagMs)}</Fact>
      </dl>
      {store.error && <p class="store-error">{store.error}</p>}
    </section>
  )
}

const PART_STATES = {
  running: { tone: 'good', label: 'Runs' },
  stopped: { tone: 'bad', label: 'Stopped' },
  unknown: { tone: 'idle', label: 'Has not told' },
} as const

/** Of any part, while the gateway does not answer. */
const GONE = { tone: 'idle', label: 'Not known now' }

function Parts({ parts }: { readonly parts: NonNullable<PlatformHealth['parts']> }) {
  return (
    <section class="card">
      <h2>Parts</h2>
      <dl class="health-facts">
        {parts.map(({ role, state, since }) => (
          <Fact key={role} name={role.charAt(0).toUpperCase() + role.slice(1)}>
            <State {...(trouble.value ? GONE : (PART_STATES[state] ?? { tone: 'warn', label: state }))} />
            {since !== undefined && <small> since {clockTime(since)}</small>}
          </Fact>
        ))}
      </dl>
    </section>
  )
}

const State = ({ tone, label }: { readonly tone: string; readonly label: string }) => (
  <span class={`state ${tone}`}>
    <i class="dot" aria-hidden="true" />
    {label}
  </span>
)

const Fact = ({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

interface BarProps {
  readonly label: string
  /** Bytes. */
  readonly used: number
  readonly of: number
  readonly isFull?: boolean
  readonly children?: preact.ComponentChildren
}

const NEARLY_FULL = 0.9

function Bar({ label, used, of, isFull = false, children }: BarProps) {
  const share = Math.min(1, used / of)
  const said = `${bytes(used)} of ${bytes(of)}`
  return (
    <div class="room">
      <p>
        <b>{label}</b> {isFull ? `full: ${said}` : said}
        <small>{children}</small>
      </p>
      <div class={`track ${isFull ? 'bad' : share > NEARLY_FULL ? 'warn' : ''}`} aria-hidden="true">
        <div style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  )
}
