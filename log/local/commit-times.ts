/**
 * Owns when the newest entries of a local log were committed. Only the process that appends knows, and only since it was started: it is
 * not on disk, for it is known when all of the commit is.
 *
 * Bound: `COMMITS_KEPT`; the oldest go. Costs two numbers for each commit, whatever it holds.
 */

import type { EntryTime } from '../log.ts'

/** 128 KiB: half a minute of commits made every 4 ms, hours of a fleet that sends little. */
const COMMITS_KEPT = 8_192

export class CommitTimes {
  /** By number of the commit modulo `COMMITS_KEPT`: where it ends, and when it was durable, milliseconds. */
  readonly #ends = new Float64Array(COMMITS_KEPT)
  readonly #times = new Float64Array(COMMITS_KEPT)
  #count = 0
  /** Where the oldest that is kept begins; undefined where this process does not append. */
  #first: number | undefined

  /** This process appends from now on, and `end` is where it begins. */
  beginAt(end: number): void {
    this.#first = end
  }

  /** A commit that ends there is durable. */
  add(end: number, now: number): void {
    const slot = this.#count % COMMITS_KEPT
    if (this.#count >= COMMITS_KEPT) this.#first = this.#ends[slot]
    this.#ends[slot] = end
    this.#times[slot] = now
    this.#count++
  }

  /** Of an entry that is in the log. */
  of(offset: number): EntryTime {
    if (this.#first === undefined) return { unknown: 'only the broker knows it, which runs in another process' }
    if (offset < this.#first) {
      const isFull = this.#count > COMMITS_KEPT
      return { unknown: `the broker keeps it of the last ${COMMITS_KEPT} commits${isFull ? '' : ' since its start'}` }
    }
    let [from, to] = [Math.max(0, this.#count - COMMITS_KEPT), this.#count]
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      if ((this.#ends[middle % COMMITS_KEPT] ?? 0) > offset) to = middle
      else from = middle + 1
    }
    if (from === this.#count) return { unknown: 'it is being committed' }
    return { at: this.#times[from % COMMITS_KEPT] ?? 0 }
  }
}
