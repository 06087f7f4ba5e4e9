/**
 * Owns the way of a log entry through ingest: read, handed out, stored or set aside, checkpoint advanced.
 *
 *   log --follow--> filling, of each shard --seal--> groups --every worker its share--> done --in order--> log.advance
 *
 * Always true:
 * - Order: a worker takes the groups in order and writes one at a time, and a device belongs to one worker (`share.ts`).
 *   So the readings of a device are written in log order, whatever the number of workers.
 * - The checkpoint covers only groups of which every worker has reported, without a gap.
 * - A group's bytes are kept until then, so what a dead worker had is handed to its successor.
 * - Writes are of sizes that suit the store (`writes` in its row of the table of stores): entries wait for others of their shard for at
 *   most its `intervalMs`, and not at all after a quiet time, when many wait, or when ingest stops. The shards take turns.
 * Bounds: `INGEST_GROUPS_MAX` groups, `INGEST_GROUPS_PER_WORKER_MAX` at a worker, and of each shard one that is being filled; when full, the log
 *   is not read on.
 * Loses nothing: entries that were not finished are read again after a restart, and writing them again changes nothing.
 */

import assert from 'node:assert/strict'
import type { Shard, Shards } from '../log/log.ts'
import { formatPosition, type Offset, type Position } from '../log/position.ts'
import type { Maps } from '../maps/maps.ts'
import type { TellsUnkept } from '../maps/unkept-columns.ts'
import type { Clock } from '../platform/clock.ts'
import type { ConfigWatch } from '../platform/config-watch.ts'
import { INGEST_DRAIN_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { Throttle } from '../platform/throttle.ts'
import type { SchemaFiles } from '../schemas/schema-files.ts'
import { Commits } from './commits.ts'
import { Gathering } from './gathering.ts'
import { type Group, GroupBuilder, type ShardProgress } from './group.ts'
import { IngestError } from './ingest-error.ts'
import type { IngestMetrics, StoreState } from './ingest-metrics.ts'
import { endOf, heldOf, positionOf, readForIngest, type Source, startOfIngest } from './source.ts'
import type { StoreWrites } from './store.ts'
import type { GroupOutcome } from './worker-messages.ts'
import type { WorkerThread } from './worker-thread.ts'

/** Groups that were read from the log and are not yet stored; at so many, reading the log waits. */
const INGEST_GROUPS_MAX = 4
/** Groups at one worker: one is written while the next is decoded. Of two, so that order is kept, one waits. */
const INGEST_GROUPS_PER_WORKER_MAX = 2
/** A device is told so often, at most, that readings of it replace one another. */
const NOTICES_PER_DEVICE = { burst: 1, perSecond: 1 / 60, waitingMax: 0 }
/** Workers that died within the window below; at one more, ingest ends with an error. */
export const INGEST_WORKER_DEATHS_MAX = 5
const INGEST_WORKER_DEATHS_WINDOW_MS = 60_000

interface WorkerSlot {
  readonly index: number
  /** Undefined while a dead worker is being replaced. */
  thread: WorkerThread | undefined
  /** Up to where an embedded store held everything when its thread began. */
  held: Position | undefined
  /** What its store holds is of another log, or of a state that is no more: told with the first group. */
  isOtherLog: boolean
  /** Sequence of the next group it is to be given. */
  next: number
  /** The thread that is starting for it; never rejects. */
  starting: Promise<void>
  /** Groups it has, by sequence, oldest first. */
  readonly has: number[]
}

export interface CoordinatorOptions {
  readonly workers: number
  /** Of each worker's. */
  readonly writes: StoreWrites
  readonly makeThread: (index: number, events: ConstructorParameters<typeof WorkerThread>[1]) => WorkerThread
}

export interface CoordinatorDependencies {
  readonly log: Shards
  /** There are no foreign topics if it is not given. */
  readonly foreign?:
    | { readonly maps: Maps; readonly watch: Pick<ConfigWatch, 'look'>; readonly unkept?: TellsUnkept }
    | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: IngestMetrics
  readonly storeState: StoreState
}

export class Coordinator {
  readonly #options: CoordinatorOptions
  readonly #deps: CoordinatorDependencies
  readonly #slots: WorkerSlot[]
  /** Of each shard. */
  #builders: readonly GroupBuilder[] = []
  /** Sealed and not all reported, oldest first; dense sequences. */
  readonly #groups: Group[] = []
  /** Of each shard, what is done and waits for the checkpoint; bounded with `#groups`. */
  #commits: readonly Commits[] = []
  /** Up to where each shard was made into groups. */
  #grouped: Offset[] = []
  #nextSequence = 0
  #sealTimer: NodeJS.Timeout | undefined
  readonly #deaths: number[] = []
  readonly #noticed = new Throttle(NOTICES_PER_DEVICE)
  readonly #following = new AbortController()
  /** Called, and replaced, whenever something moved on. */
  #wake: () => void = () => {}
  /** In force; undefined as long as they are those that the threads began with. */
  #schemas: SchemaFiles | undefined
  /** What waits for others need not any more. */
  #isEnding = false
  /** Nothing more is taken. */
  #stopped = false
  /** Nothing more is handed out. */
  #isOver = false
  #fail: (error: Error) => void = () => {}
  /** Rejects when ingest cannot go on. */
  readonly failed: Promise<never>

  constructor(options: CoordinatorOptions, deps: CoordinatorDependencies) {
    this.#options = options
    this.#deps = deps
    this.#slots = Array.from({ length: options.workers }, (_, index) => ({
      index,
      thread: undefined,
      held: undefined,
      isOtherLog: false,
      starting: Promise.resolve(),
      next: 0,
      has: [],
    }))
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    // Whoever owns this may look later; a rejection nobody has seen yet must not end the process.
    this.failed.catch(() => undefined)
  }

  /** The thread that history is asked of, when the store is an embedded one. */
  get firstThread(): WorkerThread | undefined {
    return this.#slots[0]?.thread
  }

  /** Rejects with the reason if a worker cannot start: its schemas, or an embedded store that does not open. */
  async start(): Promise<void> {
    try {
      await Promise.all(
        this.#slots.map((slot) => {
          const occupied = this.#occupy(slot)
          slot.starting = occupied.catch(() => undefined)
          return occupied
        }),
      )
    } catch (error) {
      await this.stop()
      throw error
    }
    void this.#read().catch((error) => this.#giveUp(error))
  }

  /** Every group that is handed out from now on is decoded by these. */
  useSchemas(files: SchemaFiles): void {
    this.#schemas = files
    for (const { thread } of this.#slots) thread?.useSchemas(files)
  }

  /** Drains for at most `INGEST_DRAIN_MS`, but waits for no store that is failing; then ends the workers. */
  async stop(): Promise<void> {
    this.#isEnding = true
    this.#isOver ||= this.#following.signal.aborted
    this.#pump()
    this.#stopped = true
    this.#following.abort()
    let late = false
    const deadline = setTimeout(() => {
      late = true
      this.#wake()
    }, INGEST_DRAIN_MS)
    while (!late && (this.#hasMore() || this.#slots.some((slot) => this.#isDraining(slot)))) await this.#moved()
    this.#isOver = true
    clearTimeout(deadline)
    clearTimeout(this.#sealTimer)
    await Promise.all(this.#commits.map((commits) => commits.settled()))
    await Promise.all(this.#slots.map((slot) => slot.starting))
    await Promise.all(this.#slots.map((slot) => slot.thread?.stop()))
  }

  /** Of a shard something is still to be made into a group, and every worker will take it. */
  #hasMore(): boolean {
    if (this.#isOver || this.#fillable().every(({ isEmpty }) => isEmpty)) return false
    return this.#slots.every(({ thread, index }) => thread && !this.#deps.storeState.isTroubled(index))
  }

  #isDraining(slot: WorkerSlot): boolean {
    return slot.thread !== undefined && slot.has.length > 0 && !this.#deps.storeState.isTroubled(slot.index)
  }

  async #read(): Promise<void> {
    const { log, logger } = this.#deps
    const { signal } = this.#following
    const store = { isEmbedded: false, checkpoint: undefined, ...this.firstThread?.store }
    const start = await startOfIngest(log, store, logger)
    this.#grouped = [...start.store]
    const entriesMax = this.#options.writes.entriesMax * this.#options.workers
    this.#builders = log.shards.map((_shard, index) => new GroupBuilder(index, entriesMax))
    const events = { moved: () => this.#pump(), failed: (error: unknown) => this.#giveUp(error) }
    this.#commits = log.shards.map((shard, index) => {
      const from = start.checkpoint[index] as Offset
      return new Commits({ shard, from, logger, ending: signal, ...events })
    })
    await Promise.all(
      log.shards.map(async (shard, index) => {
        const sources = readForIngest(log, index, start, logger, signal)
        for await (const source of await this.#gathered(sources, shard, start.store[index] as Offset)) {
          while (!this.#add(source)) await this.#moved()
          if (this.#stopped) return
        }
      }),
    )
  }

  async #gathered(sources: AsyncIterable<Source>, shard: Shard, start: Offset): Promise<AsyncIterable<Source>> {
    const { foreign, clock } = this.#deps
    if (foreign === undefined) return sources
    const gathering = new Gathering({ maps: foreign.maps, clock })
    await gathering.prime(shard, start)
    return gathering.gather(sources)
  }

  #add(source: Source): boolean {
    if (this.#stopped) return true
    const { [source.shard]: builder } = this.#builders
    assert(builder, `the log has no shard ${source.shard}`)
    const added = builder.add(source)
    this.#pump()
    return added
  }

  /** Hands out what can be handed out. */
  #pump(): void {
    if (this.#isOver) {
      this.#wake()
      return
    }
    this.#handOut()
    for (let builder = this.#due(); builder !== undefined; builder = this.#due()) {
      // What another process took by newer maps is read by them.
      this.#deps.foreign?.watch.look()
      const group = builder.seal(this.#nextSequence, this.#slots.length, (shard, next) => {
        this.#grouped[shard] = next
        return formatPosition(this.#deps.log, this.#grouped)
      })
      if (group === undefined) break
      this.#nextSequence++
      this.#groups.push(group)
      this.#deps.metrics.group(group)
      this.#handOut()
    }
    this.#wake()
  }

  /** Of a shard without room for dead letters nothing more is handed out, so that it does not take the places of the others. */
  #fillable(): GroupBuilder[] {
    return this.#builders.filter((_builder, shard) => this.#commits[shard]?.isWaitingForRoom === false)
  }

  /** The shard whose turn it is to become a group now; of several that whose turn was longest ago. */
  #due(): GroupBuilder | undefined {
    clearTimeout(this.#sealTimer)
    const filled = this.#fillable().filter(({ isEmpty }) => !isEmpty)
    const [longest] = filled.sort((a, b) => a.sealedAt - b.sealedAt)
    const waiting = this.#commits.reduce((sum, commits) => sum + (commits.isWaitingForRoom ? 0 : commits.waiting), 0)
    if (longest === undefined || this.#groups.length + waiting >= INGEST_GROUPS_MAX) return undefined
    const hasCapacity = this.#slots.some(
      ({ thread, next, has }) => thread && has.length < INGEST_GROUPS_PER_WORKER_MAX && next === this.#nextSequence,
    )
    if (!hasCapacity) return undefined
    const waitMs = longest.sealedAt + this.#options.writes.intervalMs - performance.now()
    if (waitMs <= 0 || this.#isEnding) return longest
    const full = filled.find(({ isFull }) => isFull)
    if (full === undefined) this.#sealTimer = setTimeout(() => this.#pump(), waitMs)
    return full
  }

  #handOut(): void {
    const first = this.#groups[0]?.sequence ?? this.#nextSequence
    for (const slot of this.#slots) {
      while (slot.thread !== undefined && slot.has.length < INGEST_GROUPS_PER_WORKER_MAX) {
        const group = this.#groups[slot.next - first]
        if (group === undefined) break
        slot.next++
        slot.has.push(group.sequence)
        // It was written before a crash, and not accounted for.
        const isRepeat = group.firstOffset < (slot.held?.[group.shard] ?? 0)
        slot.thread.take(group, isRepeat, slot.isOtherLog)
        slot.isOtherLog = false
      }
    }
  }

  #onDone(slot: WorkerSlot, outcome: GroupOutcome): void {
    this.#deps.metrics.outcome(outcome)
    if (outcome.writeMs > 0) this.#deps.storeState.wrote(slot.index)
    slot.has.splice(slot.has.indexOf(outcome.sequence), 1)
    const first = this.#groups[0]?.sequence ?? 0
    this.#groups[outcome.sequence - first]?.settle(outcome)
    while (this.#groups[0]?.isDone) {
      const group = this.#groups.shift()
      if (group === undefined || group.isAccounted) continue
      const { [group.shard]: commits } = this.#commits
      assert(commits, `the log has no shard ${group.shard}`)
      commits.add(this.#progressOf(group))
    }
    this.#pump()
  }

  #progressOf(group: Group): ShardProgress {
    const progress = group.progress()
    const now = this.#deps.clock.now()
    const due = progress.notices?.filter(({ device }) => this.#noticed.wait(now, device) !== undefined)
    return { ...progress, notices: due ?? [] }
  }

  async #occupy(slot: WorkerSlot): Promise<void> {
    const end = await endOf(this.#deps.log)
    const thread = this.#options.makeThread(slot.index, {
      onDone: (outcome) => this.#onDone(slot, outcome),
      onTrouble: (trouble) => {
        this.#deps.storeState.failed(slot.index, trouble)
        // What it lacks now is written again at the next start.
        if (trouble.code === 'store-lost') this.#giveUp(new IngestError(trouble.code, trouble.message))
        this.#wake()
      },
      onUnkept: (unkept) => this.#deps.foreign?.unkept?.(unkept),
      onDeath: (error) => this.#onDeath(slot, error),
    })
    await thread.start()
    // They may have changed since the thread was made.
    if (this.#schemas !== undefined) thread.useSchemas(this.#schemas)
    const { checkpoint } = thread
    slot.thread = thread
    slot.held = checkpoint === undefined ? undefined : positionOf(this.#deps.log, checkpoint)
    slot.isOtherLog = checkpoint !== undefined && heldOf(this.#deps.log, checkpoint, end) === undefined
    this.#pump()
  }

  /** Its groups go to its successor; too many deaths in a short time end ingest. */
  #onDeath(slot: WorkerSlot, error: Error): void {
    const { clock, logger, metrics, storeState } = this.#deps
    metrics.death()
    storeState.forget(slot.index)
    slot.thread = undefined
    slot.next = slot.has[0] ?? slot.next
    slot.has.length = 0
    this.#wake()
    if (this.#stopped) return
    const now = clock.now()
    this.#deaths.push(now)
    while ((this.#deaths[0] ?? now) < now - INGEST_WORKER_DEATHS_WINDOW_MS) this.#deaths.shift()
    if (this.#deaths.length > INGEST_WORKER_DEATHS_MAX) {
      const message = `ingest workers ended ${this.#deaths.length} times within ${INGEST_WORKER_DEATHS_WINDOW_MS / 1000} s, last: ${error.message}`
      this.#giveUp(new IngestError('ingest-failed', message, { cause: error }))
      return
    }
    logger.error({ err: error, worker: slot.index }, 'an ingest worker ended; another takes over its groups')
    slot.starting = this.#occupy(slot).catch((cause) => this.#onDeath(slot, cause))
  }

  #giveUp(error: unknown): void {
    if (this.#stopped) return
    this.#following.abort()
    this.#fail(error instanceof Error ? error : new IngestError('ingest-failed', String(error)))
    this.#wake()
  }

  /** Resolves at the next change. */
  #moved(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        this.#wake = () => {}
        before()
        resolve()
      }
    })
  }
}
