/**
 * Owns the log on one machine: LMDB in a directory, shared by the processes of a host (`FORMAT.md`).
 *
 *   new --start()--> open --stop()--> closed
 *
 * Always true: one process appends (the `writer`); every process may read; what is read is durable. Losing: nothing
 * acknowledged, ever; a full log refuses new entries.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../platform/clock.ts'
import type { Part } from '../../platform/lifecycle.ts'
import {
  LOG_POLL_MS,
  LOG_READ_BYTES_MAX,
  LOG_READ_ENTRIES_MAX,
  RETENTION_INTERVAL_MS,
  RETENTION_RUNS_MAX,
} from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Batch, NewEntry } from '../entry.ts'
import {
  type DeadLetter,
  type DeadLetterQuery,
  INGEST_READER,
  type Ledger,
  type Log,
  LogError,
  type Position,
  type Progress,
} from '../log.ts'
import type { Presence } from '../presence.ts'
import { Appender } from './appender.ts'
import { Books } from './books.ts'
import { type Environment, openEnvironment } from './environment.ts'
import { WriterLock } from './lock.ts'
import { LogMetrics } from './metrics.ts'
import { formatPosition, parsePosition } from './position.ts'
import { LocalPresence } from './presence.ts'
import { Reader } from './reader.ts'
import { Retention } from './retention.ts'
import { Signal } from './signal.ts'

export interface LocalLogOptions {
  readonly directory: string
  /** Whether this process appends. Only one may, and it alone applies retention. */
  readonly writer: boolean
  readonly maxBytes: number
  readonly retentionMs: number
}

export interface LocalLogDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface Writing {
  readonly appender: Appender
  readonly retention: Retention
}

interface Open {
  readonly environment: Environment
  readonly books: Books
  readonly reader: Reader
  readonly presence: Presence
  readonly writing?: Writing
}

