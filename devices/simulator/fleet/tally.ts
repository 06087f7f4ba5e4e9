/**
 * Owns the counts of one process of a run, shared by its devices. Always true: every message counted as sent is afterwards acknowledged, in
 * flight, or (QoS 0) written; a resend counts as `resent`, never again as `sent`. Bounded: error codes, and reasons of lost connections, beyond
 * `SIMULATOR_ERROR_CODES_MAX` are counted as `other`; reasons of packets are a byte, in packets of four kinds.
 */

import { Timing } from './timing.ts'

/** Distinct codes counted from the errors topics; further ones are counted as `other`. */
const SIMULATOR_ERROR_CODES_MAX = 32

/** Why messages were acknowledged and dropped, subscriptions refused, or connections ended, as MQTT 5 says it. */
export interface Reason {
  /** The packet that said it: PUBACK, PUBREC, SUBACK or DISCONNECT. */
  readonly by: string
  readonly code: number
  readonly count: number
  /** The Reason String of the first; empty if it had none. */
  readonly words: string
}

/** What a process tells of itself, once a second: counts since its start, histograms of what came since it told last. */
export interface Share {
  readonly counts: Counts
  readonly errors: Readonly<Record<string, number>>
  readonly reasons: readonly Reason[]
  /** Connections that had stood and ended by themselves, by why. */
  readonly lost: Readonly<Record<string, number>>
  /** Encoded. */
  readonly timings: Readonly<Record<TimingName, string>>
}

export const TIMINGS = ['puback', 'connect', 'slip'] as const
export type TimingName = (typeof TIMINGS)[number]

export const noTimings = (): Share['timings'] => ({
  puback: new Timing().encode(),
  connect: new Timing().encode(),
  slip: new Timing().encode(),
})

export class Counts {
  sent = 0
  readings = 0
  /** Of what was sent, that with QoS 1 or 2. */
  toAcknowledge = 0
  /** PUBACK (QoS 1) or PUBCOMP (QoS 2) has arrived. */
  acknowledged = 0
  /** PUBLISH packets sent again after a reconnect, or twice by a fault. */
  resent = 0
  reconnects = 0
  /** Connects that the broker refused. */
  refusals = 0
  /** Commands that devices got and acknowledged, each as often as it came. */
  commands = 0
  /** Devices connected now. */
  connected = 0
  /** Devices whose connection is to be away now, by a fault. */
  away = 0
  /** Devices that a fault has silenced now, and that are not away. */
  muted = 0
}

export class Tally {
  readonly counts = new Counts()
  readonly timings: Readonly<Record<TimingName, Timing>> = {
    puback: new Timing(),
    connect: new Timing(),
    slip: new Timing(),
  }
  readonly #errors = new Map<string, number>()
  readonly #lost = new Map<string, number>()
  readonly #reasons = new Map<string, Reason>()

  /** A message on a device's errors topic. */
  error(code: string): void {
    increment(this.#errors, code)
  }

  /** A connection ended by itself. */
  lost(why: string): void {
    increment(this.#lost, why)
  }

  /** A reason code of MQTT 5, and its words. */
  reason(by: string, code: number, words: string): void {
    const key = `${by} ${code}`
    const { count, words: first } = this.#reasons.get(key) ?? { count: 0, words }
    this.#reasons.set(key, { by, code, count: count + 1, words: first })
  }

  /** Begins the histograms anew. */
  share(): Share {
    const { puback, connect, slip } = this.timings
    return {
      counts: { ...this.counts },
      errors: Object.fromEntries(this.#errors),
      reasons: [...this.#reasons.values()],
      lost: Object.fromEntries(this.#lost),
      timings: { puback: puback.take().encode(), connect: connect.take().encode(), slip: slip.take().encode() },
    }
  }
}

function increment(counts: Map<string, number>, name: string): void {
  const known = counts.has(name) || counts.size < SIMULATOR_ERROR_CODES_MAX ? name : 'other'
  counts.set(known, (counts.get(known) ?? 0) + 1)
}
