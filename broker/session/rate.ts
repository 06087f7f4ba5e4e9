/**
 * Owns how many messages and bytes a second one device may publish. A bucket holds one second's worth and fills
 * steadily; a message passes while there is anything in both buckets, so one larger than a second's bytes passes too, and
 * is paid for afterwards. A device that connects again goes on with the bucket it left.
 *
 * Losing: what does not pass is for the caller to drop and to tell. Bound: `RATES_MAX` devices have a bucket; for one more
 * that of the device that connected longest ago is forgotten.
 */

import { RATES_MAX } from '../../platform/limits.ts'

export interface RateLimits {
  /** Undefined: not limited. */
  readonly messagesPerSecond?: number | undefined
  readonly bytesPerSecond?: number | undefined
}

export class Rates {
  readonly #limits: RateLimits
  /** That of the device that connected longest ago first. */
  readonly #byName = new Map<string, Rate>()

  constructor(limits: RateLimits) {
    this.#limits = limits
  }

  /** The rate of a device, or client, of this name; undefined if nothing is limited. */
  of(name: string): Rate | undefined {
    const { messagesPerSecond, bytesPerSecond } = this.#limits
    if (messagesPerSecond === undefined && bytesPerSecond === undefined) return undefined
    const rate = this.#byName.get(name) ?? new Rate(this.#limits)
    this.#byName.delete(name)
    this.#byName.set(name, rate)
    const [oldest] = this.#byName.keys()
    if (this.#byName.size > RATES_MAX && oldest !== undefined) this.#byName.delete(oldest)
    return rate
  }
}

export class Rate {
  /** What it may do, and by which setting. */
  readonly description: string
  readonly #messagesPerSecond: number
  readonly #bytesPerSecond: number
  #messages: number
  #bytes: number
  #filledAt: number | undefined

  constructor(limits: RateLimits) {
    this.#messagesPerSecond = limits.messagesPerSecond ?? Number.POSITIVE_INFINITY
    this.#bytesPerSecond = limits.bytesPerSecond ?? Number.POSITIVE_INFINITY
    this.description = [
      limits.messagesPerSecond && `${limits.messagesPerSecond} messages (TELLTALE_DEVICE_MESSAGES_PER_SECOND)`,
      limits.bytesPerSecond && `${limits.bytesPerSecond} bytes (TELLTALE_DEVICE_BYTES_PER_SECOND)`,
    ]
      .filter((part) => part !== undefined)
      .join(' and ')
      .concat(' a second')
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
