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

import { join } from 'node:path'
import type { Counter } from 'prom-client'
import type { Clock } from '../../platform/clock.ts'
import type { Part } from '../../platform/lifecycle.ts'
import { DEAD_LETTERS_BYTES_MAX, LOG_COMMIT_WAIT_MS_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Commands } from '../commands.ts'
import type { DeadLetterPlace } from '../dead-letter-place.ts'
import type { NewEntry, NewRun } from '../entry.ts'
import type { Journal } from '../journal.ts'
import {
  type DeadLetter,
  type DeadLetterCounts,
  type DeadLetterFilter,
  type DeadLetterLook,
  type DeadLetterLookBack,
  type DeadLetterQuery,
  type DeviceLedger,
  type DeviceReceipts,
  type Extent,
  INGEST_READER,
  type KeptByCode,
  type Ledger,
  type Log,
  type Notice,
  type Progress,
} from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Presence } from '../presence.ts'
import type { Roles } from '../roles.ts'
import { LocalCommands } from '../tables/commands.ts'
import { DeadLetters } from '../tables/dead-letters.ts'
import { bytesOfCommits, type Environment, newestCommit, openEnvironment } from '../tables/environment.ts'
import { GatheredJournal, type GatheredJournalDependencies, lostCounter } from '../tables/journal.ts'
import { JournalRecords } from '../tables/journal-records.ts'
import { Ledgers } from '../tables/ledgers.ts'
import { acquireClaim, releaseClaim } from '../tables/lock.ts'
import { LogMetrics, type LogObservation } from '../tables/metrics.ts'
import { Notices } from '../tables/notices.ts'
import { LocalPresence } from '../tables/presence.ts'
import { SharedSignal } from '../tables/shared-signal.ts'
import type { Appender, DurableCommit } from './appender.ts'
import { DeviceLedgers } from './device-ledgers.ts'
import { LocalShard } from './local-shard.ts'
import { LocalMembers } from './members.ts'
import { Preallocation } from './preallocation.ts'
import { Reader } from './reader.ts'
import { Replays } from './replays.ts'
import { LocalRoles } from './roles.ts'
import { fullElsewhere, Writing } from './writing.ts'

/** Dead letters kept; at one more, the oldest of the device that has most goes and is counted as expired. */
const DEAD_LETTERS_MAX = 1_000_000
/** Dead letters that a follower reads at a time. */
const DEAD_LETTERS_PER_READ_MAX = 100

export interface LocalLogOptions {
  readonly directory: string
  /** Whether this process appends. Only one may, and it alone applies retention. */
  readonly writer: boolean
  readonly maxBytes: number
  readonly retentionMs: number
  /** What a commit may wait for more under load, milliseconds; `LOG_COMMIT_WAIT_MS_MAX` unless given. */
  readonly commitWaitMaxMs?: number
  /** Bytes of dead letters kept; `DEAD_LETTERS_BYTES_MAX` unless given. */
  readonly deadLetterBytesMax?: number
  /** What is left of the disk to others; `DISK_RESERVE_BYTES`, or less of a small disk, unless given. */
  readonly diskReserveBytes?: number
  /** Commands to devices that are kept; `COMMANDS_MAX` unless given. */
  readonly commandsMax?: number
}

export interface LocalLogDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface Open {
  readonly environment: Environment
  readonly ledgers: Ledgers
  readonly deadLetters: DeadLetters
  readonly notices: Notices
  readonly deviceLedgers: DeviceLedgers
  readonly replays: Replays
  readonly reader: Reader
  readonly shard: LocalShard
  readonly preallocation: Preallocation
  readonly presence: Presence
  readonly commands: LocalCommands
  readonly journal: GatheredJournal
  readonly roles: Roles
  readonly writing?: Writing
}

export class LocalLog implements Log, Part {
  readonly name = 'log'
  readonly #options: LocalLogOptions
  readonly #dependencies: LocalLogDependencies
  readonly #metrics: LogMetrics
  readonly #journalLost: Counter
  readonly members = new LocalMembers()
  /** Told when dead letters, notices or commands to devices were committed, and when a replay was asked for or went on. */
  readonly #changed: SharedSignal
  #state: Open | undefined
  #stopped: Promise<void> | undefined
  #failure: LogError | undefined
  #fail: (error: LogError) => void = () => undefined
  /** Rejects when the disk refused a commit: after that LMDB's memory is not to be trusted, and the process has to end. */
  readonly failed: Promise<never>

