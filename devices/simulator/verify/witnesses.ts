/**
 * Owns who is asked about a reading that is wrong in the store, so that its stage is known: history for it alone, the log by a trace, the app, the
 * books. Always true: those that look alike are asked about `ASKED_MAX` times, and the others are told as most of these. Bound: one question at
 * a time, two a reading.
 */

import type { Reading } from '../../../schemas/reading.ts'
import { rowHash } from '../kept/row-hash.ts'
import type { Shown } from './books.ts'
import type { Findings } from './findings.ts'
import type { GatewayApi } from './gateway-api.ts'
import { askAgain } from './history.ts'
import type { LiveLook } from './live-look.ts'
import type { Sent } from './sent.ts'
import { type Evidence, stageOf } from './stage.ts'
import type { StoreLook } from './store-look.ts'

/** Of those that look alike. */
const ASKED_MAX = 40
/** The clocks of the platform and of the simulator, on one machine or near. */
const RECEIPT_MS = 1_000
/** What was measured so long before or after it was sent. */
const CLOCK_OFF_MS = 60_000
/** A time without a fraction of it means all of it. */
const SECOND_MS = 1_000

export interface WitnessDeps {
  readonly sent: Sent
  readonly gateway: GatewayApi
  readonly findings: Findings
  readonly live: LiveLook | undefined
  /** By the store's own query language. */
  readonly native: StoreLook | undefined
  readonly shown: Shown
  /** Of VictoriaMetrics there is none. */
  readonly hasHistory: boolean
  /** Nobody has sent anything to the platform since the run. */
  readonly isAlone: boolean
}

export interface Place {
  readonly offset: number
  readonly receivedAt: number | undefined
}

interface TracedMessage {
  readonly offset: number
  readonly offMs?: number
  readonly received: {
    readonly at?: number
    readonly topic: string
    readonly readings?: { readonly first: number; readonly last: number }
  }
  readonly outcome: { readonly state: 'stored' | 'superseded' | 'set-aside' | 'pending' }
}

export class Witnesses {
  readonly #deps: WitnessDeps

  constructor(deps: WitnessDeps) {
    this.#deps = deps
  }

