/**
 * Owns the newest commits that this process appended: who follows the log in the process gets their bytes as they are, and not
 * through LMDB again.
 *
 * Always true: what is here is durable and can be read from LMDB too; one commit begins where the one before it ends. Nothing is kept
 * while nobody follows.
 * Bound: what one read may return; the oldest go. Losing: nothing, for whoever wants an older one reads it from LMDB.
 */

import assert from 'node:assert/strict'
import { LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX } from '../../platform/limits.ts'
import type { Batch } from '../entry.ts'
import type { Offset } from '../position.ts'

export class RecentCommits {
  /** Oldest first. */
  readonly #batches: Batch[] = []
  #bytes = 0
  #entries = 0
  #followers = 0

  /** Somebody follows from now on, until `leave`. */
  join(): void {
    this.#followers++
  }

  leave(): void {
    assert(this.#followers > 0, 'nobody leaves who did not join')
    this.#followers--
    if (this.#followers === 0) this.#forget()
  }

  /** A commit is durable; of `entries` a copy is kept. */
  add(firstOffset: number, count: number, entries: Buffer): void {
    if (this.#followers === 0) return
    const last = this.#batches.at(-1)
    assert(
      last === undefined || last.next === firstOffset,
      `a commit at ${firstOffset} follows one that ends elsewhere`,
    )
    const next = (firstOffset + count) as Offset
    this.#batches.push({ firstOffset: firstOffset as Offset, count, bytes: Buffer.from(entries), next, missed: 0 })
    this.#bytes += entries.length
    this.#entries += count
    // A commit that is larger than a read goes at once, and is read in pieces.
    while (this.#bytes > LOG_READ_BYTES_MAX || this.#entries > LOG_READ_ENTRIES_MAX) this.#drop()
  }

  /** All that is here from `offset` on, as one batch; undefined if no commit here begins there. */
  from(offset: number): Batch | undefined {
    const index = this.#batches.findIndex(({ firstOffset }) => firstOffset === offset)
    const { [index]: first } = this.#batches
    const last = this.#batches.at(-1)
    if (first === undefined || last === undefined || first === last) return first
    const bytes = Buffer.concat(this.#batches.slice(index).map((batch) => batch.bytes))
    return { ...first, count: last.next - first.firstOffset, bytes, next: last.next }
  }

  #drop(): void {
    const oldest = this.#batches.shift()
    assert(oldest, 'what is counted is there')
    this.#bytes -= oldest.bytes.length
    this.#entries -= oldest.count
  }

  #forget(): void {
    this.#batches.length = 0
    this.#bytes = 0
    this.#entries = 0
  }
}
