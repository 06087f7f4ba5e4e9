/**
 * Owns `GET /v1/devices/{id}`, `/v1/devices/{id}/why` and `/v1/devices/{id}/trace`: all that is known of one device, why its data is missing,
 * and what became of a message of it.
 *
 * Always true: a token sees the devices that its filters select some telemetry of, and of a filter that names a stream the last
 * readings and the messages of that stream only. Bounds: that of what is kept of a device; one message is looked for at a time,
 * `TRACES_WAITING_MAX` questions wait, one more is refused.
 */

import { isDeviceId, isStreamName } from '../../identity/topics.ts'
import type { JournalEvent } from '../../log/journal.ts'
import { type DeadLettersOfCode, type DeviceLedger, INGEST_READER, type Shards } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import { nearestTo } from '../../platform/names.ts'
import type { Access } from '../access.ts'
import type { Format, Latest } from '../latest.ts'
import { readTime } from '../parameters.ts'
import { badParameter, Refusal } from '../refusal.ts'
import type { Query } from '../request.ts'
import type { Cause } from './causes/cause.ts'
import { CLOCK_OFFSET_MS_MIN } from './causes/timing.ts'
import { placeOf } from './devices.ts'
import { asOf, type Facts, type FactsDependencies, factsOf, type HourOfDevice, withPending } from './facts.ts'
import { type DeviceState, stateOf } from './state.ts'
import { type Trace, type TraceDependencies, traceOf } from './trace.ts'
import { type Why, whyOf } from './why.ts'

/** How a device sends one stream. */
export interface StreamOfDevice {
  readonly stream: string
  /** Its file says that it should send it. */
  readonly expected?: true
  /** When its newest message came, as far as the gateway has seen; milliseconds. */
  readonly heardAt?: number
  readonly intervalMs?: number
  /** In which ways it was sent, the newest last. */
  readonly formats?: readonly Format[]
  /** Its last reading. */
  readonly last?: { readonly ts: number; readonly values: object }
}

/** Times in milliseconds since 1970-01-01T00:00Z. */
export interface DeviceRecord {
  readonly device: string
  readonly state: DeviceState
  readonly cause: Cause
  /** As its file in `config/devices` says; absent where it says nothing. */
  readonly site?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly online: boolean
  readonly since?: number
  /** The address that it connected from last. */
  readonly from?: string
  readonly firstHeardAt?: number
  readonly heardAt?: number
  readonly lastStoredAt?: number
  readonly intervalMs?: number
  readonly clockOffsetMs?: number
  /** The books of it, in messages, and in readings. */
  readonly ledger: Omit<DeviceLedger, 'device'>
  readonly takeovers: number
  readonly refusals: number
  readonly deadLetters: readonly Omit<DeadLettersOfCode, 'framing' | 'mended'>[]
  readonly hours: readonly HourOfDevice[]
  readonly streams: readonly StreamOfDevice[]
  readonly events: readonly JournalEvent[]
  readonly totals: readonly JournalEvent[]
}

/** Questions for a message of a device that wait while one is answered; one more is refused. */
const TRACES_WAITING_MAX = 8

export interface OneDeviceDependencies extends FactsDependencies, TraceDependencies {
  readonly log: Pick<Shards, 'deviceReceipts' | 'deviceLedger'> & TraceDependencies['log']
  readonly latest: Latest
}

export class OneDevice {
  readonly #dependencies: OneDeviceDependencies
  #tracing: Promise<unknown> = Promise.resolve()
  #traces = 0

  constructor(dependencies: OneDeviceDependencies) {
    this.#dependencies = dependencies
  }

