/**
 * Owns what a local log keeps: runs go when they are older than the retention, when the log nears its size, or when the
 * disk has no more room for it.
 *
 * Always true: nothing at or past the ingest checkpoint goes, and the newest run stays (it says where the log ends).
 * Bound: one pass removes at most `RETENTION_RUNS_MAX` runs, so that it never holds the writer for long.
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_LOW_WATER_RATIO, LOG_RESUME_RATIO, LOG_ROOM_BYTES, RETENTION_RUNS_MAX } from '../../platform/limits.ts'
import { LogError } from '../log.ts'
import type { Books } from './books.ts'
import { bytesOfRuns, type Environment, newestRun } from './environment.ts'
import type { Room } from './room.ts'
import { RUN_HEADER_BYTES } from './run.ts'
import { runAt } from './runs.ts'

export interface RetentionOptions {
  readonly maxBytes: number
  readonly retentionMs: number
  /** The reader that must have read an entry before it may go. */
  readonly reader: string
}

export class Retention {
  readonly #environment: Environment
  readonly #books: Books
  readonly #options: RetentionOptions
  readonly #room: Room
  readonly #clock: Clock
  #bytes = 0
  /** Once the size was reached, nothing is taken until the log is a good deal below it, or it would flutter. */
  #isOverSize = false

  constructor(environment: Environment, books: Books, room: Room, options: RetentionOptions, clock: Clock) {
    this.#environment = environment
    this.#books = books
    this.#room = room
    this.#options = options
    this.#clock = clock
    this.#measure()
  }

  /** Bytes the runs take on disk: exact after each pass, added up in between. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a pass should not wait for its time, so that stored runs go before the log is full. */
  get isDue(): boolean {
    return this.#bytes > this.#options.maxBytes * LOG_RESUME_RATIO
  }

  added(bytes: number): void {
    this.#resize(this.#bytes + bytes)
  }

  /** Why nothing more may be appended; undefined while there is room. */
  full(): LogError | undefined {
    if (!this.#isOverSize) return this.#room.full()
    return new LogError(
      'log-full',
      `the log holds ${this.#bytes} of ${this.#options.maxBytes} bytes that are not stored yet: ` +
        'see why the store does not take them, or raise TELLTALE_LOG_MAX_BYTES',
    )
  }

  /** Removes what may go; resolves with the number of runs removed. Call again while it is `RETENTION_RUNS_MAX`. */
  async pass(): Promise<number> {
    const removable = this.#removable()
    if (removable.length > 0) {
      const { runs, commit } = this.#environment
      await commit(
        runs.batch(() => {
          for (const offset of removable) runs.remove(offset)
        }),
      )
    }
    this.#measure()
    return removable.length
  }

  #removable(): number[] {
    const { runs } = this.#environment
    const checkpoint = this.#books.checkpoint(this.#options.reader) ?? 0
    const oldest = this.#clock.now() - this.#options.retentionMs
    let excess = this.#excess()
    const newest = newestRun(this.#environment)
    const removable: number[] = []
    for (const offset of runs.getKeys({ limit: RETENTION_RUNS_MAX })) {
      const run = offset === newest ? undefined : runAt(this.#environment, offset)
      if (run === undefined) break
      if (offset + run.count > checkpoint || (run.newestAt >= oldest && excess <= 0)) break
      removable.push(offset)
      excess -= RUN_HEADER_BYTES + run.entries.length
    }
    return removable
  }

  /** Bytes of stored runs that should go whatever their age. */
  #excess(): number {
    const bySize = this.#bytes - this.#options.maxBytes * LOG_LOW_WATER_RATIO
    if (!this.#room.isScarce) return bySize
    return Math.max(bySize, 2 * LOG_ROOM_BYTES - this.#room.free())
  }

  #measure(): void {
    this.#resize(bytesOfRuns(this.#environment))
  }

  #resize(bytes: number): void {
    this.#bytes = bytes
    const { maxBytes } = this.#options
    this.#isOverSize = bytes >= maxBytes * (this.#isOverSize ? LOG_RESUME_RATIO : 1)
  }
}
