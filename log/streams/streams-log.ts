/**
 * Owns a log on an engine of streams, as one process of several has it: its messages are the engine's, and all else is a replica of what the books say.
 *
 *   new --start()--> open --stop()--> closed
 *                     |--books that cannot be followed--> failed: the process has to end
 *
 * Always true: what is acknowledged is on as many machines as the streams were set up for; while the engine does not answer nothing is, and nothing is
 * refused for that either. Every process may append, read and change what is known.
 */

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Part } from '../../platform/lifecycle.ts'
import { DEAD_LETTERS_BYTES_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { DeadLetterPlace } from '../dead-letter-place.ts'
import { type NewEntry, type NewRun, SET_ASIDE, shardOf } from '../entry.ts'
import type { Journal } from '../journal.ts'
import {
  type DeadLetterFilter,
  type DeadLetterLookBack,
  type DeadLetterQuery,
  type DeviceLedger,
  type DeviceReceipts,
  type Extent,
  INGEST_READER,
  type Ledger,
  type Log,
  type Notice,
} from '../log.ts'
import { LogError } from '../log-error.ts'
import { GatheredJournal, lostCounter } from '../tables/journal.ts'
import { PLATFORM } from '../tables/journal-records.ts'
import { LogMetrics, type LogObservation } from '../tables/metrics.ts'
import { SharedSignal } from '../tables/shared-signal.ts'
import { StreamAppender } from './appender.ts'
import { Books } from './books.ts'
import { changeBytes, readChange } from './change.ts'
import { DeviceCounts } from './counting.ts'
import { merged } from './merged.ts'
import { type Beside, messageBytes } from './message.ts'
import { Reachability } from './reachability.ts'
import { Replica } from './replica.ts'
import { ReplicaSlot } from './replica-slot.ts'
import { StreamRetention } from './retention.ts'
import { SharedCommands } from './shared-commands.ts'
import { SharedLetters } from './shared-letters.ts'
import { SharedMembers } from './shared-members.ts'
import { SharedPresence } from './shared-presence.ts'
import type { NewRecord, Stream, Streams } from './streams.ts'
import { StreamsShard } from './streams-shard.ts'

const FORMAT = 1
/** A look asks the engine for the end of each shard. */
const OBSERVE_INTERVAL_MS = 5_000
/** How long a process that stops tells others of it, and appends what waits. */
const LEAVE_MS_MAX = 5_000

export interface StreamsLogOptions {
  /** Of the replica: of this process, or of several that are started there. */
  readonly directory: string
  /** Whether this process takes messages, and so applies retention. */
  readonly writer: boolean
  readonly maxBytes: number
  readonly retentionMs: number
  readonly deadLetterBytesMax?: number
}

export interface StreamsLogDependencies {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

interface OpenShard {
  readonly stream: Stream
  readonly replica: Replica
  readonly books: Books
  readonly changed: SharedSignal
  readonly appender: StreamAppender
  readonly shard: StreamsShard
}

interface Open {
  readonly id: string
  readonly shards: readonly OpenShard[]
  readonly letters: SharedLetters
  readonly presence: SharedPresence
  readonly commands: SharedCommands
  readonly journal: GatheredJournal
  readonly members: SharedMembers
  readonly retention: StreamRetention
}

export class StreamsLog implements Log, Part {
  readonly name = 'log'
  readonly #streams: Streams
  readonly #options: StreamsLogOptions
  readonly #deps: StreamsLogDependencies
  readonly #reachability: Reachability
  readonly #metrics: LogMetrics
  readonly #journalLost: ReturnType<typeof lostCounter>
  readonly #counts = new DeviceCounts()
  readonly #pending = { bytes: 0 }
  /** Names this process among all that ever shared the log. */
  readonly #asker = randomBytes(6).toString('hex')
  readonly #writer = randomBytes(4).readUInt32LE()
  #state: Open | undefined
  /** What a stop has to close, however far the start came. */
  #opened: { readonly slot: ReplicaSlot; readonly shards: readonly OpenShard[] } | undefined
  #stopped: Promise<void> | undefined
  #observed: LogObservation | undefined
  readonly #stopping = new AbortController()
  #observing: Promise<void> = Promise.resolve()
  #failure: LogError | undefined
  #fail: (error: LogError) => void = () => undefined
  /** Rejects when the books cannot be followed any more: what is known here would be wrong. */
  readonly failed: Promise<never>

  constructor(streams: Streams, options: StreamsLogOptions, deps: StreamsLogDependencies) {
    this.#streams = streams
    this.#options = options
    this.#deps = deps
    this.#reachability = new Reachability(streams.where, deps.logger)
    this.#journalLost = lostCounter(deps.metrics)
    this.#metrics = new LogMetrics(deps.metrics, deps.clock, () => this.#observed)
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    this.failed.catch(() => undefined)
  }

  async start(): Promise<void> {
    await this.#streams.start()
    const id = await this.#begin()
    const slot = await ReplicaSlot.take(join(this.#options.directory, id))
    const shards: OpenShard[] = []
    this.#opened = { slot, shards }
    const presence = new SharedPresence(shards)
    for (let index = 0; index < this.#streams.shards; index++)
      shards.push(await this.#openShard(id, slot, index, presence))
    await Promise.all(shards.map(({ books }) => books.catchUp()))
    for (const { books } of shards) books.start()
    const [first] = shards
    if (first === undefined) throw new LogError('log-missing', 'a log has shards')
    const members = new SharedMembers({
      books: first.books,
      table: () => first.replica.members,
      changed: first.changed,
      asker: this.#asker,
      process: `process ${process.pid} on ${hostname()}`,
      logger: this.#deps.logger,
    })
    const retention = this.#retention(shards)
    this.#state = {
      id,
      shards,
      members,
      presence,
      retention,
      commands: new SharedCommands(shards, () => this.full, this.#deps.clock),
      letters: new SharedLetters(
        shards.map((shard) => ({ ...shard, append: (each) => this.#appendReplayed(shard, each) })),
      ),
      journal: this.#journal(shards),
    }
    await members.start()
    if (this.#options.writer) await retention.start()
    await this.#observe()
    this.#observing = this.#keepObserving()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#close()
    return this.#stopped
  }

  append(entry: NewEntry, onDurable: (error?: LogError) => void): void {
    this.#of(entry.device).appender.append([this.#record(entry, {})], onDurable)
  }

  appendRun({ bytes, spans, payloadBytes: _, ...run }: NewRun, onDurable: (error?: LogError) => void): void {
    const records: NewRecord[] = []
    for (let index = 0; index < spans.length; index += 2) {
      const payload = bytes.subarray(spans[index], spans[index + 1])
      records.push(this.#record({ ...run, flags: 0, payload }, {}))
    }
    this.#of(run.device).appender.append(records, onDurable)
  }

  /** What it is set aside for goes with it; its letter is made when ingest passes it. */
  appendSetAside(...[entry, setAside, onDurable]: Parameters<Log['appendSetAside']>): void {
    const record = this.#record({ ...entry, flags: entry.flags | SET_ASIDE }, { setAside })
    this.#of(entry.device).appender.append([record], (error) => onDurable(error, error === undefined))
  }

  get full(): LogError | undefined {
    return this.#failure ?? this.#state?.retention.full ?? this.#reachability.why
  }

  get presence(): SharedPresence {
    return this.#open().presence
  }

  get commands(): SharedCommands {
    return this.#open().commands
  }

  get journal(): Journal {
    return this.#open().journal
  }

  get roles(): SharedMembers {
    return this.#open().members
  }

  get members(): SharedMembers {
    return this.#open().members
  }

  get id(): string {
    return this.#open().id
  }

  get shards(): readonly StreamsShard[] {
    return this.#open().shards.map(({ shard }) => shard)
  }

  async ledger(reader: string): Promise<Ledger> {
    return sumOf(await Promise.all(this.shards.map((shard) => shard.ledger(reader))))
  }

  deviceLedger(reader: string, device: string): Promise<DeviceLedger> {
    const { shard, replica } = this.#of(device)
    return this.#counts.ledger(shard, replica, reader, device)
  }

  async deviceReceipts(reader: string, device: string): Promise<DeviceReceipts | undefined> {
    const { replica } = this.#of(device)
    replica.environment.root.resetReadTxn()
    const receipts = replica.ledgers.records.receipts(reader, device)
    return receipts && { ...receipts, deadLetters: replica.deadLetters.codes.of(device) }
  }

  deadLetters(query: DeadLetterQuery) {
    return this.#open().letters.deadLetters(query)
  }

  deadLetter(sequence: number) {
    return this.#open().letters.deadLetter(sequence)
  }

  lookBack(query: DeadLetterLookBack) {
    return this.#open().letters.lookBack(query)
  }

  keptByCode(after: string) {
    return this.#open().letters.keptByCode(after)
  }

  followDeadLetters(after: DeadLetterPlace, signal: AbortSignal) {
    return this.#open().letters.followDeadLetters(after, signal)
  }

  lastDeadLetter() {
    return this.#open().letters.lastDeadLetter()
  }

  deadLetterCounts() {
    return this.#open().letters.deadLetterCounts()
  }

  replay(filter: DeadLetterFilter) {
    return this.#open().letters.replay(filter)
  }

  purge(filter: DeadLetterFilter) {
    return this.#open().letters.purge(filter)
  }

  followNotices(signal: AbortSignal): AsyncIterable<Notice> {
    const sources = this.#open().shards.map(
      ({ replica }) =>
        (ending: AbortSignal) =>
          replica.notices.follow(ending),
    )
    return merged(sources, signal)
  }

  claim(name: string): Promise<boolean> {
    return this.#open().members.claim(name)
  }

  release(name: string): Promise<void> {
    return this.#open().members.release(name)
  }

  async extent(): Promise<Extent> {
    const { bytes } = await this.#streams.sizeOf('log')
    const times: number[] = []
    for (const { stream } of this.#open().shards) {
      const first = await stream.first()
      const [record] = await stream.read(first, { bytesMax: 1, recordsMax: 1, waitMs: 0 })
      if (record !== undefined) times.push(record.at)
    }
    return { bytes, bytesMax: this.#options.maxBytes, ...(times.length > 0 && { oldestAt: Math.min(...times) }) }
  }

  /** The first record of the books of shard 0 says which log this is; whoever comes first writes it. */
  async #begin(): Promise<string> {
    const books = this.#streams.stream('books', 0)
    const first = async () => {
      const [record] = await books.read(await books.first(), { bytesMax: 1, recordsMax: 1, waitMs: 0 })
      return record && (readChange(record.value)?.change ?? null)
    }
    if ((await first()) === undefined) {
      const { shards } = this.#streams
      const change = { kind: 'begin', format: FORMAT, log: randomBytes(4).toString('hex'), shards, shard: 0 } as const
      await books.append([
        { key: '0', value: changeBytes({ id: `${this.#asker}-0`, at: this.#deps.clock.now(), change }) },
      ])
    }
    const begin = await first()
    if (begin?.kind !== 'begin')
      throw new LogError('log-corrupt', `the books at ${this.#streams.where} do not begin as ours do`)
    if (begin.format !== FORMAT)
      throw new LogError('log-failed', `the log has format ${begin.format}; this version reads format ${FORMAT}`)
    if (begin.shards !== this.#streams.shards)
      throw new LogError(
        'log-unsafe',
        `the log was begun with ${begin.shards} shards and has ${this.#streams.shards} now: devices would be looked for in the wrong ones`,
      )
    return begin.log
  }

  async #openShard(log: string, slot: ReplicaSlot, index: number, presence: SharedPresence): Promise<OpenShard> {
    const { clock, logger } = this.#deps
    const directory = join(slot.directory, `${index}`)
    const onFailed = (error: LogError) => this.#onFailed(error)
    const changed = new SharedSignal(join(directory, 'changed'))
    const onPresence = (devices: readonly string[]) => presence.changed(devices)
    const options = { directory, log, shard: index, shards: this.#streams.shards }
    const replica = await Replica.open(options, { changed, logger, onFailed, onPresence, asker: this.#asker })
    const reachability = this.#reachability
    const books = new Books({
      stream: this.#streams.stream('books', index),
      replica,
      reachability,
      clock,
      asker: this.#asker,
      shard: index,
      onFailed,
    })
    const stream = this.#streams.stream('log', index)
    const appender = new StreamAppender({
      stream,
      reachability,
      pending: this.#pending,
      full: () => this.#failure ?? this.#state?.retention.full,
      onFailed,
      onAppended: (messages, bytes) => this.#metrics.committed(bytes, messages),
    })
    const bytesMax = this.#options.deadLetterBytesMax ?? DEAD_LETTERS_BYTES_MAX
    const shard = new StreamsShard({
      stream,
      books,
      replica,
      reachability,
      writer: this.#writer,
      deadLetterBytesMax: Math.floor(bytesMax / this.#streams.shards),
    })
    return { stream, replica, books, changed, appender, shard }
  }

  #retention(shards: readonly OpenShard[]): StreamRetention {
    const { maxBytes, retentionMs } = this.#options
    const reachability = this.#reachability
    return new StreamRetention({ streams: this.#streams, shards, reachability, maxBytes, retentionMs, ...this.#deps })
  }

  #journal(shards: readonly OpenShard[]): GatheredJournal {
    const of = (name: string) => shards[name === PLATFORM ? 0 : shardOf(name, shards.length)] as OpenShard
    return new GatheredJournal({
      records: {
        of: (device) => of(device).replica.journal.of(device),
        ofPlatform: () => of(PLATFORM).replica.journal.ofPlatform(),
        named: () => shards.flatMap(({ replica }) => [...replica.journal.named()]),
        stop: () => undefined,
      },
      write: async (gathered) => {
        const parts = new Map<OpenShard, (typeof gathered)[number][]>()
        for (const each of gathered) parts.set(of(each[0]), [...(parts.get(of(each[0])) ?? []), each])
        await Promise.all([...parts].map(([{ books }, part]) => books.ask({ kind: 'noted', gathered: part })))
      },
      full: () => this.#failure ?? this.#reachability.why,
      clock: this.#deps.clock,
      lost: this.#journalLost,
    })
  }

  #appendReplayed(
    { appender }: OpenShard,
    all: readonly { readonly entry: NewEntry; readonly letter: number }[],
  ): Promise<void> {
    const records = all.map(({ entry, letter }) => this.#record(entry, { letter }))
    return new Promise((resolve, reject) => appender.append(records, (error) => (error ? reject(error) : resolve())))
  }

  #record(entry: NewEntry, beside: Omit<Beside, 'writer' | 'epoch'>): NewRecord {
    const value = messageBytes(entry, { writer: this.#writer, epoch: entry.epoch, ...beside })
    return { key: entry.device, value }
  }

  async #keepObserving(): Promise<void> {
    const { signal } = this.#stopping
    const observer = {}
    while (!signal.aborted) {
      await delay(OBSERVE_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.#reachability.tried(observer, () => this.#observe(), signal)
      } catch (error) {
        this.#deps.logger.error({ err: error }, `the log could not be measured: ${messageOf(error)}`)
      }
    }
  }

  async #observe(): Promise<void> {
    if (this.#state === undefined) return
    const { letters, commands, retention } = this.#state
    const ledgers = await Promise.all(this.shards.map((shard) => shard.ledger(INGEST_READER)))
    const ledger = sumOf(ledgers)
    this.#observed = {
      ledger,
      pending: ledgers.map((each) => each.pending),
      deadLetters: await letters.deadLetterCounts(),
      commands: commands.counts(),
      bytes: retention.bytes,
      isFull: this.full !== undefined,
      oldestPendingAt: ledger.pending > 0 ? await this.#oldestPendingAt() : undefined,
    }
  }

  async #oldestPendingAt(): Promise<number | undefined> {
    const times: number[] = []
    for (const { replica, stream } of this.#open().shards) {
      const [record] = await stream.read(replica.ledgers.next(INGEST_READER), { bytesMax: 1, recordsMax: 1, waitMs: 0 })
      if (record !== undefined) times.push(record.at)
    }
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #onFailed(error: LogError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#deps.logger.fatal({ err: error }, `the log cannot be followed, and the process has to end: ${error.message}`)
    this.#fail(error)
  }

  async #close(): Promise<void> {
    const state = this.#state
    this.#stopping.abort()
    await this.#observing
    if (state !== undefined) {
      await state.retention.stop()
      // The engine may go away meanwhile: then the others find out by themselves that this process is gone.
      if ((this.#failure ?? this.#reachability.why) === undefined) await this.#leave(state)
      state.members.stop()
      this.#state = undefined
    }
    const { shards = [], slot } = this.#opened ?? {}
    for (const { shard } of shards) shard.close()
    await Promise.all(shards.map(({ appender }) => appender.stop()))
    await Promise.all(shards.map(({ books }) => books.stop()))
    await Promise.all(shards.map(({ replica }) => replica.close()))
    for (const { changed } of shards) changed.close()
    await slot?.release()
    await this.#streams.stop()
  }

  /** What waits is appended, and the others hear that this process goes; for `LEAVE_MS_MAX`. */
  async #leave({ journal, shards, members }: Open): Promise<void> {
    const left = new AbortController()
    const leaving = async () => {
      await journal.stop()
      await Promise.all(shards.map(({ appender }) => appender.drained()))
      await members.leave()
    }
    const isLate = delay(LEAVE_MS_MAX, true, { signal: left.signal }).catch(() => false)
    const isDone = leaving().then(
      () => false,
      (error: unknown) => this.#deps.logger.warn({ err: error }, `the log was left half-way: ${messageOf(error)}`),
    )
    if (await Promise.race([isDone, isLate])) this.#deps.logger.warn('the log was left before all was appended')
    left.abort()
  }

  #of(device: string): OpenShard {
    const { shards } = this.#open()
    return shards[shardOf(device, shards.length)] as OpenShard
  }

  #open(): Open {
    if (this.#state === undefined) throw new LogError('log-failed', 'the log is not open')
    return this.#state
  }
}

function sumOf(ledgers: readonly Ledger[]): Ledger {
  const sum = { accepted: 0, stored: 0, deadLettered: 0, pending: 0, balanced: true, readings: 0, superseded: 0 }
  for (const { balanced, ...counts } of ledgers) {
    sum.balanced &&= balanced
    for (const name of Object.keys(counts) as (keyof typeof counts)[]) sum[name] += counts[name]
  }
  return sum
}
