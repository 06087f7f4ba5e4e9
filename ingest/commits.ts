/**
 * Owns the commits of one shard's progress to the log: checkpoint, counts and dead letters.
 *
 *   idle --add--> committing --nothing waits any more--> idle
 *                   |  ^
 *     log is full   v  |  after `LOG_FULL_INTERVAL_MS`
 *                  waiting for room --ingest ends--> idle: what waits is read again at the next start
 *
 * Always true: in order, one at a time; what is added meanwhile goes with the next. Bound: what is added, which is the coordinator's to bound:
 * while it waits for room nothing more should be.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { INGEST_READER, type Progress, type Shard } from '../log/log.ts'
import { LogError } from '../log/log-error.ts'
import type { Offset } from '../log/position.ts'
import { LOG_FULL_INTERVAL_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { joinProgress, type ShardProgress } from './group.ts'

export interface CommitsDependencies {
  readonly shard: Pick<Shard, 'advance'>
  /** Where ingest begins. */
  readonly from: Offset
  readonly logger: Logger
  /** Ends the wait for room. */
  readonly ending: AbortSignal
  /** Something was committed, or waits for room now. */
  readonly moved: () => void
  /** The log cannot take it, and not for want of room. */
  readonly failed: (error: unknown) => void
}

export class Commits {
  readonly #deps: CommitsDependencies
  readonly #waiting: ShardProgress[] = []
  #committing: Promise<void> | undefined
  /** The checkpoint, as this process has left it: if another has moved it, nothing of what is added counts. */
  #at: Offset
  /** The log had no room for dead letters when last asked. */
  isWaitingForRoom = false

  constructor(deps: CommitsDependencies) {
    this.#deps = deps
    this.#at = deps.from
  }

  /** How many were added and are not committed. */
  get waiting(): number {
    return this.#waiting.length
  }

  add(progress: ShardProgress): void {
    this.#waiting.push(progress)
    // Others of this event turn go with it.
    this.#committing ??= Promise.resolve().then(() => this.#commit())
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#committing
  }

  async #commit(): Promise<void> {
    let most = Number.POSITIVE_INFINITY
    try {
      for (;;) {
        // More is added while this one is on its way to the disk: only what it covers is taken off.
        const done = this.#waiting.slice(0, most)
        const progress = joinProgress(done)
        if (progress === undefined) break
        if (await this.#advance(progress)) {
          this.#waiting.splice(0, done.length)
          this.#deps.moved()
        } else if (this.#deps.ending.aborted) break
        else most = 1 // Retention makes room after each, so a little at a time gets through.
      }
    } catch (error) {
      this.#deps.failed(error)
    } finally {
      this.#committing = undefined
      this.#deps.moved()
    }
  }

  /** False, after a while, if the log has no room for the dead letters of it. */
  async #advance({ shard: _, ...progress }: ShardProgress): Promise<boolean> {
    const { shard, logger, ending } = this.#deps
    try {
      await shard.advance(INGEST_READER, { ...progress, from: this.#at } satisfies Progress)
      this.#at = progress.next
      this.isWaitingForRoom = false
      return true
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'log-full')) throw error
      if (!this.isWaitingForRoom) {
        this.isWaitingForRoom = true
        const waiting = progress.deadLetters.length
        logger.error({ waiting }, `dead letters wait, and all after them: ${error.message}`)
        this.#deps.moved()
      }
      await delay(LOG_FULL_INTERVAL_MS, undefined, { signal: ending }).catch(() => undefined)
      return false
    }
  }
}
