/**
 * Owns when the next commit begins. A commit costs the processor and the disk about the same whatever it holds (300 to 400 us of CPU here,
 * with the kernel's share, for 1 entry or 64), so under load it waits for more.
 *
 * A commit that could begin waits until twice `waitMaxMs` have passed since the one before it began, but at most `waitMaxMs`. So
 * - an entry that comes alone is not delayed;
 * - where a flush takes long, commits lie apart anyway, hold much, and nothing is waited for.
 *
 * Waiting is in vain where all who send wait for their acknowledgement: then entries come at its beginning, and later nobody. So what part of
 * a wait passes after its last entry is kept, as a running mean. While that is most of it, there is no wait, but one now and then, to
 * see whether it is still so.
 */

import assert from 'node:assert/strict'

/** What part of a wait may be without anybody, for the next to be worth it. Entries that come by themselves, at 1 a ms, leave less. */
const QUIET_RATIO_MAX = 0.7
/** How much one wait counts in the mean. */
const QUIET_WEIGHT = 1 / 4
/** Of the commits that would have waited, had it been worth it, one of so many does. */
const COMMITS_PER_TRIAL = 128

export class Pacing {
  readonly #waitMaxMs: number
  #beganAt = Number.NEGATIVE_INFINITY
  #quietRatio = 1
  #untried = 0

  /** Times are of one clock, in milliseconds. */
  constructor(waitMaxMs: number) {
    this.#waitMaxMs = waitMaxMs
  }

  /** How long a commit that could begin now is to wait, in whole milliseconds. */
  wait(now: number): number {
    const untilDue = this.#beganAt + 2 * this.#waitMaxMs - now
    const wait = Math.round(Math.min(untilDue, this.#waitMaxMs))
    if (wait <= 0) return 0
    if (this.#quietRatio > QUIET_RATIO_MAX && ++this.#untried < COMMITS_PER_TRIAL) return 0
    this.#untried = 0
    return wait
  }

  /** A wait is over, which lasted so long, the last part of it without a new entry. */
  waited(ms: number, quietMs: number): void {
    assert(quietMs >= 0 && quietMs <= ms, 'what is quiet is a part of the wait')
    if (ms === 0) return
    this.#quietRatio += QUIET_WEIGHT * (quietMs / ms - this.#quietRatio)
  }

  /** A commit begins. */
  began(now: number): void {
    this.#beganAt = now
  }
}
