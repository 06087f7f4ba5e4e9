/**
 * Owns the one shard of a local log: its entries and its ledger, read from LMDB, and the checkpoints of its readers.
 *
 *   open --close()--> closed: throws `log-failed`, also to who follows it
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Batch } from '../entry.ts'
import { type EntryTimes, INGEST_READER, type Ledger, type Progress, type Shard } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'
import { bytesOfLetters } from '../tables/dead-letters.ts'
import type { Environment } from '../tables/environment.ts'
import type { Ledgers } from '../tables/ledgers.ts'
import { RecentCommits } from '../tables/recent-commits.ts'
import type { SharedSignal } from '../tables/shared-signal.ts'
import type { DurableCommit } from './appender.ts'
import { CommitTimes } from './commit-times.ts'
import type { Preallocation } from './preallocation.ts'
import type { Reader } from './reader.ts'

/** How often expired dead letters are told in the process's log, at most. */
const EXPIRED_LOG_INTERVAL_MS = 60_000

export interface LocalShardDependencies {
  readonly environment: Environment
  readonly ledgers: Ledgers
  readonly reader: Reader
  readonly preallocation: Preallocation
  /** Told when entries were committed. */
  readonly appended: SharedSignal
  /** Called when a reader's progress was committed by this process. */
  readonly onAdvanced: (progress: Progress) => void
  readonly clock: Clock
  readonly logger: Logger
}

export class LocalShard implements Shard {
  readonly #dependencies: LocalShardDependencies
  readonly #recent = new RecentCommits()
  readonly #committed = new CommitTimes()
  /** The end, if this process appends: it is known without a look. */
  #ownEnd: number | undefined
  #isClosed = false
  /** Dead letters dropped for room since that was last told, and when that was. */
  #expired = 0
  #expiredToldAt = Number.NEGATIVE_INFINITY
  /** Offset of the newest damaged commit that was told. */
  #damageToldAt = Number.NEGATIVE_INFINITY

  constructor(dependencies: LocalShardDependencies) {
    this.#dependencies = dependencies
  }

  async first(): Promise<Offset> {
    return this.#open().reader.first() as Offset
  }

  async end(): Promise<Offset> {
    return this.#open().reader.end() as Offset
  }

  async at(time: number): Promise<Offset> {
    return this.#refreshed().reader.at(time) as Offset
  }

  async read(from: Offset): Promise<Batch | undefined> {
    const read = this.#open().reader.read(from, LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX)
    if (read === undefined) return undefined
    const { firstOffset, count, bytes, missed, damagedAt } = read
    if (damagedAt !== undefined && damagedAt > this.#damageToldAt) {
      this.#damageToldAt = damagedAt
      this.#dependencies.logger.error(
        { offset: damagedAt },
        'the disk gave a commit of the log back changed: its messages are set aside as log-damaged; look at the disk',
      )
    }
    return { firstOffset: firstOffset as Offset, count, bytes, missed, next: (firstOffset + count) as Offset }
  }

  async *follow(from: Offset, signal: AbortSignal): AsyncGenerator<Batch> {
    const { appended } = this.#dependencies
    const wake = () => appended.raise()
    signal.addEventListener('abort', wake, { once: true })
    this.#recent.join()
    try {
      let quiet = 0
      for (let offset = from; !signal.aborted; ) {
        const seen = appended.raised
        const batch = await this.#next(offset)
        if (batch === undefined) {
          // Nobody appends but one process: where it is this one, there is nothing to look for.
          await (this.#ownEnd === undefined ? appended.waitOrLook(seen, quiet++) : appended.wait(seen))
        } else {
          quiet = 0
          offset = batch.next
          yield batch
        }
      }
    } finally {
      this.#recent.leave()
      signal.removeEventListener('abort', wake)
    }
  }

  async checkpoint(reader: string): Promise<Offset | undefined> {
    return this.#refreshed().ledgers.checkpoint(reader) as Offset | undefined
  }

  async advance(reader: string, progress: Progress): Promise<void> {
    const { ledgers, environment, preallocation, onAdvanced } = this.#open()
    if (progress.deadLetters.length > 0) await preallocation.readyFor(bytesOfLetters(progress.deadLetters))
    const expired = await environment.durable(ledgers.advance(reader, progress))
    this.#noteExpired(expired)
    onAdvanced(progress)
  }

  async undecoded(from: Offset, before: Offset): Promise<ReadonlySet<Offset>> {
    return this.#refreshed().ledgers.undecoded.within(from, before)
  }

  async timesOf(offset: Offset): Promise<EntryTimes> {
    const { ledgers } = this.#refreshed()
    const isAccounted = offset < (ledgers.checkpoint(INGEST_READER) ?? 0)
    return { committed: this.#committed.of(offset), accounted: isAccounted ? ledgers.times.of(offset) : undefined }
  }

  async ledger(reader: string): Promise<Ledger> {
    const { ledgers, reader: entries } = this.#refreshed()
    return ledgers.ledger(reader, entries.end())
  }

  /** This process alone appends, and `end` is where it begins. */
  appendsFrom(end: number): void {
    this.#ownEnd = end
    this.#committed.beginAt(end)
  }

  /** This process has committed entries. */
  appended({ firstOffset, count, entries, expired }: DurableCommit): void {
    this.#noteExpired(expired)
    this.#ownEnd = firstOffset + count
    this.#committed.add(this.#ownEnd, this.#dependencies.clock.now())
    this.#recent.add(firstOffset, count, entries)
    // Whoever got them from here may read on from LMDB within this event turn.
    this.#refreshed()
    this.#dependencies.appended.tell()
  }

  close(): void {
    this.#isClosed = true
    this.#dependencies.appended.close()
  }

  async #next(offset: Offset): Promise<Batch | undefined> {
    this.#open()
    if (offset === this.#ownEnd) return undefined
    const recent = this.#recent.from(offset)
    if (recent !== undefined) return recent
    this.#refreshed()
    return this.read(offset)
  }

  /** Says that dead letters are full, once in a while. */
  #noteExpired(expired: number): void {
    if (expired === 0) return
    this.#expired += expired
    const now = this.#dependencies.clock.now()
    if (now - this.#expiredToldAt < EXPIRED_LOG_INTERVAL_MS) return
    this.#expiredToldAt = now
    this.#dependencies.logger.warn(
      { expired: this.#expired },
      'the dead letters are full, so the oldest of those who have most were dropped: see telltale deadletters list; ' +
        'replay or purge some, or raise TELLTALE_DEAD_LETTERS_MAX_BYTES',
    )
    this.#expired = 0
  }

  /** With what other processes committed visible: a read transaction otherwise lasts for the event turn. */
  #refreshed(): LocalShardDependencies {
    const open = this.#open()
    open.environment.root.resetReadTxn()
    return open
  }

  /** LMDB ends the process when it is asked after it was closed. */
  #open(): LocalShardDependencies {
    if (this.#isClosed) throw new LogError('log-failed', 'the log is not open')
    return this.#dependencies
  }
}
