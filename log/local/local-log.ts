/**
 * Owns the log on one machine: LMDB in a directory, shared by the processes of a host (`FORMAT.md`).
 *
 *   new --start()--> open --stop()--> closed
 *                     |  ^
 *                full |  | room again            (open and full: entries are refused, all else goes on)
 *                     v  |
 *                     full          open | full --a commit fails--> failed: refuses; the process has to end
 *
 * Always true: one process appends (the `writer`); every process may read; what is read is durable. Losing: nothing
 * acknowledged, ever; a full log refuses new entries.
 */

import type { Clock } from '../../platform/clock.ts'
import type { Part } from '../../platform/lifecycle.ts'
import { DEAD_LETTERS_BYTES_MAX, LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Batch, NewEntry } from '../entry.ts'
import {
  type DeadLetter,
  type DeadLetterCounts,
  type DeadLetterFilter,
  type DeadLetterQuery,
  type DeviceLedger,
  INGEST_READER,
  type Ledger,
  type Log,
  LogError,
  type Progress,
} from '../log.ts'
import type { Position } from '../position.ts'
import type { Presence } from '../presence.ts'
import { Books } from './books.ts'
import { bytesOfLetters, DeadLetters } from './dead-letters.ts'
import { DeviceLedgers } from './device-ledgers.ts'
import { bytesOfRuns, type Environment, openEnvironment } from './environment.ts'
import { LogMetrics, type LogObservation } from './metrics.ts'
import { formatPosition, parsePosition } from './position.ts'
import { Preallocation } from './preallocation.ts'
import { LocalPresence } from './presence.ts'
import { Reader } from './reader.ts'
import { Replays } from './replays.ts'
import { Signal } from './signal.ts'
import { fullElsewhere, Writing } from './writing.ts'

/** How often another process's appends are looked for, and dead letters too. */
const LOG_POLL_MS = 20
/** Dead letters kept; at one more, the oldest goes and is counted as expired. */
const DEAD_LETTERS_MAX = 1_000_000
/** Dead letters that a follower reads at a time. */
const DEAD_LETTERS_PER_READ_MAX = 100
/** How often expired dead letters are told in the process's log, at most. */
const EXPIRED_LOG_INTERVAL_MS = 60_000

export interface LocalLogOptions {
  readonly directory: string
  /** Whether this process appends. Only one may, and it alone applies retention. */
  readonly writer: boolean
  readonly maxBytes: number
  readonly retentionMs: number
  /** Bytes of dead letters kept; `DEAD_LETTERS_BYTES_MAX` unless given. */
  readonly deadLetterBytesMax?: number
  /** What is left of the disk to others; `DISK_RESERVE_BYTES`, or less of a small disk, unless given. */
  readonly diskReserveBytes?: number
}

export interface LocalLogDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface Open {
  readonly environment: Environment
  readonly books: Books
  readonly deadLetters: DeadLetters
  readonly deviceLedgers: DeviceLedgers
  readonly replays: Replays
  readonly reader: Reader
  readonly preallocation: Preallocation
  readonly presence: Presence
  readonly writing?: Writing
}

export class LocalLog implements Log, Part {
  readonly name = 'log'
  readonly #options: LocalLogOptions
  readonly #dependencies: LocalLogDependencies
  readonly #metrics: LogMetrics
  /** Raised when entries, or dead letters, were committed by this process. */
  readonly #appended = new Signal()
  readonly #setAside = new Signal()
  #state: Open | undefined
  #stopped: Promise<void> | undefined
  #failure: LogError | undefined
  #fail: (error: LogError) => void = () => undefined
  /** Rejects when the disk refused a commit: after that LMDB's memory is not to be trusted, and the process has to end. */
  readonly failed: Promise<never>
  /** Dead letters dropped for room since that was last told, and when that was. */
  #expired = 0
  #expiredToldAt = Number.NEGATIVE_INFINITY
  /** Offset of the newest damaged commit that was told. */
  #damageToldAt = Number.NEGATIVE_INFINITY

  constructor(options: LocalLogOptions, dependencies: LocalLogDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#metrics = new LogMetrics(dependencies.metrics, () => this.#observe())
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    // Whoever runs the process waits for it; a command that only reads does not have to.
    this.failed.catch(() => undefined)
  }