  constructor(options: LocalLogOptions, dependencies: LocalLogDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#changed = new SharedSignal(join(options.directory, 'changed'))
    this.#journalLost = lostCounter(dependencies.metrics)
    this.#metrics = new LogMetrics(dependencies.metrics, dependencies.clock, () => this.#observe())
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
      open.reader.check()
      const writing = this.#options.writer ? await this.#startWriting(open) : undefined
      this.#state = writing ? { ...open, writing } : open
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
    this.#appender().append(entry, onDurable)
  }

  appendRun(run: NewRun, onDurable: (error?: LogError) => void): void {
    this.#appender().appendRun(run, onDurable)
  }

  appendSetAside(...args: Parameters<Log['appendSetAside']>): void {
    this.#appender().appendSetAside(...args)
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

  get commands(): Commands {
    return this.#open().commands
  }

  get journal(): Journal {
    return this.#open().journal
  }

  get roles(): Roles {
    return this.#open().roles
  }

  get id(): string {
    return this.#open().environment.logId
  }

  get shards(): readonly LocalShard[] {
    return [this.#open().shard]
  }

  ledger(reader: string): Promise<Ledger> {
    return this.#open().shard.ledger(reader)
  }

  deviceLedger(reader: string, device: string): Promise<DeviceLedger> {
    return this.#open().deviceLedgers.ledger(reader, device)
  }

  async deviceReceipts(reader: string, device: string): Promise<DeviceReceipts | undefined> {
    this.#refresh()
    const { ledgers, deadLetters } = this.#open()
    const receipts = ledgers.records.receipts(reader, device)
    return receipts && { ...receipts, deadLetters: deadLetters.codes.of(device) }
  }

  async deadLetters({ after, ...query }: DeadLetterQuery): Promise<DeadLetter[]> {
    this.#refresh()
    return this.#open().deadLetters.find({ ...query, after: after?.[0] ?? 0 })
  }

  async deadLetter(sequence: number): Promise<DeadLetter | undefined> {
    this.#refresh()
    return this.#open().deadLetters.get(sequence)
  }

  async lookBack({ before, ...query }: DeadLetterLookBack): Promise<DeadLetterLook> {
    this.#refresh()
    const { found, next } = this.#open().deadLetters.lookBack({
      ...query,
      before: before?.[0] ?? Number.MAX_SAFE_INTEGER,
    })
    return { found, ...(next !== undefined && { next: [next] }) }
  }

  async keptByCode(after: string): Promise<KeptByCode> {
    this.#refresh()
    return this.#open().deadLetters.codes.kept(after)
  }

