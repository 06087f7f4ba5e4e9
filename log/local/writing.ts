/**
 * Owns what only the process that appends does: it holds the lock, keeps room on the disk, applies retention, carries out
 * replays, and says when the log is full.
 *
 *   start() --> taking <--full, or room again--> refusing --stop()--> ended
 */

import type { Clock } from '../../platform/clock.ts'
import { LOG_FULL_INTERVAL_MS, RETENTION_INTERVAL_MS } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Journal } from '../journal.ts'
import { INGEST_READER } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Environment } from '../tables/environment.ts'
import type { Ledgers } from '../tables/ledgers.ts'
import { acquireLock, releaseLock } from '../tables/lock.ts'
import type { LogMetrics } from '../tables/metrics.ts'
import { Signal } from '../tables/signal.ts'
import { Appender, type DurableCommit } from './appender.ts'
import type { Preallocation } from './preallocation.ts'
import type { Reader } from './reader.ts'
import type { Replays } from './replays.ts'
import { Retention } from './retention.ts'

const FULL = 'full'

export interface WritingOptions {
  readonly maxBytes: number
  readonly retentionMs: number
  readonly commitWaitMaxMs: number
}

export interface WritingDependencies {
  readonly environment: Environment
  readonly ledgers: Ledgers
  readonly reader: Reader
  readonly replays: Replays
  readonly preallocation: Preallocation
  readonly metrics: LogMetrics
  readonly journal: Pick<Journal, 'notePlatform'>
  readonly clock: Clock
  readonly logger: Logger
  /** Why nothing may be written any more, once the disk has refused a commit. */
  readonly failure: () => LogError | undefined
  /** Called after each durable commit of entries. */
  readonly onAppended: (commit: DurableCommit) => void
}

export class Writing {
  readonly appender: Appender
  readonly #dependencies: WritingDependencies
  readonly #retention: Retention
  readonly #stopping = new AbortController()
  /** Raised when retention is due, when the log became full or has room again, and when all this is to end. */
  readonly #filled = new Signal()
  readonly #background: Promise<unknown>
  #isFull = false

  /** Rejects with `log-locked` when another process appends to this log. */
  static async start(options: WritingOptions, dependencies: WritingDependencies): Promise<Writing> {
    const { environment, reader, preallocation } = dependencies
    await acquireLock(environment)
    const end = reader.end()
    await environment.durable(environment.meta.remove(FULL))
    await preallocation.extend()
    return new Writing(options, dependencies, end)
  }

  private constructor(
    { maxBytes, retentionMs, commitWaitMaxMs }: WritingOptions,
    dependencies: WritingDependencies,
    end: number,
  ) {
    const { environment, ledgers, replays, preallocation, metrics, clock, logger, onAppended } = dependencies
    this.#dependencies = dependencies
    this.#retention = new Retention(
      environment,
      ledgers,
      preallocation,
      { maxBytes, retentionMs, reader: INGEST_READER },
      clock,
    )
    this.appender = new Appender({
      environment,
      end,
      preallocation,
      waitMaxMs: commitWaitMaxMs,
      setAside: (letters) => ledgers.setAside(letters),
      onCommit: (commit) => {
        const wasDue = this.#retention.isDue
        this.#retention.added(commit.byteLength)
        if (this.#retention.isDue && !wasDue) this.#filled.raise()
        preallocation.spent()
        metrics.committed(commit.byteLength, commit.count)
        this.#noteFull()
        onAppended(commit)
      },
    })
    this.appender.full = this.full
    preallocation.onChange = () => this.#noteFull()
    const replaying = replays.serve(this.appender, () => this.full, this.#stopping.signal, logger)
    this.#background = Promise.all([this.#retain(), replaying])
  }

  /** Why nothing can be appended now; undefined while there is room. */
  get full(): LogError | undefined {
    return this.#dependencies.failure() ?? this.#retention.full()
  }

  /** There is a `failure` now. */
  failed(): void {
    this.appender.full = this.full
    this.#filled.raise()
  }

  /** Takes nothing more, and resolves when what was taken is durable or has failed. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#filled.raise()
    this.#dependencies.replays.stop()
    await this.appender.stop()
    await this.#background
    if (this.#dependencies.failure() === undefined) await releaseLock(this.#dependencies.environment)
  }

  async #retain(): Promise<void> {
    const { environment, preallocation, metrics, logger, failure } = this.#dependencies
    const { signal } = this.#stopping
    while (!signal.aborted && failure() === undefined) {
      const seen = this.#filled.raised
      try {
        // A reader killed with -9 keeps old pages from being used again until its slot is cleared.
        environment.root.readerCheck()
        await preallocation.extend()
        const { removed, isBounded } = await this.#retention.pass()
        metrics.retained(removed)
        this.#noteFull()
        if (isBounded) continue
      } catch (error) {
        if (signal.aborted) return
        logger.error({ err: error }, 'retention failed; it is tried again')
      }
      await this.#filled.wait(seen, this.#isFull ? LOG_FULL_INTERVAL_MS : RETENTION_INTERVAL_MS)
    }
  }

  /** One line when the log becomes full, that says what fills it and what to do, and one when it is over. */
  #noteFull(): void {
    const { full } = this
    const { environment, ledgers, reader, journal, logger, failure } = this.#dependencies
    this.appender.full = full
    if (failure() !== undefined || (full !== undefined) === this.#isFull) return
    this.#isFull = full !== undefined
    this.#filled.raise()
    const kind = full === undefined ? 'ended' : 'began'
    journal.notePlatform({ kind, code: 'log-full', text: full?.message ?? 'there is room again' })
    const { pending } = ledgers.ledger(INGEST_READER, reader.end())
    if (full === undefined) logger.warn({ pending }, 'the log has room again: messages are taken')
    else
      logger.error(
        { pending },
        `messages are refused, devices keep theirs: ${full.message}; ${pending} wait for the store`,
      )
    const { meta, durable } = environment
    // What the disk says of it is told by `durable` itself.
    void durable(full === undefined ? meta.remove(FULL) : meta.put(FULL, full.message)).catch(() => undefined)
  }
}

/** Why nothing can be appended, as the process that appends has told all others; undefined while there is room. */
export function fullElsewhere({ meta }: Environment): LogError | undefined {
  const told = meta.get(FULL)
  return typeof told === 'string' ? new LogError('log-full', told) : undefined
}