export class LocalLog implements Log, Part {
  readonly name = 'log'
  readonly #options: LocalLogOptions
  readonly #dependencies: LocalLogDependencies
  readonly #metrics: LogMetrics
  readonly #lock: WriterLock
  /** Raised when entries, or dead letters, were committed by this process. */
  readonly #appended = new Signal()
  readonly #setAside = new Signal()
  readonly #stopping = new AbortController()
  #state: Open | undefined
  #retaining: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: LocalLogOptions, dependencies: LocalLogDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#lock = new WriterLock(options.directory)
    this.#metrics = new LogMetrics(dependencies.metrics)
  }

  async start(): Promise<void> {
    const environment = await openEnvironment(this.#options.directory)
    const books = new Books(environment, this.#dependencies.clock)
    const reader = new Reader(environment)
    const open = { environment, books, reader, presence: new LocalPresence(environment) }
    try {
      this.#state = this.#options.writer ? { ...open, writing: this.#startWriting(open) } : open
    } catch (error) {
      await environment.root.close()
      throw error
    }
    if (this.#options.writer) this.#retaining = this.#retain()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#close()
    return this.#stopped
  }

  append(entry: NewEntry, onDurable: (error?: LogError) => void): void {
    const { writing } = this.#open()
    if (writing === undefined) throw new Error('this log was opened for reading only')
    writing.appender.append(entry, onDurable)
  }

  /** Why nothing can be appended now; undefined while there is room. */
  get full(): LogError | undefined {
    return this.#state?.writing?.retention.full()
  }

  get presence(): Presence {
    return this.#open().presence
  }

  async first(): Promise<Position> {
    return this.#position(this.#open().reader.first())
  }

  async end(): Promise<Position> {
    return this.#position(this.#open().reader.end())
  }

  compare(a: Position, b: Position): number {
    return this.#offset(a) - this.#offset(b)
  }

  positionAfter(_batch: Batch, offset: number): Position {
    return this.#position(offset + 1)
  }

  async read(from: Position): Promise<Batch | undefined> {
    const read = this.#open().reader.read(this.#offset(from), LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX)
    if (read === undefined) return undefined
    const { firstOffset, count, bytes, missed } = read
    return { firstOffset, count, bytes, missed, next: this.#position(firstOffset + count) }
  }

  async *follow(from: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    let position = from
    while (!signal.aborted && this.#state !== undefined) {
      const seen = this.#appended.raised
      const batch = await this.read(position)
      if (batch !== undefined) {
        position = batch.next
        yield batch
      } else {
        await this.#untilMore(this.#appended, seen)
      }
    }
  }

  async checkpoint(reader: string): Promise<Position | undefined> {
    this.#refresh()
    const next = this.#open().books.checkpoint(reader)
    return next === undefined ? undefined : this.#position(next)
  }

  async advance(reader: string, progress: Progress): Promise<void> {
    const { next, ...counts } = progress
    await this.#open().books.advance(reader, { ...counts, next: this.#offset(next) })
    if (progress.deadLetters.length > 0) this.#setAside.raise()
  }

  async ledger(reader: string): Promise<Ledger> {
    this.#refresh()
    const { books, reader: entries } = this.#open()
    return books.ledger(reader, entries.end())
  }

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    this.#refresh()
    return this.#open().books.deadLetters(query)
  }

  async deadLetter(sequence: number): Promise<DeadLetter | undefined> {
    return this.#open().books.deadLetter(sequence)
  }

  async lastDeadLetter(): Promise<number> {
    this.#refresh()
    return this.#open().books.lastDeadLetter()
  }

  async *followDeadLetters(after: number, signal: AbortSignal): AsyncGenerator<DeadLetter> {
    let sequence = after
    while (!signal.aborted && this.#state !== undefined) {
      const seen = this.#setAside.raised
      const letters = await this.deadLetters({ after: sequence, limit: LOG_READ_ENTRIES_MAX })
      for (const letter of letters) {
        sequence = letter.sequence
        yield letter
      }
      if (letters.length === 0) await this.#untilMore(this.#setAside, seen)
    }
  }

  #startWriting(open: Open): Writing {
    this.#lock.acquire()
    const { maxBytes, retentionMs } = this.#options
    const options = { maxBytes, retentionMs, reader: INGEST_READER }
    const retention = new Retention(open.environment, open.books, options, this.#dependencies.clock)
    const appender = new Appender({
      environment: open.environment,
      end: open.reader.end(),
      full: () => retention.full(),
      onCommit: (_end, bytes, entries) => {
        retention.added(bytes)
        this.#metrics.committed(bytes, entries, retention.bytes)
        this.#appended.raise()
      },
    })
    return { appender, retention }
  }

  async #retain(): Promise<void> {
    const { signal } = this.#stopping
    const retention = this.#state?.writing?.retention
    while (retention !== undefined && !signal.aborted) {
      try {
        const removed = await retention.pass()
        this.#metrics.retained(removed, retention.bytes)
        if (removed < RETENTION_RUNS_MAX) await delay(RETENTION_INTERVAL_MS, undefined, { signal, ref: false })
      } catch (error) {
        if (signal.aborted) return
        this.#dependencies.logger.error({ error }, 'retention failed; it is tried again')
        await delay(RETENTION_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }

  /** Waits for this process's own signal, or one poll interval, since another process may write. */
  async #untilMore(signal: Signal, seen: number): Promise<void> {
    await signal.wait(seen, LOG_POLL_MS)
    if (this.#state !== undefined) this.#refresh()
  }

  /** Makes what other processes committed visible: a read transaction otherwise lasts for the event turn. */
  #refresh(): void {
    this.#open().environment.root.resetReadTxn()
  }

  async #close(): Promise<void> {
    this.#stopping.abort()
    const state = this.#state
    if (state === undefined) return
    await state.writing?.appender.stop()
    await this.#retaining
    this.#state = undefined
    this.#appended.raise()
    this.#setAside.raise()
    await state.environment.root.close()
    this.#lock.release()
  }

  #open(): Open {
    if (this.#state === undefined) throw new LogError('log-failed', 'the log is not open')
    return this.#state
  }

  #position(offset: number): Position {
    return formatPosition(this.#open().environment.logId, offset)
  }

  #offset(position: Position): number {
    return parsePosition(this.#open().environment.logId, position)
  }
}
