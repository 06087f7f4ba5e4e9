/**
 * Owns the disk space ahead of the log: zeros written past the pages in use, so that a commit never asks the disk for
 * room. What LMDB does then is overwrite blocks that are its own.
 *
 * Always true, while this process appends: a commit of entries starts only with `LOG_ROOM_BYTES_MIN` ahead or free in the
 * file, so that the checkpoint, dead letters and presence have room even when entries are refused (or within `SEEN_MS` after one that
 * left room for another, of which only another process can have taken). A commit of dead letters
 * leaves `LOG_ROOM_BYTES_LAST`. LMDB must not find out by itself that the disk is full: lmdb 3.5.6 writes its message about it
 * over the end of a `malloc(100)` (mdb.c, `mdb_page_flush`), and the allocator aborts the process at the second or third
 * (tried).
 *
 * Bound: `LOG_ROOM_BYTES` ahead. When the disk gives no more, or has only its reserve left, entries are refused until it
 * does, or until retention has made pages free in the file. Costs a byte more for each byte that the file grows; one that
 * stays its size costs nothing.
 */

import { type FileHandle, open, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import {
  DISK_RESERVE_BYTES,
  DISK_RESERVE_RATIO,
  LOG_COMMIT_BYTES_MAX,
  LOG_ROOM_BYTES,
  LOG_ROOM_BYTES_MIN,
} from '../../platform/limits.ts'
import { LogError } from '../log-error.ts'
import { bytesInUse, bytesReached, type Environment } from '../tables/environment.ts'

/** Down to this, dead letters are written on a full disk; further only if pages are free within the file. */
const LOG_ROOM_BYTES_LETTERS = 3 * 1024 * 1024
/** What neither entries nor dead letters use up: for the checkpoint, presence, and for removing what may go. */
const LOG_ROOM_BYTES_LAST = 1 * 1024 * 1024

/** How long what was seen of the room holds for the next commit: another process takes of it, too. */
const SEEN_MS = 100

const STEP = Buffer.alloc(1024 * 1024)

export class Preallocation {
  readonly #environment: Environment
  readonly #path: string
  readonly #diskReserveBytes: number | undefined
  #file: FileHandle | undefined
  #size = 0
  #extending: Promise<void> | undefined
  #refused: Error | undefined
  /** Once refused, entries are taken again with more room than they were refused at, or it would flutter. */
  #isFull = false
  #stopped = false
  /** Until then, by `performance.now()`, a commit of entries needs not ask: after the last one there was room enough. */
  readyUntil = 0
  /** Called when `full` may be another than before, but for what a commit of entries does to it. */
  onChange: () => void = () => undefined

  constructor(environment: Environment, directory: string, diskReserveBytes?: number) {
    this.#environment = environment
    this.#diskReserveBytes = diskReserveBytes
    this.#path = join(directory, 'data.mdb')
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#extending
    await this.#file?.close()
  }

  /** Why no entries may be taken; undefined while there is room, or while none was refused yet. */
  full(): LogError | undefined {
    if (this.#refused === undefined) return undefined
    const ahead = this.#ahead()
    const holdsCommit = ahead >= LOG_ROOM_BYTES_LAST + LOG_COMMIT_BYTES_MAX
    this.#isFull = !holdsCommit || ahead + this.free() < (this.#isFull ? LOG_ROOM_BYTES : LOG_ROOM_BYTES_MIN)
    return this.#isFull ? this.#error(this.#refused) : undefined
  }

  /** Whether the disk refused when it was last asked. */
  get isScarce(): boolean {
    return this.#refused !== undefined
  }

  /** Bytes of pages within the file that hold nothing any more. */
  free(): number {
    return bytesReached(this.#environment) - bytesInUse(this.#environment)
  }

  /** To be called after each commit: sees how much room is left, and has more written ahead when it is time to. */
  spent(): void {
    this.readyUntil = 0
    if (this.#refused !== undefined) return
    const ahead = this.#ahead()
    if (ahead >= LOG_ROOM_BYTES_MIN + LOG_COMMIT_BYTES_MAX) this.readyUntil = performance.now() + SEEN_MS
    if (this.#extending === undefined && ahead < LOG_ROOM_BYTES) void this.extend()
  }

  /** Resolves when a commit of entries may start; rejects with `log-full` if there is no room for it. */
  async ready(): Promise<void> {
    if (this.#refused === undefined && this.#ahead() < LOG_ROOM_BYTES_MIN) await this.extend()
    const full = this.full()
    if (full === undefined) return
    this.onChange()
    throw full
  }

  /** Resolves when a commit of dead letters that take `bytes` may start; rejects with `log-full` likewise. */
  async readyFor(bytes: number): Promise<void> {
    const needed = LOG_ROOM_BYTES_LETTERS + bytes
    this.readyUntil = 0
    // What is being written ahead already may be less than this needs.
    await this.#extending
    if (this.#ahead() < needed) await this.extend(needed)
    const ahead = this.#ahead()
    if (this.#refused === undefined || ahead >= needed) return
    // Pages that are free may lie apart, or be kept by a reader: then LMDB goes on at the end all the same.
    const holdsThem = ahead >= LOG_ROOM_BYTES_LAST + bytes
    if (!holdsThem || this.free() < 2 * bytes + LOG_ROOM_BYTES_LETTERS) throw this.#error(this.#refused)
  }

  /** Asks the disk for what is missing. Never rejects: what the disk said is in `full`. */
  extend(ahead = LOG_ROOM_BYTES): Promise<void> {
    this.#extending ??= this.#extend(Math.max(ahead, LOG_ROOM_BYTES)).finally(() => {
      this.#extending = undefined
    })
    return this.#extending
  }

  async #extend(ahead: number): Promise<void> {
    if (this.#stopped) return
    try {
      // Appending: whatever LMDB may have written past the end meanwhile, the zeros come after it, never over it.
      this.#file ??= await open(this.#path, 'a')
      const { size, nlink } = await this.#file.stat()
      if (nlink === 0)
        this.#environment.fail(new LogError('log-failed', `${this.#path} was deleted while it was in use`))
      this.#size = size
      while (this.#ahead() < ahead) {
        await this.#checkReserve()
        const { bytesWritten } = await this.#file.write(STEP)
        // A short write is what comes before ENOSPC; the next one says so.
        this.#size += bytesWritten
      }
      this.#refused = undefined
    } catch (error) {
      this.readyUntil = 0
      this.#refused = error instanceof Error ? error : new Error(messageOf(error))
    }
    this.onChange()
  }

  /** The file never shrinks: what it took, the embedded store and all others on this disk would never have again. */
  async #checkReserve(): Promise<void> {
    const { bavail, bsize, blocks } = await statfs(dirname(this.#path))
    const reserve = this.#diskReserveBytes ?? Math.min(DISK_RESERVE_BYTES, blocks * bsize * DISK_RESERVE_RATIO)
    const available = bavail * bsize
    if (available - STEP.length < reserve) {
      const of = `${Math.floor(available / 2 ** 20)} MiB left, and ${Math.ceil(reserve / 2 ** 20)} MiB are`
      throw new Error(`the disk has ${of} kept for the store and for others`)
    }
  }

  /** Bytes that the file holds past the last page in use. */
  #ahead(): number {
    return this.#size - bytesReached(this.#environment)
  }

  #error(refused: Error): LogError {
    return new LogError('log-full', `the log has no more room (${refused.message}): make room beside ${this.#path}`)
  }
}