  async lastDeadLetter(): Promise<DeadLetterPlace> {
    this.#refresh()
    return [this.#open().deadLetters.last()]
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

  async *followDeadLetters(after: DeadLetterPlace, signal: AbortSignal): AsyncGenerator<DeadLetter> {
    const wake = () => this.#changed.raise()
    signal.addEventListener('abort', wake, { once: true })
    try {
      let place = after
      let quiet = 0
      while (!signal.aborted && this.#state !== undefined) {
        const seen = this.#changed.raised
        const letters = await this.deadLetters({ after: place, limit: DEAD_LETTERS_PER_READ_MAX })
        for (const letter of letters) {
          place = [letter.sequence]
          yield letter
        }
        if (letters.length === 0) await this.#changed.waitOrLook(seen, quiet++)
        else quiet = 0
      }
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  followNotices(signal: AbortSignal): AsyncIterable<Notice> {
    return this.#open().notices.follow(signal)
  }

  async extent(): Promise<Extent> {
    this.#refresh()
    const { environment, reader } = this.#open()
    const oldestAt = newestCommit(environment) === undefined ? undefined : reader.committedAt(reader.first())
    return {
      bytes: bytesOfCommits(environment),
      bytesMax: this.#options.maxBytes,
      ...(oldestAt !== undefined && { oldestAt }),
    }
  }

  async claim(name: string): Promise<boolean> {
    return acquireClaim(this.#open().environment, name)
  }

  async release(name: string): Promise<void> {
    return releaseClaim(this.#open().environment, name)
  }

  #openParts(environment: Environment): Open {
    const { clock } = this.#dependencies
    const bounds = { max: DEAD_LETTERS_MAX, maxBytes: this.#options.deadLetterBytesMax ?? DEAD_LETTERS_BYTES_MAX }
    const deadLetters = new DeadLetters(environment, bounds, clock)
    const notices = new Notices(environment, this.#changed, clock)
    const reader = new Reader(environment)
    const ledgers = new Ledgers(environment, deadLetters, notices, { clock, end: () => reader.end() })
    const deviceLedgers = new DeviceLedgers(environment, ledgers, reader)
    const replays = new Replays(environment, deadLetters, this.#changed, clock)
    const preallocation = new Preallocation(environment, this.#options.directory, this.#options.diskReserveBytes)
    const presence = new LocalPresence(environment, () => this.full)
    const commands = new LocalCommands({
      environment,
      preallocation,
      changed: this.#changed,
      full: () => this.full,
      max: this.#options.commandsMax,
      clock,
    })
    const records = new JournalRecords(environment)
    const write: GatheredJournalDependencies['write'] = (gathered) =>
      environment.durable(
        environment.journal.transaction(() => {
          for (const [name, each] of gathered) records.keep(name, each)
        }),
      )
    const journal = new GatheredJournal({ records, write, full: () => this.full, clock, lost: this.#journalLost })
    const onAdvanced = (progress: Progress) => {
      if (progress.deadLetters.length > 0 || (progress.notices?.length ?? 0) > 0) this.#changed.tell()
    }
    const appended = new SharedSignal(join(this.#options.directory, 'appended'))
    const parts = { environment, ledgers, reader, preallocation, appended, onAdvanced }
    const shard = new LocalShard({ ...this.#dependencies, ...parts })
    const roles = new LocalRoles(environment, clock)
    const lists = { deadLetters, notices, replays, presence, commands, journal, roles }
    return { environment, ledgers, deviceLedgers, reader, shard, preallocation, ...lists }
  }

  async #startWriting({
    environment,
    ledgers,
    reader,
    shard,
    replays,
    preallocation,
    journal,
  }: Open): Promise<Writing> {
    const { clock, logger } = this.#dependencies
    const onAppended = (commit: DurableCommit) => {
      shard.appended(commit)
      if (commit.setAside > 0) this.#changed.tell()
    }
    const failure = () => this.#failure
    const metrics = this.#metrics
    const parts = {
      environment,
      ledgers,
      reader,
      replays,
      preallocation,
      metrics,
      journal,
      clock,
      logger,
      failure,
      onAppended,
    }
    const writing = await Writing.start({ commitWaitMaxMs: LOG_COMMIT_WAIT_MS_MAX, ...this.#options }, parts)
    shard.appendsFrom(writing.appender.end)
    return writing
  }

  #observe(): LogObservation | undefined {
    if (this.#state === undefined) return undefined
    this.#refresh()
    const { environment, ledgers, reader, deadLetters, commands } = this.#state
    const ledger = ledgers.ledger(INGEST_READER, reader.end())
    const next = ledger.pending > 0 ? (ledgers.checkpoint(INGEST_READER) ?? reader.first()) : undefined
    return {
      ledger,
      pending: [ledger.pending],
      deadLetters: deadLetters.counts(),
      commands: commands.counts(),
      bytes: bytesOfCommits(environment),
      isFull: this.full !== undefined,
      oldestPendingAt: next === undefined ? undefined : reader.committedAt(next),
    }
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

  /** Makes what other processes committed visible: a read transaction otherwise lasts for the event turn. */
  #refresh(): void {
    this.#open().environment.root.resetReadTxn()
  }

  async #close(): Promise<void> {
    const state = this.#state
    if (state === undefined) return
    await state.journal.stop()
    await state.writing?.stop()
    state.replays.stop()
    await state.preallocation.stop()
    this.#state = undefined
    state.shard.close()
    state.notices.close()
    state.commands.close()
    this.#changed.close()
    await state.environment.root.close()
  }

  #appender(): Appender {
    const { writing } = this.#open()
    if (writing === undefined) throw new Error('this log was opened for reading only')
    return writing.appender
  }

  #open(): Open {
    if (this.#state === undefined) throw new LogError('log-failed', 'the log is not open')
    return this.#state
  }
}
