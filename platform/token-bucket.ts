/**
 * Owns "so many a second". A bucket holds `capacity` tokens, is full at first, and fills by `perSecond`. Who may take more
 * than there are goes into debt, which time pays first.
 *
 * Always true: it never holds more than its capacity; a clock that is set back fills nothing. Times are milliseconds, of
 * whatever clock the caller has.
 */

import assert from 'node:assert/strict'

export interface BucketSize {
  readonly capacity: number
  readonly perSecond: number
}

export class TokenBucket {
  readonly #size: BucketSize
  #tokens: number
  #filledAt: number | undefined

  constructor(size: BucketSize) {
    assert(size.capacity > 0 && size.perSecond > 0, 'a bucket holds something, and fills')
    this.#size = size
    this.#tokens = size.capacity
  }

  /** What there is at `now`; below zero what is owed. */
  tokens(now: number): number {
    const { capacity, perSecond } = this.#size
    const seconds = Math.max(0, now - (this.#filledAt ?? now)) / 1_000
    this.#filledAt = now
    this.#tokens = Math.min(capacity, this.#tokens + seconds * perSecond)
    return this.#tokens
  }

  /** How many milliseconds until there is one. */
  waitMs(now: number): number {
    return Math.max(0, Math.ceil(((1 - this.tokens(now)) / this.#size.perSecond) * 1_000))
  }

  /** Takes so many, whether they are there or not. */
  take(now: number, count = 1): void {
    this.#tokens = this.tokens(now) - count
  }

  /** Takes one if there is one. */
  tryTake(now: number): boolean {
    if (this.tokens(now) < 1) return false
    this.take(now)
    return true
  }
}
