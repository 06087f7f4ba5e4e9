/** Owns a platform that does everything right, and devices whose links break: what a run has sent, what then is in the store and came live. */

import fc from 'fast-check'
import { rowHash, seriesHash } from '../../../../devices/simulator/kept/row-hash.ts'
import { type LiveLine, LiveLook } from '../../../../devices/simulator/verify/live-look.ts'
import { Places } from '../../../../devices/simulator/verify/places.ts'
import { Sent } from '../../../../devices/simulator/verify/sent.ts'
import { StoreLook } from '../../../../devices/simulator/verify/store-look.ts'

export const BEGAN_AT = 1_763_864_000_000
const STREAMS = ['environment', 'vibration'] as const
/** `vibration` has series. */
export const TAGS = new Map<string, readonly string[]>([['vibration', ['axis']]])
const LATE_MS = 5_000

export interface ModelRow {
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly values: { readonly value: number; readonly axis?: string }
}

interface Message {
  readonly number: number
  readonly qos: number
  readonly rows: readonly ModelRow[]
  isAppended: boolean
  isAcknowledged: boolean
}

/** `send`: of so many readings; `process`: the broker takes the next that came; `lose`: the link breaks, and what is not acknowledged is sent again. */
export type Step =
  | {
      readonly do: 'send'
      readonly device: number
      readonly qos: number
      readonly stream: number
      readonly readings: readonly { readonly time: number; readonly value: number; readonly axis: number }[]
    }
  | { readonly do: 'process' | 'acknowledge' | 'lose'; readonly device: number }

const device = fc.nat(2)
const reading = fc.record({ time: fc.nat(8), value: fc.nat(3), axis: fc.nat(1) })
export const STEPS: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('send' as const),
        device,
        qos: fc.constantFrom(1, 1, 1, 0, 2),
        stream: fc.nat(1),
        readings: fc.array(reading, { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('process' as const), device }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), device }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), device }) },
  ),
  { minLength: 20, maxLength: 120 },
)

/** A device, and what is under way between it and the broker. */
class Link {
  coming: Message[] = []
  taken: Message[] = []
  kept: Message[] = []
}

export class Model {
  readonly sent = new Sent()
  /** By device, stream, time and series. */
  readonly store = new Map<string, ModelRow>()
  readonly live: LiveLine[] = []
  /** Keys of which at least one reading was promised. */
  readonly promised = new Set<string>()
  readonly sentRows: ModelRow[] = []
  #now = BEGAN_AT

  constructor(steps: readonly Step[]) {
    const links = [new Link(), new Link(), new Link()]
    for (const step of steps) {
      const link = links[step.device] as Link
      this.#now++
      if (step.do === 'send') this.#send(step, link)
      else if (step.do === 'process') this.#process(link)
      else if (step.do === 'acknowledge') this.#acknowledge(link)
      else this.#lose(link)
    }
  }

  #send({ device, qos, stream, readings }: Extract<Step, { do: 'send' }>, link: Link): void {
    const name = `sim-${device + 1}`
    const streamName = STREAMS[stream] as string
    const rows = readings.map(
      ({ time, value, axis }): ModelRow => ({
        device: name,
        stream: streamName,
        ts: BEGAN_AT + time * 1_000,
        values: stream === 0 ? { value } : { value, axis: axis === 0 ? 'x' : 'y' },
      }),
    )
    const number = this.sent.messages
    this.sent.add({
      number,
      at: this.#now,
      dueAt: this.#now,
      device: name,
      topic: `devices/${name}/telemetry/${streamName}`,
      qos,
      payloadHash: number.toString(16).padStart(16, '0'),
      fault: undefined,
      outcome: 'stored',
      rows: rows.map(({ stream: of, ts, values }) => {
        const series = seriesHash(values, TAGS.get(of) ?? [])
        return { stream: of, ts, hash: rowHash(values), ...(series !== undefined && { series }) }
      }),
    })
    this.sentRows.push(...rows)
    const message = { number, qos, rows, isAppended: false, isAcknowledged: false }
    link.coming.push(message)
    if (qos > 0) link.kept.push(message)
  }

  #process(link: Link): void {
    const message = link.coming.shift()
    if (message === undefined) return
    link.taken.push(message)
    if (message.qos === 2 && message.isAppended) return
    message.isAppended = true
    for (const row of message.rows) {
      this.store.set(keyOf(row), row)
      this.live.push({
        at: this.#now,
        device: row.device,
        stream: row.stream,
        ts: row.ts,
        hash: rowHash(row.values),
        received: this.#now,
      })
    }
  }

  #acknowledge(link: Link): void {
    const message = link.taken.shift()
    if (message === undefined || message.qos === 0) return
    message.isAcknowledged = true
    link.kept = link.kept.filter((kept) => kept !== message)
    this.sent.acknowledge({ number: message.number, at: this.#now, code: 0 })
    for (const row of message.rows) this.promised.add(keyOf(row))
  }

  #lose(link: Link): void {
    link.taken = []
    link.coming = [...link.kept]
    for (const { number } of link.kept) this.sent.resend(number)
  }

  /** What history shows, and what an app got, unless told otherwise. */
  looks({
    store = [...this.store.values()],
    live = this.live,
  }: {
    store?: readonly ModelRow[]
    live?: readonly LiveLine[]
  } = {}) {
    const { sent } = this
    const places = new Places(sent)
    const look = new StoreLook({ beganAt: BEGAN_AT, until: Number.POSITIVE_INFINITY, tags: TAGS }, { sent, places })
    for (const row of store) look.take(row)
    const liveLook = new LiveLook({ sent, places, lateMs: LATE_MS })
    for (const line of live) liveLook.take(line)
    return { sent, places, look, live: liveLook }
  }
}

export const keyOf = ({ device: name, stream, ts, values: { axis = '' } }: ModelRow): string =>
  `${name} ${stream} ${ts} ${axis}`
