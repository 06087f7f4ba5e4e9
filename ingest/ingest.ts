/**
 * Owns the ingest role: workers that read the log, decode, and write points to the store; and the history that the store
 * answers. `stop()` drains for a bounded time; what is not stored then stays in the log.
 */

import type { Journal } from '../log/journal.ts'
import { INGEST_READER, type Log, type Shards } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import type { Part } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { History } from '../schemas/history.ts'
import { Coordinator, type CoordinatorDependencies } from './coordinator.ts'
import { IngestMetrics, StoreState } from './ingest-metrics.ts'
import { Leases } from './leases.ts'
import { Parked, type ParkedDependencies } from './parked.ts'
import { STORES, type StoreOptions } from './stores.ts'
import { WorkerThread } from './worker-thread.ts'

const FIRST = 0

export interface IngestOptions {
  /** Threads; an embedded store is written by one, whatever this says. */
  readonly workers: number
  readonly store: StoreOptions
  readonly schemas: CurrentSchemas
  /** No reading's time is before it, milliseconds; undefined: as by default. */
  readonly readingTimeMinMs?: number
  /** The directory of what is learnt of columns (maps/made-streams.ts). */
  readonly learnt?: string
}

export interface IngestDependencies {
  readonly log: Shards & ParkedDependencies['log'] & Pick<Log, 'members' | 'roles' | 'claim' | 'release'>
  readonly foreign?: CoordinatorDependencies['foreign']
  /** Is told when the store goes away and comes back. */
  readonly journal?: Pick<Journal, 'notePlatform'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export class Ingest implements Part {
  readonly name = 'ingest'
  readonly #coordinator: Coordinator
  readonly #parked: Parked
  readonly #options: IngestOptions
  readonly #log: IngestDependencies['log']
  /** Where others may ingest the same log. */
  readonly #leases: Leases | undefined
  /** Who ingests the first shard looks for what waits for its schema, in all. */
  #hasFirst = false
  #stopping: Promise<void> | undefined

  constructor(options: IngestOptions, { log, foreign, journal, clock, logger, metrics }: IngestDependencies) {
    this.#options = options
    this.#log = log
    const instruments = new IngestMetrics(metrics, async () => (await log.ledger(INGEST_READER)).pending)
    const storeState = new StoreState(logger, instruments, clock, journal)
    const { writersMax, writes } = STORES[options.store.kind]
    const workers = Math.min(options.workers, writersMax)
    const { store, schemas, readingTimeMinMs, learnt } = options
    const setup = { workers, store, readingTimeMinMs, learnt }
    const { members } = log
    const others = members.isShared
      ? { areSure: () => this.#leases?.areSure === true, passed: (shard: number) => this.#leases?.passed(shard) }
      : undefined
    const coordinator = new Coordinator(
      {
        workers,
        writes,
        makeThread: (index, events) => {
          const { length: shards } = log.shards
          return new WorkerThread({ index, shards, schemas: schemas.files, ...setup }, events)
        },
      },
      { log, others, foreign, clock, logger, metrics: instruments, storeState },
    )
    this.#coordinator = coordinator
    this.#leases =
      others &&
      new Leases({
        log,
        isWhole: STORES[options.store.kind].isEmbedded,
        logger,
        begin: (shards) => this.#begin(shards),
        end: (shard) => this.#end(shard),
        lose: (shard) => this.#lose(shard),
        looked: () => coordinator.look(),
        failed: (error) => coordinator.giveUp(error),
      })
    this.#parked = new Parked({ log, logger, replayed: (messages) => instruments.replayed(messages) })
    let { files } = schemas
    schemas.onChange(() => {
      // What was learnt of columns every thread learns by itself.
      if (schemas.files === files) return
      files = schemas.files
      this.#coordinator.useSchemas(files)
      if (this.#hasFirst) this.#parked.look(schemas.registry)
    })
  }

  /** Rejects when ingest cannot go on (workers that die again and again, a log that fails): the process should end. */
  get failed(): Promise<never> {
    return this.#coordinator.failed
  }

  async #begin(shards: readonly number[]): Promise<void> {
    await this.#coordinator.begin(shards)
    if (shards.includes(FIRST)) this.#lookForParked(true)
  }

  async #end(shard: number): Promise<void> {
    if (shard === FIRST) this.#lookForParked(false)
    await this.#coordinator.end(shard)
  }

  #lose(shard: number): void {
    if (shard === FIRST) this.#lookForParked(false)
    this.#coordinator.lose(shard)
  }

  #lookForParked(isOurs: boolean): void {
    this.#hasFirst = isOurs
    if (isOurs) this.#parked.look(this.#options.schemas.registry)
    else this.#parked.rest()
  }

  /** Rejects if the schemas, or an embedded store, cannot be opened. A remote store that is away is no error. */
  async start(): Promise<void> {
    await this.#coordinator.start()
    if (this.#leases === undefined) void this.#begin([...this.#log.shards.keys()])
    else this.#leases.start()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#leases?.stop()
    await this.#parked.stop()
    await this.#coordinator.stop()
  }

  /**
   * History of an embedded store, asked of the thread that has it open. That of a remote store needs no ingest in the
   * process: `createStore(...).history`.
   */
  get history(): History {
    const thread = () => {
      const first = this.#coordinator.firstThread
      if (!STORES[this.#options.store.kind].isEmbedded)
        throw new TelltaleError('history-unsupported', 'ask the remote store itself')
      if (first === undefined) throw new TelltaleError('store-unavailable', 'the embedded store is not open')
      return first
    }
    return {
      readings: async (query, signal) => thread().readings(query, signal),
      latest: async (selections, limit) => thread().latest(selections, limit),
      received: async (query, signal) => thread().received(query, signal),
    }
  }
}
