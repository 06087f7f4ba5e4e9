/**
 * Owns how often something may begin, by name: so many at once, as a fleet that comes back does, and the next at a steady pace.
 *
 * Bounds: `waitingMax` wait for their time; one more is refused. A name is remembered until it may begin a burst again.
 */

import { TokenBucket } from './token-bucket.ts'

export interface ThrottleOptions {
  readonly burst: number
  readonly perSecond: number
  readonly waitingMax: number
}

interface Known {
  readonly bucket: TokenBucket
  /** When it was last used, milliseconds. */
  at: number
}

export class Throttle {
  readonly #options: ThrottleOptions
  /** That which was used longest ago comes first. */
  readonly #byName = new Map<string, Known>()

  constructor(options: ThrottleOptions) {
    this.#options = options
  }

  /** In how many milliseconds what came at `now` may begin; it has been counted. Undefined if it may not. */
  wait(now: number, name: string): number | undefined {
    const { perSecond, waitingMax } = this.#options
    this.#forget(now)
    const bucket = this.#bucketOf(name, now)
    const missing = 1 - bucket.tokens(now)
    if (missing > waitingMax) return undefined
    bucket.take(now)
    return (Math.max(0, missing) / perSecond) * 1_000
  }

  /** Counts more for what has begun; whoever comes next waits no longer for it than others do. */
  charge(now: number, name: string, more: number): void {
    const bucket = this.#bucketOf(name, now)
    bucket.take(now, Math.min(more, bucket.tokens(now) + this.#options.waitingMax))
  }

  #bucketOf(name: string, now: number): TokenBucket {
    const { burst: capacity, perSecond } = this.#options
    const known = this.#byName.get(name) ?? { bucket: new TokenBucket({ capacity, perSecond }), at: now }
    known.at = now
    this.#byName.delete(name)
    this.#byName.set(name, known)
    return known.bucket
  }

  #forget(now: number): void {
    for (const [name, { bucket, at }] of this.#byName) {
      // One of a later time is of a clock that was set back since.
      if (at <= now && bucket.tokens(now) < this.#options.burst) return
      this.#byName.delete(name)
    }
  }
}
