/**
 * Owns how many messages and bytes a second one device may publish. Its buckets hold one second's worth; a message passes while there is anything in both buckets, so one larger than a second's bytes passes too, and
 * is paid for afterwards. A device that connects again goes on with the bucket it left.
 *
 * Losing: nothing; what does not pass waits in `HeldBack`. Bound: `RATES_MAX` devices have a bucket; for one more
 * that of the device that connected longest ago is forgotten.
 */

import { RATES_MAX } from '../../platform/limits.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'

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
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined

  constructor({ messagesPerSecond, bytesPerSecond }: RateLimits) {
    const bucketOf = (perSecond: number | undefined) =>
      perSecond === undefined ? undefined : new TokenBucket({ capacity: perSecond, perSecond })
    this.#messages = bucketOf(messagesPerSecond)
    this.#bytes = bucketOf(bytesPerSecond)
    this.description = [
      messagesPerSecond && `${messagesPerSecond} messages (TELLTALE_DEVICE_MESSAGES_PER_SECOND)`,
      bytesPerSecond && `${bytesPerSecond} bytes (TELLTALE_DEVICE_BYTES_PER_SECOND)`,
    ]
      .filter((part) => part !== undefined)
      .join(' and ')
      .concat(' a second')
  }

  /** In how many milliseconds a message may pass. */
  waitMs(now: number): number {
    return Math.max(1, this.#messages?.waitMs(now) ?? 0, this.#bytes?.waitMs(now) ?? 0)
  }

  /** Counts a message that passes whatever the rate. */
  charge(now: number, bytes: number): void {
    this.#messages?.take(now)
    this.#bytes?.take(now, bytes)
  }

  /** Whether a message of so many bytes may pass at `now` (milliseconds); if so, it has been counted. */
  passes(now: number, bytes: number): boolean {
    if ((this.#messages?.tokens(now) ?? 1) < 1 || (this.#bytes?.tokens(now) ?? 1) <= 0) return false
    this.charge(now, bytes)
    return true
  }
}
