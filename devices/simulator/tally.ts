/**
 * Owns the counts of one run, shared by its devices. Always true: every message counted as sent is afterwards
 * acknowledged, in flight, or (QoS 0) written; a resend counts as `resent`, never again as `sent`. Bounded: error codes
 * beyond `SIMULATOR_ERROR_CODES_MAX` are counted as `other`; reasons are a byte, in packets of three kinds.
 */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

/** Distinct codes counted from the errors topics; further ones are counted as `other`. */
const SIMULATOR_ERROR_CODES_MAX = 32

const MICROSECONDS_PER_MS = 1000

/** Why messages were acknowledged and dropped, or connections ended, as MQTT 5 says it. */
export interface Reason {
  /** The packet that said it: PUBACK, PUBREC or DISCONNECT. */
  readonly by: string
  readonly code: number
  readonly count: number
  /** The Reason String of the first; empty if it had none. */
  readonly words: string
}

export class Tally {
  sent = 0
  readings = 0
  /** PUBACK (QoS 1) or PUBCOMP (QoS 2) has arrived. */
  acknowledged = 0
  /** PUBLISH packets sent again after a reconnect. */
  resent = 0
  reconnects = 0
  /** Commands that devices got, each as often as it came. */
  commands = 0
  /** Devices connected now. */
  connected = 0
  /** From the first PUBLISH of a message to its acknowledgement, microseconds. */
  readonly #latency: RecordableHistogram = createHistogram()
  readonly #errors = new Map<string, number>()
  readonly #reasons = new Map<string, Reason>()

  /** A message's acknowledgement, `ms` after it was sent first. */
  acknowledge(ms: number): void {
    this.acknowledged++
    this.#latency.record(Math.max(1, Math.round(ms * MICROSECONDS_PER_MS)))
  }

  /** A message on a device's errors topic. */
  error(code: string): void {
    const known = this.#errors.has(code) || this.#errors.size < SIMULATOR_ERROR_CODES_MAX ? code : 'other'
    this.#errors.set(known, (this.#errors.get(known) ?? 0) + 1)
  }

  /** A reason code of MQTT 5, and its words. */
  reason(by: string, code: number, words: string): void {
    const key = `${by} ${code}`
    const { count, words: first } = this.#reasons.get(key) ?? { count: 0, words }
    this.#reasons.set(key, { by, code, count: count + 1, words: first })
  }

  reasons(): Reason[] {
    return [...this.#reasons.values()].sort((a, b) => a.by.localeCompare(b.by) || a.code - b.code)
  }

  errors(): Record<string, number> {
    return Object.fromEntries([...this.#errors].sort(([a], [b]) => a.localeCompare(b)))
  }

  errorCount(): number {
    let count = 0
    for (const each of this.#errors.values()) count += each
    return count
  }

  /** Milliseconds; undefined before the first acknowledgement. */
  latency(): { p50: number; p99: number; max: number } | undefined {
    if (this.#latency.count === 0) return undefined
    return {
      p50: this.#latency.percentile(50) / MICROSECONDS_PER_MS,
      p99: this.#latency.percentile(99) / MICROSECONDS_PER_MS,
      max: this.#latency.max / MICROSECONDS_PER_MS,
    }
  }
}
