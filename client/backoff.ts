/**
 * Owns how long to wait before something is tried again: full jitter, a random time up to a bound that doubles with every
 * failure, so that a thousand apps do not come back at once. Bound: `BACKOFF_MS_MAX`, so that nobody looks long at a gateway that is
 * back.
 */

const BACKOFF_MS_MIN = 500
const BACKOFF_MS_MAX = 5_000

export class Backoff {
  readonly #random: () => number
  #boundMs = BACKOFF_MS_MIN

  constructor(random: () => number) {
    this.#random = random
  }

  /** Milliseconds to wait now; the next wait may be twice as long. */
  next(): number {
    const bound = this.#boundMs
    this.#boundMs = Math.min(BACKOFF_MS_MAX, bound * 2)
    return this.#random() * bound
  }

  reset(): void {
    this.#boundMs = BACKOFF_MS_MIN
  }
}