  async start(): Promise<void> {
    const environment = await openEnvironment(this.#options.directory, (error) => this.#onFailed(error))
    const open = this.#openParts(environment)
    try {
      this.#state = this.#options.writer ? { ...open, writing: await this.#startWriting(open) } : open
    } catch (error) {
      await environment.root.close()
      throw error
    }
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
    if (this.#failure !== undefined || this.#state === undefined) return this.#failure
    const { writing, environment } = this.#state
    if (writing !== undefined) return writing.full
    this.#refresh()
    return fullElsewhere(environment)
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
    const { firstOffset, count, bytes, missed, damagedAt } = read
    if (damagedAt !== undefined && damagedAt > this.#damageToldAt) {
      this.#damageToldAt = damagedAt
      this.#dependencies.logger.error(
        { offset: damagedAt },
        'the disk gave a commit of the log back changed: its messages are set aside as log-damaged; look at the disk',
      )
    }
    return { firstOffset, count, bytes, missed, next: this.#position(firstOffset + count) }
  }

  async *follow(from: Position, signal: AbortSignal): AsyncGenerator<Batch> {
    let position = from
    while (!signal.aborted && this.#state !== undefined) {
      const seen = this.#appended.raised
      this.#refresh()
      const batch = this.#isAtEnd(position) ? undefined : await this.read(position)
      if (batch !== undefined) {
        position = batch.next
        yield batch
      } else {
        await this.#appended.wait(seen, LOG_POLL_MS)
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
    const { books, environment, preallocation } = this.#open()
    if (progress.deadLetters.length > 0) await preallocation.readyFor(bytesOfLetters(progress.deadLetters))
    const expired = await environment.commit(books.advance(reader, { ...counts, next: this.#offset(next) }))
    this.#noteExpired(expired)
    if (progress.deadLetters.length > 0) this.#setAside.raise()
  }

  async ledger(reader: string): Promise<Ledger> {
    this.#refresh()
    const { books, reader: entries } = this.#open()
    return books.ledger(reader, entries.end())
  }

  deviceLedger(reader: string, device: string): Promise<DeviceLedger> {
    return this.#open().deviceLedgers.ledger(reader, device)
  }

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    this.#refresh()
    return this.#open().deadLetters.find(query)
  }

  async deadLetter(sequence: number): Promise<DeadLetter | undefined> {
    this.#refresh()
    return this.#open().deadLetters.get(sequence)
  }

  async lastDeadLetter(): Promise<number> {
    this.#refresh()
    return this.#open().deadLetters.last()
  }

  async deadLetterCounts(): Promise<DeadLetterCounts> {
    this.#refresh()
    return this.#open().deadLetters.counts()
  }

  replay(filter: DeadLetterFilter): Promise<number> {
    return this.#open().replays.replay(filter)
  }

  async purge(filter: DeadLetterFilter): Promise<number> {
    this.#refresh()
    return this.#open().deadLetters.purge(filter)
  }

  async *followDeadLetters(after: number, signal: AbortSignal): AsyncGenerator<DeadLetter> {
    let sequence = after
    while (!signal.aborted && this.#state !== undefined) {
      const seen = this.#setAside.raised
      const letters = await this.deadLetters({ after: sequence, limit: DEAD_LETTERS_PER_READ_MAX })
      for (const letter of letters) {
        sequence = letter.sequence
        yield letter
      }
      if (letters.length === 0) await this.#setAside.wait(seen, LOG_POLL_MS)
    }
  }

  #openParts(environment: Environment): Open {
    const { clock } = this.#dependencies
    const bounds = { max: DEAD_LETTERS_MAX, maxBytes: this.#options.deadLetterBytesMax ?? DEAD_LETTERS_BYTES_MAX }
    const deadLetters = new DeadLetters(environment, bounds, clock)
    const books = new Books(environment, deadLetters)
    const reader = new Reader(environment)
    const deviceLedgers = new DeviceLedgers(environment, books, reader)
    const replays = new Replays(environment, deadLetters, clock)
    const preallocation = new Preallocation(environment, this.#options.directory, this.#options.diskReserveBytes)
    const presence = new LocalPresence(environment, () => this.full)
    return { environment, books, deadLetters, deviceLedgers, replays, reader, preallocation, presence }
  }

  #startWriting({ environment, books, reader, replays, preallocation }: Open): Promise<Writing> {
    const { clock, logger } = this.#dependencies
    const onAppended = () => this.#appended.raise()
    const failure = () => this.#failure
    const metrics = this.#metrics
    const parts = { environment, books, reader, replays, preallocation, metrics, clock, logger, failure, onAppended }
    return Writing.start(this.#options, parts)
  }

  #observe(): LogObservation | undefined {
    if (this.#state === undefined) return undefined
    this.#refresh()
    const { environment, books, reader, deadLetters } = this.#state
    return {
      ledger: books.ledger(INGEST_READER, reader.end()),
      deadLetters: deadLetters.counts(),
      bytes: bytesOfRuns(environment),
      isFull: this.full !== undefined,
    }
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
      'the dead letters are full, so the oldest were dropped: see telltale deadletters list; ' +
        'replay or purge some, or raise TELLTALE_DEAD_LETTERS_MAX_BYTES',
    )
    this.#expired = 0
  }

  #onFailed(error: LogError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#state?.writing?.failed()
    this.#dependencies.logger.fatal(
      { err: error },
      `nothing more is written, and the process has to end: ${error.message}`,
    )
    this.#fail(error)
  }

  /** What this process has appended it knows without a look. */
  #isAtEnd(position: Position): boolean {
    const { writing } = this.#open()
    return writing !== undefined && this.#offset(position) === writing.appender.end
  }

  /** Makes what other processes committed visible: a read transaction otherwise lasts for the event turn. */
  #refresh(): void {
    this.#open().environment.root.resetReadTxn()
  }

  async #close(): Promise<void> {
    const state = this.#state
    if (state === undefined) return
    await state.writing?.stop()
    state.replays.stop()
    await state.preallocation.stop()
    this.#state = undefined
    this.#appended.raise()
    this.#setAside.raise()
    await state.environment.root.close()
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
