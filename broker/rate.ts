/**
 * Owns how many messages and bytes a second one connection may publish. A bucket holds one second's worth and fills
 * steadily; a message passes while there is anything in both buckets, so one larger than a second's bytes passes too, and
 * is paid for afterwards.
 *
 * Losing: what does not pass is for the caller to drop and to tell.
 */

export interface RateLimits {
  /** Undefined: not limited. */
  readonly messagesPerSecond?: number | undefined
  readonly bytesPerSecond?: number | undefined
}

/** A rate for one more connection; undefined if nothing is limited. */
export function rateOf(limits: RateLimits): Rate | undefined {
  return limits.messagesPerSecond === undefined && limits.bytesPerSecond === undefined ? undefined : new Rate(limits)
}

export class Rate {
  readonly #messagesPerSecond: number
  readonly #bytesPerSecond: number
  #messages: number
  #bytes: number
  #filledAt: number | undefined

  constructor(limits: RateLimits) {
    this.#messagesPerSecond = limits.messagesPerSecond ?? Number.POSITIVE_INFINITY
    this.#bytesPerSecond = limits.bytesPerSecond ?? Number.POSITIVE_INFINITY
    this.#messages = this.#messagesPerSecond
    this.#bytes = this.#bytesPerSecond
  }

  /** Whether a message of so many bytes may pass at `now` (milliseconds); if so, it has been counted. */
  passes(now: number, bytes: number): boolean {
    // A clock that is set back fills nothing.
    const seconds = Math.max(0, now - (this.#filledAt ?? now)) / 1000
    this.#filledAt = now
    this.#messages = Math.min(this.#messagesPerSecond, this.#messages + seconds * this.#messagesPerSecond)
    this.#bytes = Math.min(this.#bytesPerSecond, this.#bytes + seconds * this.#bytesPerSecond)
    if (this.#messages < 1 || this.#bytes <= 0) return false
    this.#messages--
    this.#bytes -= bytes
    return true
  }
}
