/**
 * Owns what a local log keeps: runs go when they are older than the retention, or when the log nears its size.
 *
 * Always true: nothing at or past the ingest checkpoint goes, and the newest run stays (it says where the log ends).
 * Bound: one pass removes at most `RETENTION_RUNS_MAX` runs, so that it never holds the writer for long.
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_LOW_WATER_RATIO, RETENTION_RUNS_MAX } from '../../platform/limits.ts'
import { LogError } from '../log.ts'
import type { Books } from './books.ts'
import { type Environment, newestRun } from './environment.ts'
import { openRun } from './run.ts'

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
  readonly #clock: Clock
  #bytes = 0

  constructor(environment: Environment, books: Books, options: RetentionOptions, clock: Clock) {
    this.#environment = environment
    this.#books = books
    this.#options = options
    this.#clock = clock
    this.#measure()
  }

  /** Bytes the runs take on disk: exact after each pass, added up in between. */
  get bytes(): number {
    return this.#bytes
  }

  added(bytes: number): void {
    this.#bytes += bytes
  }

  /** Why nothing more may be appended; undefined while there is room. */
  full(): LogError | undefined {
    if (this.#bytes < this.#options.maxBytes) return undefined
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
      await this.#environment.runs.batch(() => {
        for (const offset of removable) this.#environment.runs.remove(offset)
      })
    }
    this.#measure()
    return removable.length
  }

  #removable(): number[] {
    const { runs } = this.#environment
    const checkpoint = this.#books.checkpoint(this.#options.reader) ?? 0
    const oldest = this.#clock.now() - this.#options.retentionMs
    let excess = this.#bytes - this.#options.maxBytes * LOG_LOW_WATER_RATIO
    const newest = newestRun(this.#environment)
    const removable: number[] = []
    for (const offset of runs.getKeys({ limit: RETENTION_RUNS_MAX })) {
      const value = runs.getBinaryFast(offset)
      if (value === undefined || offset === newest) break
      const run = openRun(value, offset)
      if (offset + run.count > checkpoint || (run.newestAt >= oldest && excess <= 0)) break
      removable.push(offset)
      excess -= value.length
    }
    return removable
  }

  #measure(): void {
    const stats = this.#environment.runs.getStats() as {
      pageSize: number
      treeBranchPageCount: number
      treeLeafPageCount: number
      overflowPages: number
    }
    this.#bytes = stats.pageSize * (stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages)
  }
}