  async record(device: string, query: Query, access: Access): Promise<DeviceRecord> {
    query.allow([])
    const facts = await this.#facts(device, access)
    return recordOf(facts, await this.#ledger(device), this.#streams(device, access))
  }

  async why(device: string, query: Query, access: Access): Promise<Why> {
    query.allow(['at'])
    const { clock, journal } = this.#dependencies
    const at = query.one('at')
    const time = at === undefined ? undefined : readTime('at', at, clock.now())
    const facts = await this.#facts(device, access)
    if (time !== undefined && time < facts.now) return whyOf(asOf(facts, time, journal))
    return whyOf(withPending(facts, await this.#ledger(device)))
  }

  async trace(device: string, query: Query, access: Access): Promise<Trace> {
    query.allow(['at', 'stream'])
    const at = query.one('at')
    if (at === undefined) throw badParameter('at', '', 'the time of the message')
    const time = readTime('at', at, this.#dependencies.clock.now())
    const wanted = query.one('stream')
    if (wanted !== undefined && !isStreamName(wanted)) {
      throw badParameter('stream', wanted, "a stream's name: a-z, then up to 63 of a-z 0-9 _")
    }
    const mayRead = streamsOf(device, access)
    if (wanted !== undefined && !mayRead(wanted)) {
      throw new Refusal('forbidden', `the stream ${wanted} of ${device} lies outside the token's filters`)
    }
    const facts = await this.#facts(device, access)
    const maySee = (stream: string) => mayRead(stream) && (wanted === undefined || stream === wanted)
    return this.#inTurn(() => traceOf(facts, { at: time, maySee }, this.#dependencies))
  }

  async #inTurn<T>(trace: () => Promise<T>): Promise<T> {
    if (this.#traces > TRACES_WAITING_MAX) {
      throw new Refusal('too-busy', `${this.#traces} questions for a message wait already: ask again later`)
    }
    this.#traces++
    const answer = this.#tracing.then(trace)
    this.#tracing = answer.catch(() => undefined)
    try {
      return await answer
    } finally {
      this.#traces--
    }
  }

  async #facts(device: string, access: Access): Promise<Facts> {
    if (!isDeviceId(device)) throw badParameter('the device', device, 'a device id: 1 to 64 of A-Z a-z 0-9 . _ : -')
    const selects = (name: string) => access.selections.some((own) => own.device === undefined || own.device === name)
    if (!selects(device)) {
      throw new Refusal('forbidden', `the device ${JSON.stringify(device)} lies outside the token's filters`)
    }
    const facts = await factsOf(device, this.#dependencies)
    if (facts !== undefined) return facts
    const nearest = nearestTo(device, this.#names(selects))
    const hint = nearest.length === 0 ? '' : `; near to it: ${nearest.join(', ')}`
    throw new Refusal('not-found', `no device ${device} has ever connected, sent anything, or been refused here${hint}`)
  }

  *#names(selects: (name: string) => boolean): Iterable<string> {
    const { presence, journal, latest, declared } = this.#dependencies
    for (const { device } of presence.all()) if (selects(device)) yield device
    for (const device of journal.named()) if (selects(device)) yield device
    for (const device of declared.ids) if (selects(device) && presence.get(device) === undefined) yield device
    for (const device of latest.devices()) if (selects(device) && presence.get(device) === undefined) yield device
  }

  async #ledger(device: string): Promise<DeviceLedger> {
    try {
      return await this.#dependencies.log.deviceLedger(INGEST_READER, device)
    } catch (error) {
      if (!(error instanceof LogError) || error.code !== 'log-busy') throw error
      throw new Refusal('too-busy', error.message, { cause: error })
    }
  }

  #streams(device: string, access: Access): StreamOfDevice[] {
    const { latest, declared } = this.#dependencies
    const expected = declared.get(device)?.streams ?? []
    const mayRead = streamsOf(device, access)
    const last = new Map(latest.lastOf(device).map(({ stream, ts, values }) => [stream, { ts, values }]))
    const sent = latest.sentBy(device)
    const names = new Set([...last.keys(), ...sent.keys(), ...expected].filter(mayRead).sort())
    return [...names].map((stream) => {
      const { pace, formats = [] } = sent.get(stream) ?? {}
      const [reading, intervalMs] = [last.get(stream), pace?.intervalMs]
      return {
        stream,
        ...(expected.includes(stream) && { expected: true as const }),
        ...(pace !== undefined && { heardAt: pace.heardAt }),
        ...(intervalMs !== undefined && { intervalMs: Math.round(intervalMs) }),
        ...(formats.length > 0 && { formats }),
        ...(reading && { last: reading }),
      }
    })
  }
}

/** Which streams of the device a token may read. */
function streamsOf(device: string, access: Access): (stream: string) => boolean {
  const own = access.selections.filter((selection) => selection.device === undefined || selection.device === device)
  return (name) => own.some(({ stream }) => stream === undefined || stream === name)
}

function recordOf(facts: Facts, ledger: DeviceLedger, streams: readonly StreamOfDevice[]): DeviceRecord {
  const { device: _, ...books } = ledger
  const { device, online, since, heardAt, intervalMs, clockOffsetMs = 0, receipts, hours, events, totals } = facts
  const { cause } = whyOf(withPending(facts, ledger))
  const connected = totals.find(({ kind }) => kind === 'connected')
  const sum = (is: (event: JournalEvent) => boolean) => totals.filter(is).reduce((all, { count }) => all + count, 0)
  const { firstReceivedAt: firstHeardAt, lastStoredAt } = receipts ?? {}
  return {
    device,
    state: stateOf(cause, online),
    cause,
    ...placeOf(facts.declared),
    online,
    ...(since !== undefined && { since }),
    ...(connected?.from && { from: connected.from }),
    ...(firstHeardAt !== undefined && { firstHeardAt }),
    ...(heardAt !== undefined && { heardAt }),
    ...(lastStoredAt !== undefined && { lastStoredAt }),
    ...(intervalMs !== undefined && { intervalMs: Math.round(intervalMs) }),
    ...(Math.abs(clockOffsetMs) > CLOCK_OFFSET_MS_MIN && { clockOffsetMs }),
    ledger: books,
    takeovers: sum(({ code }) => code === 'taken-over'),
    refusals: sum(({ kind }) => kind === 'refused'),
    deadLetters: receipts?.deadLetters.map(({ framing: _, mended: __, ...each }) => each) ?? [],
    hours,
    streams,
    events,
    totals,
  }
}
