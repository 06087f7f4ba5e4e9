/**
 * Owns the bytes of one group commit, the value under one key of the log (`FORMAT.md`): a header, then entries.
 *
 *   u32 CRC-32 of all that follows · u32 number of entries · f64 newest receive time (ms) · entries   (little-endian)
 *
 * Always true: a commit whose checksum does not hold is not opened. `commits.ts` says what is made of it.
 */

import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { LOG_COMMIT_BYTES_MAX } from '../../platform/limits.ts'
import {
  type Entry,
  entryBytes,
  flagSetAside,
  type NewEntry,
  type NewRun,
  readEntry,
  runBytes,
  runCount,
  writeEntry,
  writeRun,
} from '../entry.ts'
import type { Offset } from '../position.ts'

export const COMMIT_HEADER_BYTES = 16
const INITIAL_BYTES = 64 * 1024

export interface Commit {
  readonly count: number
  /** The newest receive time among its entries, milliseconds. */
  readonly newestAt: number
  /** The entries' bytes, back to back. */
  readonly entries: Buffer
  /** Each entry is flagged `DAMAGED`. */
  readonly isDamaged: boolean
}

/** Checks a value and opens it: a view. Undefined if its checksum does not hold. */
export function openCommit(value: Buffer): Commit | undefined {
  if (value.length < COMMIT_HEADER_BYTES || value.readUInt32LE(0) !== crc32(value.subarray(4))) return undefined
  const newestAt = value.readDoubleLE(8)
  return { count: countIn(value), newestAt, entries: value.subarray(COMMIT_HEADER_BYTES), isDamaged: false }
}

/** How many entries a value has, as its header says. */
export function countIn(value: Buffer): number {
  return value.readUInt32LE(4)
}

/** Gathers entries until they are committed; its memory is used again for the next commit. */
export class CommitBuilder {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #length = COMMIT_HEADER_BYTES
  #count = 0
  #newestAt = 0

  get count(): number {
    return this.#count
  }

  get length(): number {
    return this.#length
  }

  /** Whether entries of so many bytes fit in this commit. */
  hasRoomFor(bytes: number): boolean {
    return this.#length + bytes <= LOG_COMMIT_BYTES_MAX + COMMIT_HEADER_BYTES
  }

  /** False if the entry does not fit in this commit any more. Retention counts from `keptFrom`, milliseconds. */
  add(entry: NewEntry, keptFrom = entry.receivedAt): boolean {
    if (!this.#reserve(entryBytes(entry), 1, keptFrom)) return false
    this.#length = writeEntry(this.#bytes, this.#length, entry)
    return true
  }

  /** Likewise, of all entries of the run. */
  addRun(run: NewRun): boolean {
    if (!this.#reserve(runBytes(run), runCount(run), run.receivedAt)) return false
    this.#length = writeRun(this.#bytes, this.#length, run)
    return true
  }

  /** The entry that was written when `length` was `at`: a view, likewise. */
  entryAt(at: number, offset: Offset): Entry {
    return readEntry(this.#bytes.subarray(0, this.#length), at, offset)
  }

  /** Flags that entry as set aside. */
  setAside(at: number): void {
    flagSetAside(this.#bytes, at)
  }

  /** The finished value: a view, valid until `reset`. */
  finish(): Buffer {
    assert(this.#count > 0, 'an empty commit is never written')
    const value = this.#bytes.subarray(0, this.#length)
    value.writeUInt32LE(this.#count, 4)
    value.writeDoubleLE(this.#newestAt, 8)
    value.writeUInt32LE(crc32(value.subarray(4)), 0)
    return value
  }

  reset(): void {
    this.#length = COMMIT_HEADER_BYTES
    this.#count = 0
    this.#newestAt = 0
  }

  #reserve(bytes: number, count: number, keptFrom: number): boolean {
    if (!this.hasRoomFor(bytes)) return false
    const needed = this.#length + bytes
    if (needed > this.#bytes.length) this.#grow(needed)
    this.#count += count
    if (keptFrom > this.#newestAt) this.#newestAt = keptFrom
    return true
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