  /** Tells readings that are wrong: by messages where these are lost, else each. */
  async tell(what: Evidence['what'], rows: readonly number[]): Promise<void> {
    const { sent } = this.#deps
    const isByMessage = what === 'missing'
    const told = isByMessage ? firstOfEachMessage(rows, sent) : rows
    await this.#tellAlike(
      told,
      (row) => this.#seenOf(what, row),
      (row, evidence) => this.#askedOf(row, evidence),
      (row) => sent.showRow(row),
    )
  }

  /** Messages that were to be set aside, and are no dead letters. */
  async tellUnheld(messages: readonly number[]): Promise<void> {
    const { sent, shown } = this.#deps
    const { accepted, setAside: written } = shown
    // Where messages never came into the log, a trace finds others of the same device and second, and takes one of these for it.
    const isTraced = accepted !== 'fewer'
    await this.#tellAlike(
      messages,
      () => ({ what: 'unheld', accepted, written }),
      async (message, evidence) => (isTraced ? { ...evidence, trace: await this.#traceOfMessage(message) } : evidence),
      (message) => `${sent.showMessage(message)}, to be ${sent.outcome(message)}`,
    )
  }

  async #tellAlike(
    numbers: readonly number[],
    seenOf: (number: number) => Evidence,
    askedOf: (number: number, evidence: Evidence) => Promise<Evidence>,
    show: (number: number) => string,
  ): Promise<void> {
    const kinds = new Map<string, { evidence: Evidence; numbers: number[] }>()
    for (const number of numbers) {
      const evidence = seenOf(number)
      const key = JSON.stringify(evidence)
      const kind = kinds.get(key)
      if (kind === undefined) kinds.set(key, { evidence, numbers: [number] })
      else kind.numbers.push(number)
    }
    for (const kind of kinds.values()) {
      const counts = new Map<ReturnType<typeof stageOf>, number>()
      for (const number of kind.numbers.slice(0, ASKED_MAX)) {
        const told = stageOf(await askedOf(number, kind.evidence))
        counts.set(told, (counts.get(told) ?? 0) + 1)
        this.#deps.findings.add({ ...told, example: show(number) })
      }
      const [most] = [...counts].sort(([, a], [, b]) => b - a)
      const more = kind.numbers.length - ASKED_MAX
      if (most !== undefined && more > 0) this.#deps.findings.add({ ...most[0], count: more })
    }
  }

  /** What is known without asking. */
  #seenOf(what: Evidence['what'], row: number): Evidence {
    const { sent, live, native, shown, hasHistory, isAlone } = this.#deps
    const message = sent.messageOf(row)
    return {
      what,
      live: live?.stateOf(row),
      native: native && (isRightIn(native, row) ? 'right' : 'wrong'),
      accepted: shown.accepted,
      written: shown.written,
      beforeOutage: sent.isAcknowledged(message) && sent.outages.beginsSoonAfter(sent.acknowledgedAt(message)),
      refused: sent.isRefused(message),
      // History says when each reading was received, the store itself does not.
      isOthers: !hasHistory && !isAlone ? true : undefined,
    }
  }

  async #askedOf(row: number, evidence: Evidence): Promise<Evidence> {
    return { ...evidence, again: await this.#againOf(row), trace: await this.#traceOfRow(row) }
  }

  async #againOf(row: number): Promise<Evidence['again']> {
    if (!this.#deps.hasHistory) return undefined
    const readings = await askAgain(this.#deps.gateway, this.#readingOf(row))
    const hash = this.#deps.sent.rowHash(row)
    return readings.filter(({ values }) => rowHash(values) === hash).length === 1 ? 'right' : 'wrong'
  }

  async #traceOfRow(row: number): Promise<Evidence['trace']> {
    const { device, stream, ts } = this.#readingOf(row)
    const message = this.#deps.sent.messageOf(row)
    for (const at of this.#timesOf(message, ts)) {
      const found = (await this.#trace(device, at, stream)).find(
        (each) =>
          (at !== ts || each.offMs === undefined) &&
          each.received.readings !== undefined &&
          each.received.readings.first <= ts &&
          ts <= each.received.readings.last &&
          this.#isReceivedInTime(each, message),
      )
      if (found !== undefined) return stateOf(found)
    }
    return 'unknown'
  }

  /** By which the log is looked through for a reading; of a device whose clock is off by when it was sent, too. */
  #timesOf(message: number, ts: number): number[] {
    const { sent } = this.#deps
    const sentAt = sent.sentAt(message)
    if (Math.abs(ts - sentAt) < CLOCK_OFF_MS) return [ts]
    const times = sent.isAcknowledged(message) ? [sentAt, sent.acknowledgedAt(message)] : [sentAt]
    return [ts, ...new Set(times.map((at) => Math.floor(at / SECOND_MS) * SECOND_MS))]
  }

  async #traceOfMessage(message: number): Promise<Evidence['trace']> {
    const { sent } = this.#deps
    const device = sent.devices.text(sent.device(message))
    // A whole second would be all of it.
    const at = Math.floor(sent.sentAt(message)) + 1.001
    const topic = sent.topics.text(sent.topic(message))
    const [found, ...others] = (await this.#trace(device, at)).filter(
      (each) => topic.startsWith(each.received.topic) && this.#isReceivedInTime(each, message),
    )
    // Of several it is not known which it is.
    return found === undefined || others.length > 0 ? undefined : stateOf(found)
  }

  /** Where the messages stand in the log that it has of a reading, and when each was received. */
  async placesOf(row: number): Promise<readonly Place[]> {
    const { device, stream, ts } = this.#readingOf(row)
    const message = this.#deps.sent.messageOf(row)
    return (await this.#trace(device, ts, stream))
      .filter((each) => each.offMs === undefined && this.#isReceivedInTime(each, message))
      .map(({ offset, received }) => ({ offset, receivedAt: received.at }))
  }

  async #trace(device: string, at: number, stream?: string): Promise<readonly TracedMessage[]> {
    const path = `/v1/devices/${encodeURIComponent(device)}/trace`
    const trace = await this.#deps.gateway.get<{ messages: readonly TracedMessage[] }>(path, {
      at: at.toFixed(3),
      stream,
    })
    return trace?.messages ?? []
  }

  #isReceivedInTime({ received }: TracedMessage, message: number): boolean {
    const { sent } = this.#deps
    if (received.at === undefined) return true
    const last = sent.isAcknowledged(message) ? sent.acknowledgedAt(message) : Number.POSITIVE_INFINITY
    return received.at >= sent.sentAt(message) - RECEIPT_MS && received.at <= last + RECEIPT_MS
  }

  #readingOf(row: number): Pick<Reading, 'device' | 'stream' | 'ts'> {
    const { sent } = this.#deps
    return {
      device: sent.devices.text(sent.rowDevice(row)),
      stream: sent.streams.text(sent.rowStream(row)),
      ts: sent.rowMicros(row) / 1000,
    }
  }
}

const stateOf = ({ outcome: { state } }: TracedMessage): Evidence['trace'] =>
  state === 'superseded' ? 'stored' : state
const isRightIn = (look: StoreLook, row: number): boolean => look.isSeen(row) && !look.isTwice(row)

function firstOfEachMessage(rows: readonly number[], sent: Sent): number[] {
  const seen = new Set<number>()
  return rows.filter((row) => {
    const message = sent.messageOf(row)
    return !seen.has(message) && seen.add(message)
  })
}
