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
import { LogError } from '../log/log-error.ts'
import { formatPosition, type Offset, type Position } from '../log/position.ts'
import type { Maps } from '../maps/maps.ts'
import type { TellsUnkept } from '../maps/unkept-columns.ts'
import type { Clock } from '../platform/clock.ts'
import type { ConfigWatch } from '../platform/config-watch.ts'
import { INGEST_DRAIN_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { Throttle } from '../platform/throttle.ts'
import type { SchemaFiles } from '../schemas/schema-files.ts'
import { Gathering } from './gathering.ts'
import type { Group, ShardProgress } from './group.ts'
import { IngestError } from './ingest-error.ts'
import type { IngestMetrics, StoreState } from './ingest-metrics.ts'
import { Lane } from './lane.ts'
import { endOf, heldOf, positionOf, readForIngest, type Source, type Start, startOfIngest } from './source.ts'
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

interface InHand {
  readonly group: Group
  readonly lane: Lane
}

const NOTHING_IN_HAND = { group: undefined, lane: undefined }

export interface CoordinatorOptions {
  readonly workers: number
  /** Of each worker's. */
  readonly writes: StoreWrites
  readonly makeThread: (index: number, events: ConstructorParameters<typeof WorkerThread>[1]) => WorkerThread
}

export interface CoordinatorDependencies {
  readonly log: Shards
  /**
   * Where several processes ingest one log: whether none of them can have a shard that is ingested here; and who is told that another has passed
   * entries of one, which ends that.
   */
  readonly others?: { readonly areSure: () => boolean; readonly passed: (shard: number) => void } | undefined
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
  /** Of each shard that is ingested here. */
  readonly #lanes = new Map<number, Lane>()
  /** Sealed and not all reported, oldest first; dense sequences. */
  readonly #groups: InHand[] = []
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
  }

  /** Ingests these shards from now on, each from where it was left. Fails by `failed`. */
  async begin(shards: readonly number[]): Promise<void> {
    const { log, logger } = this.#deps
    try {
      const store = { isEmbedded: false, checkpoint: undefined, ...this.firstThread?.store }
      const start = await startOfIngest(log, store, logger)
      if (this.#stopped) return
      for (const shard of shards) this.#begin(shard, start)
    } catch (error) {
      this.giveUp(error)
    }
  }

  /** Reads nothing more of a shard; resolves when what is in hand of it is done, or cannot be for want of room. */
  async end(shard: number): Promise<void> {
    const lane = this.#lanes.get(shard)
    if (lane === undefined) return
    lane.end()
    const isInHand = () => this.#groups.some((each) => each.lane === lane) || lane.commits.waiting > 0
    while (isInHand() && !lane.isLost && !lane.commits.isWaitingForRoom && !this.#isOver) await this.#moved()
    await lane.commits.settled()
    if (this.#lanes.get(shard) === lane) this.#lanes.delete(shard)
  }

  /** Another process ingests it: what is in hand of it does not count here, and is written no more. */
  lose(shard: number): void {
    this.#lanes.get(shard)?.lose()
    this.#lanes.delete(shard)
    this.#pump()
  }

  /** Looks whether what has to wait for others has to no more. */
  look(): void {
    this.#pump()
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
    await Promise.all([...this.#lanes.values()].map(({ commits }) => commits.settled()))
    await Promise.all(this.#slots.map((slot) => slot.starting))
    await Promise.all(this.#slots.map((slot) => slot.thread?.stop()))
  }

  /** Of a shard something is still to be made into a group, and every worker will take it. */
  #hasMore(): boolean {
    if (this.#isOver || this.#fillable().every(({ builder }) => builder.isEmpty)) return false
    return this.#slots.every(({ thread, index }) => thread && !this.#deps.storeState.isTroubled(index))
  }

  #isDraining(slot: WorkerSlot): boolean {
    return slot.thread !== undefined && slot.has.length > 0 && !this.#deps.storeState.isTroubled(slot.index)
  }

  #begin(index: number, start: Start): void {
    const { log, logger } = this.#deps
    const { [index]: shard } = log.shards
    const { [index]: from } = start.checkpoint
    assert(shard !== undefined && from !== undefined, `the log has no shard ${index}`)
    if (this.#grouped.length === 0) this.#grouped = [...start.store]
    this.#grouped[index] = start.store[index] ?? from
    const events = {
      moved: () => this.#pump(),
      failed: (lane: Lane, error: unknown) => this.#onNotCommitted(lane, error),
    }
    const entriesMax = this.#options.writes.entriesMax * this.#options.workers
    const lane = new Lane({ shard, index, entriesMax, from, logger, ending: this.#following.signal, ...events })
    this.#lanes.set(index, lane)
    this.#read(lane, shard, start).catch((error) => this.giveUp(error))
  }

  async #read(lane: Lane, shard: Shard, start: Start): Promise<void> {
    const { log, logger } = this.#deps
    const { index, ending } = lane
    const sources = readForIngest(log, index, start, logger, ending)
    for await (const source of await this.#gathered(sources, shard, start.store[index] as Offset)) {
      while (!this.#add(lane, source)) await this.#moved()
      if (this.#stopped || ending.aborted) return
    }
  }

  #onNotCommitted(lane: Lane, error: unknown): void {
    const { others, logger } = this.#deps
    const isPassed = error instanceof LogError && error.code === 'log-passed'
    if (!isPassed || others === undefined) {
      this.giveUp(error)
      return
    }
    logger.warn({ shard: lane.index }, `another process ingests a shard that was ingested here: ${error.message}`)
    if (this.#lanes.get(lane.index) === lane) this.lose(lane.index)
    others.passed(lane.index)
  }

  async #gathered(sources: AsyncIterable<Source>, shard: Shard, start: Offset): Promise<AsyncIterable<Source>> {
    const { foreign, clock } = this.#deps
    if (foreign === undefined) return sources
    const gathering = new Gathering({ maps: foreign.maps, clock })
    await gathering.prime(shard, start)
    return gathering.gather(sources)
  }

  #add({ builder, ending }: Lane, source: Source): boolean {
    if (this.#stopped || ending.aborted) return true
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
    for (let lane = this.#due(); lane !== undefined; lane = this.#due()) {
      // What another process took by newer maps is read by them.
      this.#deps.foreign?.watch.look()
      const group = lane.builder.seal(this.#nextSequence, this.#slots.length, (shard, next) => {
        this.#grouped[shard] = next
        return formatPosition(this.#deps.log, this.#grouped)
      })
      if (group === undefined) break
      this.#nextSequence++
      this.#groups.push({ group, lane })
      this.#deps.metrics.group(group)
      this.#handOut()
    }
    this.#wake()
  }

  #fillable(): Lane[] {
    return [...this.#lanes.values()].filter(({ isFillable }) => isFillable)
  }

  /** The shard whose turn it is to become a group now; of several that whose turn was longest ago. */
  #due(): Lane | undefined {
    clearTimeout(this.#sealTimer)
    const filled = this.#fillable().filter(({ builder }) => !builder.isEmpty)
    const [longest] = filled.sort((a, b) => a.builder.sealedAt - b.builder.sealedAt)
    if (longest === undefined || this.#groups.length + this.#waiting() >= INGEST_GROUPS_MAX) return undefined
    const hasCapacity = this.#slots.some(
      ({ thread, next, has }) => thread && has.length < INGEST_GROUPS_PER_WORKER_MAX && next === this.#nextSequence,
    )
    if (!hasCapacity) return undefined
    const waitMs = longest.builder.sealedAt + this.#options.writes.intervalMs - performance.now()
    if (waitMs <= 0 || this.#isEnding) return longest
    const full = filled.find(({ builder }) => builder.isFull)
    if (full === undefined) this.#sealTimer = setTimeout(() => this.#pump(), waitMs)
    return full
  }

  /** Done, and on the way to the log. */
  #waiting(): number {
    let waiting = 0
    for (const { commits } of this.#lanes.values()) if (!commits.isWaitingForRoom) waiting += commits.waiting
    return waiting
  }

  #handOut(): void {
    // What another process may have taken over, and written newer readings of, waits until that is known.
    if (this.#deps.others?.areSure() === false) return
    const first = this.#groups[0]?.group.sequence ?? this.#nextSequence
    for (const slot of this.#slots) {
      while (slot.thread !== undefined && slot.has.length < INGEST_GROUPS_PER_WORKER_MAX) {
        const { group, lane } = this.#groups[slot.next - first] ?? NOTHING_IN_HAND
        if (group === undefined) break
        slot.next++
        if (lane.isLost) {
          group.skip()
          continue
        }
        slot.has.push(group.sequence)
        // It was written before a crash, and not accounted for.
        const isRepeat = group.firstOffset < (slot.held?.[group.shard] ?? 0)
        slot.thread.take(group, isRepeat, slot.isOtherLog)
        slot.isOtherLog = false
      }
    }
    this.#takeDone()
  }

  /** Those that every worker has reported of go to the log, in their order. */
  #takeDone(): void {
    while (this.#groups[0]?.group.isDone) {
      const { group, lane } = this.#groups.shift() as InHand
      if (!group.isAccounted && !lane.isLost) lane.commits.add(this.#progressOf(group))
    }
  }

  #onDone(slot: WorkerSlot, outcome: GroupOutcome): void {
    this.#deps.metrics.outcome(outcome)
    if (outcome.writeMs > 0) this.#deps.storeState.wrote(slot.index)
    slot.has.splice(slot.has.indexOf(outcome.sequence), 1)
    const first = this.#groups[0]?.group.sequence ?? 0
    this.#groups[outcome.sequence - first]?.group.settle(outcome)
    this.#takeDone()
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
        if (trouble.code === 'store-lost') this.giveUp(new IngestError(trouble.code, trouble.message))
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
      this.giveUp(new IngestError('ingest-failed', message, { cause: error }))
      return
    }
    logger.error({ err: error, worker: slot.index }, 'an ingest worker ended; another takes over its groups')
    slot.starting = this.#occupy(slot).catch((cause) => this.#onDeath(slot, cause))
  }

  /** Ends ingest, which cannot go on. */
  giveUp(error: unknown): void {
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
