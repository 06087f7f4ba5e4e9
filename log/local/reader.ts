/**
 * Owns reading a local log: finds the commit that holds an offset, copies whole entries out of the memory map.
 *
 * Bound: one read copies at most the bytes and entries asked for, but at least one entry; twice that is kept for the next. No
 * read transaction outlives a call, so a reader never keeps old pages from being used again.
 */

import { countEntries, entryEnd, skipEntries } from '../entry.ts'
import { LogError } from '../log-error.ts'
import { type Environment, newestCommit } from '../tables/environment.ts'
import type { Commit } from './commit.ts'
import { commitAt } from './commits.ts'

const GATHERED_BYTES = 64 * 1024

export interface Read {
  readonly firstOffset: number
  readonly count: number
  readonly bytes: Buffer
  /** Entries that retention removed between the offset asked for and the first returned. */
  readonly missed: number
  /** The commit is damaged at this offset; the newest one, if there are several. */
  readonly damagedAt: number | undefined
}

export class Reader {
  readonly #environment: Environment
  /** What a read has found so far; its memory is used again by the next. */
  #gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES)

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** Throws `log-corrupt` if the oldest or the newest commit stands where it cannot have been written. */
  check(): void {
    const newest = newestCommit(this.#environment)
    if (newest === undefined) return
    this.#requireOwnPlace(this.first())
    this.#requireOwnPlace(newest)
  }

  /** Offset of the oldest retained entry. */
  first(): number {
    for (const offset of this.#environment.commits.getKeys({ limit: 1 })) return offset
    return 0
  }

  /** Offset that the next entry will get. */
  end(): number {
    const newest = newestCommit(this.#environment)
    return newest === undefined ? 0 : newest + this.#commit(newest).count
  }

  /** The entries from `offset` on; undefined when there are none yet. Throws `bad-position` past the end. */
  read(offset: number, bytesMax: number, entriesMax: number): Read | undefined {
    let firstOffset = offset
    let count = 0
    let length = 0
    let damagedAt: number | undefined
    // Offsets are dense: the next commit is under the offset at which this one ends, which is found without a search.
    let commitOffset = offset
    let commit = commitAt(this.#environment, offset)
    if (commit === undefined) {
      const start = this.#search(offset)
      if (start === undefined) return undefined
      commitOffset = start
      commit = this.#commit(start)
      firstOffset = Math.max(offset, start)
    }
    while (commit !== undefined) {
      if (commit.isDamaged) damagedAt = commitOffset
      const skip = firstOffset + count - commitOffset
      const slice = take(commit, skip, bytesMax - length, entriesMax - count, count === 0)
      const taken = slice.length === commit.entries.length ? commit.count : countEntries(slice)
      // The slice is a view of the memory map, good only until the next read: copied at once.
      this.#gather(slice, length)
      length += slice.length
      count += taken
      if (skip + taken < commit.count || length >= bytesMax || count >= entriesMax) break
      commitOffset += commit.count
      commit = commitAt(this.#environment, commitOffset)
    }
    const bytes = Buffer.allocUnsafeSlow(length)
    this.#gathered.copy(bytes, 0, 0, length)
    return { firstOffset, count, bytes, missed: firstOffset - offset, damagedAt }
  }

  #gather(slice: Buffer, at: number): void {
    if (at + slice.length > this.#gathered.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (at + slice.length))
      this.#gathered.copy(larger, 0, 0, at)
      this.#gathered = larger
    }
    slice.copy(this.#gathered, at)
  }

  /** The commit that holds `offset`, where none begins; the oldest if retention has removed it; undefined at the end. */
  #search(offset: number): number | undefined {
    const before = this.commitOf(offset)
    const end = before === offset ? 0 : before + this.#commit(before).count
    if (end > offset) {
      this.#requireOwnPlace(before)
      return before
    }
    for (const after of this.#environment.commits.getKeys({ start: offset, limit: 1 })) {
      // A hole is where retention has removed what was, or it is damage.
      if (after === this.first()) return after
      throw new LogError('log-corrupt', `a commit at offset ${end} of the log is due, and there is one at ${after}`)
    }
    if (offset > end) throw new LogError('bad-position', `offset ${offset} lies past the end of the log, ${end}`)
    return undefined
  }

  /** About when the entry at `offset` was received, milliseconds: when the newest of its commit was, or was replayed. */
  committedAt(offset: number): number | undefined {
    const { newestAt, isDamaged } = this.#commit(this.commitOf(offset))
    return isDamaged ? undefined : newestAt
  }

  /** The offset of the first commit whose newest entry was received at `time` or later; the end if there is none. */
  at(time: number): number {
    let [from, to] = [this.first(), this.end()]
    while (from < to) {
      const commit = this.commitOf(Math.floor((from + to) / 2))
      // One that is damaged does not say when: it is taken for a late one, and so are those after it.
      if ((this.committedAt(commit) ?? Number.POSITIVE_INFINITY) >= time) to = commit
      else from = commit + this.#commit(commit).count
    }
    return from
  }

  /** The key at which reading from `offset` starts: the last commit that starts at or before it. */
  commitOf(offset: number): number {
    for (const commitOffset of this.#environment.commits.getKeys({ start: offset, reverse: true, limit: 1 }))
      return commitOffset
    return offset
  }

  /**
   * A key is in no checksum. Offsets are dense, so no commit begins before the one before it ends. (A hole is told by whoever reads up
   * to it.)
   */
  #requireOwnPlace(offset: number): void {
    const [before] = this.#environment.commits.getKeys({ start: offset, reverse: true, limit: 1, offset: 1 })
    const [next] = this.#environment.commits.getKeys({ start: offset, limit: 1, offset: 1 })
    const begin = before === undefined ? 0 : before + this.#commit(before).count
    const end = offset + this.#commit(offset).count
    if (Number.isSafeInteger(offset) && offset >= begin && (next ?? end) >= end) return
    throw new LogError('log-corrupt', `a commit of the log stands at offset ${offset}, and was written elsewhere`)
  }

  #commit(offset: number): Commit {
    const commit = commitAt(this.#environment, offset)
    if (commit === undefined) throw new LogError('log-corrupt', `the commit at offset ${offset} is gone`)
    return commit
  }
}

/** As many whole entries of `commit` after the first `skip` as fit; at least one if `atLeastOne`. */
function take(commit: Commit, skip: number, bytesMax: number, entriesMax: number, atLeastOne: boolean): Buffer {
  const start = skipEntries(commit.entries, skip)
  if (commit.entries.length - start <= bytesMax && commit.count - skip <= entriesMax)
    return commit.entries.subarray(start)
  let end = start
  for (let taken = 0; taken < entriesMax; taken++) {
    const next = entryEnd(commit.entries, end)
    if (next - start > bytesMax && !(atLeastOne && taken === 0)) break
    end = next
  }
  return commit.entries.subarray(start, end)
}
