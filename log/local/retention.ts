/**
 * Owns what a local log keeps: commits go when they are older than the retention, when the log nears its size, or when the
 * disk has no more room for it.
 *
 * Always true: nothing at or past the ingest checkpoint goes, and the newest commit stays (it says where the log ends).
 * Bounds: one pass removes at most `RETENTION_COMMITS_MAX` commits, and about `RETENTION_BYTES_MAX` of them, each of which it reads: so
 * it never holds the process up for long: 1.2 GB that had expired while nobody ran it took 0.4 s at once, now 0.04 s at a time.
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_LOW_WATER_RATIO, LOG_RESUME_RATIO, LOG_ROOM_BYTES } from '../../platform/limits.ts'
import { LogError } from '../log-error.ts'
import { bytesOfCommits, type Environment, newestCommit } from '../tables/environment.ts'
import type { Ledgers } from '../tables/ledgers.ts'
import { COMMIT_HEADER_BYTES } from './commit.ts'
import { commitAt } from './commits.ts'
import type { Preallocation } from './preallocation.ts'

/** One retention pass removes at most so many commits, and about so many bytes of them; the next pass goes on. */
const RETENTION_COMMITS_MAX = 10_000
export const RETENTION_BYTES_MAX = 64 * 1024 * 1024

export interface RetentionOptions {
  readonly maxBytes: number
  readonly retentionMs: number
  /** The reader that must have read an entry before it may go. */
  readonly reader: string
}

export class Retention {
  readonly #environment: Environment
  readonly #ledgers: Ledgers
  readonly #options: RetentionOptions
  readonly #preallocation: Preallocation
  readonly #clock: Clock
  /** What the commits take on disk: exact after each pass, added up in between. */
  #bytes = 0
  /** Once the size was reached, nothing is taken until the log is a good deal below it, or it would flutter. */
  #isOverSize = false

  constructor(
    environment: Environment,
    ledgers: Ledgers,
    preallocation: Preallocation,
    options: RetentionOptions,
    clock: Clock,
  ) {
    this.#environment = environment
    this.#ledgers = ledgers
    this.#preallocation = preallocation
    this.#options = options
    this.#clock = clock
    this.#measure()
  }

  /** Whether a pass should not wait for its time, so that stored commits go before the log is full. */
  get isDue(): boolean {
    return this.#bytes > this.#options.maxBytes * LOG_RESUME_RATIO
  }

  added(bytes: number): void {
    this.#resize(this.#bytes + bytes)
  }

  /** Why nothing more may be appended; undefined while there is room. */
  full(): LogError | undefined {
    if (!this.#isOverSize) return this.#preallocation.full()
    return new LogError(
      'log-full',
      `the log holds ${this.#bytes} of ${this.#options.maxBytes} bytes that are not stored yet: ` +
        'see why the store does not take them, or raise TELLTALE_LOG_MAX_BYTES',
    )
  }

  /** Removes what may go; resolves with the number of commits removed, and whether its bounds ended it: then call again. */
  async pass(): Promise<{ readonly removed: number; readonly isBounded: boolean }> {
    const { offsets, bytes, end } = this.#removable()
    const removed = offsets.length
    if (removed > 0) {
      const { commits, durable } = this.#environment
      await durable(
        commits.batch(() => {
          for (const offset of offsets) commits.remove(offset)
          this.#ledgers.undecoded.removeBefore(end)
        }),
      )
    }
    this.#measure()
    return { removed, isBounded: removed === RETENTION_COMMITS_MAX || bytes >= RETENTION_BYTES_MAX }
  }

  /** Commits, how many bytes they are, and where they end. */
  #removable(): { readonly offsets: readonly number[]; readonly bytes: number; readonly end: number } {
    const { commits } = this.#environment
    const checkpoint = this.#ledgers.checkpoint(this.#options.reader) ?? 0
    const oldest = this.#clock.now() - this.#options.retentionMs
    const excess = this.#excess()
    const newest = newestCommit(this.#environment)
    const offsets: number[] = []
    let bytes = 0
    let end = 0
    for (const offset of commits.getKeys({ limit: RETENTION_COMMITS_MAX })) {
      const commit = offset === newest || bytes >= RETENTION_BYTES_MAX ? undefined : commitAt(this.#environment, offset)
      if (commit === undefined) break
      if (offset + commit.count > checkpoint || (commit.newestAt >= oldest && excess <= bytes)) break
      offsets.push(offset)
      end = offset + commit.count
      bytes += COMMIT_HEADER_BYTES + commit.entries.length
    }
    return { offsets, bytes, end }
  }

  /** Bytes of stored commits that should go whatever their age. */
  #excess(): number {
    const bySize = this.#bytes - this.#options.maxBytes * LOG_LOW_WATER_RATIO
    if (!this.#preallocation.isScarce) return bySize
    return Math.max(bySize, 2 * LOG_ROOM_BYTES - this.#preallocation.free())
  }

  #measure(): void {
    this.#resize(bytesOfCommits(this.#environment))
  }

  #resize(bytes: number): void {
    this.#bytes = bytes
    const { maxBytes } = this.#options
    this.#isOverSize = bytes >= maxBytes * (this.#isOverSize ? LOG_RESUME_RATIO : 1)
  }
}
