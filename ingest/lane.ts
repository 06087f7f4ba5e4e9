/**
 * Owns the way of one shard through this process, for as long as it ingests that shard: what is read waits here to become groups, and what is
 * done of them goes to the log.
 *
 *   followed --end--> ending: nothing more is read --what is in hand is done--> over
 *       '------lose---------------------------------------------------------------^   what is in hand is not counted here
 */

import type { Shard } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import type { Logger } from '../platform/logger.ts'
import { Commits } from './commits.ts'
import { GroupBuilder } from './group.ts'

export interface LaneDependencies {
  readonly shard: Shard
  readonly index: number
  /** Of a group. */
  readonly entriesMax: number
  /** Where the ledger goes on. */
  readonly from: Offset
  readonly logger: Logger
  /** Ingest ends. */
  readonly ending: AbortSignal
  readonly moved: () => void
  readonly failed: (lane: Lane, error: unknown) => void
}

export class Lane {
  /** Of the log's. */
  readonly index: number
  readonly builder: GroupBuilder
  readonly commits: Commits
  /** Nothing more is read. */
  readonly ending: AbortSignal
  readonly #ended = new AbortController()
  #isLost = false

  constructor({ shard, index, entriesMax, from, logger, ending, moved, failed }: LaneDependencies) {
    this.index = index
    this.builder = new GroupBuilder(index, entriesMax)
    this.ending = AbortSignal.any([ending, this.#ended.signal])
    const events = { moved, failed: (error: unknown) => failed(this, error) }
    this.commits = new Commits({ shard, from, logger, ending: this.ending, ...events })
  }

  /** Another process ingests the shard now. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** What waits may become a group: not while the log has no room for dead letters of it, so that it does not take the places of the others. */
  get isFillable(): boolean {
    return !this.commits.isWaitingForRoom && !this.#ended.signal.aborted
  }

  end(): void {
    this.#ended.abort()
  }

  lose(): void {
    this.#isLost = true
    this.end()
  }
}
