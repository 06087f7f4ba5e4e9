/**
 * Owns the disk space ahead of the log: zeros written past the pages in use, so that a commit never asks the disk for
 * room. What LMDB does then is overwrite blocks that are its own.
 *
 * Always true, while this process appends: `LOG_ROOM_BYTES_MIN` are ahead when a commit of entries starts, so that the
 * checkpoint, dead letters and presence find room even when entries are refused. Why not let LMDB find out that the disk
 * is full: lmdb 3.5.6 writes its message about it over the end of a `malloc(100)` (mdb.c, `mdb_page_flush`), and a
 * process that goes on after two or three of them is aborted by the allocator (tried).
 *
 * Bound: `LOG_ROOM_BYTES` ahead. When the disk gives no more, entries are refused until it does, or until retention has
 * made pages free in the file. Costs a byte more for each byte that the file grows; one that stays its size costs nothing.
 */

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../platform/errors.ts'
import { LOG_ROOM_BYTES, LOG_ROOM_BYTES_LAST, LOG_ROOM_BYTES_MIN } from '../../platform/limits.ts'
import { LogError } from '../log.ts'
import { bytesInUse, bytesReached, type Environment } from './environment.ts'

const STEP = Buffer.alloc(1024 * 1024)

export class Room {
  readonly #environment: Environment
  readonly #path: string
  #file: FileHandle | undefined
  #size = 0
  #extending: Promise<void> | undefined
  #refused: Error | undefined

  constructor(environment: Environment, directory: string) {
    this.#environment = environment
    this.#path = join(directory, 'data.mdb')
  }

  async start(): Promise<void> {
    // Appending: whatever LMDB may have written past the end meanwhile, the zeros come after it, never over it.
    this.#file = await open(this.#path, 'a')
    await this.extend()
  }

  async stop(): Promise<void> {
    await this.#extending
    await this.#file?.close()
    this.#file = undefined
  }

  /** Why no entries may be taken; undefined while there is room, or while none was refused yet. */
  full(): LogError | undefined {
    if (this.#refused === undefined) return undefined
    const ahead = this.#ahead()
    if (ahead >= LOG_ROOM_BYTES_MIN) return undefined
    if (ahead >= LOG_ROOM_BYTES_LAST && this.free() >= LOG_ROOM_BYTES) return undefined
    const reason = messageOf(this.#refused)
    return new LogError('log-full', `the disk gives the log no more room (${reason}): make room beside ${this.#path}`)
  }

  /** Whether the disk refused when it was last asked. */
  get isScarce(): boolean {
    return this.#refused !== undefined
  }

  /** Bytes of pages within the file that hold nothing any more. */
  free(): number {
    return bytesReached(this.#environment) - bytesInUse(this.#environment)
  }

  /** To be called after each commit: has more written ahead when it is time to. */
  spent(): void {
    if (this.#extending === undefined && this.#refused === undefined && this.#ahead() < LOG_ROOM_BYTES) {
      void this.extend()
    }
  }

  /** Resolves when a commit may start; rejects with `log-full` if there is no room for it. */
  async ready(): Promise<void> {
    if (this.#refused === undefined && this.#ahead() < LOG_ROOM_BYTES_MIN) await this.extend()
    const full = this.full()
    if (full !== undefined) throw full
  }

  /** Asks the disk for what is missing. Never rejects: what the disk said is in `full`. */
  extend(): Promise<void> {
    this.#extending ??= this.#extend().finally(() => {
      this.#extending = undefined
    })
    return this.#extending
  }

  async #extend(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    try {
      this.#size = (await file.stat()).size
      while (this.#ahead() < LOG_ROOM_BYTES) {
        const { bytesWritten } = await file.write(STEP)
        // A short write is what comes before ENOSPC; the next one says so.
        this.#size += bytesWritten
      }
      this.#refused = undefined
    } catch (error) {
      this.#refused = error instanceof Error ? error : new Error(messageOf(error))
    }
  }

  /** Bytes that the file holds past the last page in use. */
  #ahead(): number {
    return this.#size - bytesReached(this.#environment)
  }
}
