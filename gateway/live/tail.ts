/**
 * Owns the gateway's place in the log: reads each batch of each shard once, in order; decodes it; keeps the table of last readings;
 * encodes what a group wants once a group; and publishes. Others get their turn after each piece of a batch, at which
 * everything of it has been published.
 *
 *   idle --start()--> warming up --reached where the log ended--> live --stop()--> stopped
 *
 * While warming up, from ingest's checkpoint on, what the store cannot know yet goes into the table and nothing is
 * published. The live part begins exactly at the log's end as it was at the start. Warming up is cut short after
 * `LATEST_WARM_UP_MS_MAX`, and says so: then the last readings of quiet devices may be missing from the table.
 *
 * Always true: a frame's cursor lies after every reading sent so far and before every reading not sent yet. Bound: one
 * batch of each shard is held at a time. Losing: what retention removed before it was read, told by a `gap` to every group.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, Entry } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import { formatPosition, type Offset, type Position } from '../../log/position.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { LATEST_WARM_UP_MS_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import type { Latest } from '../latest.ts'
import { type LiveFate, LiveSends } from '../live-sends.ts'
import type { GatewayMetrics } from '../metrics.ts'
import type { Frame } from '../server/server.ts'
import { AwaitedSchemas } from './awaited.ts'
import { type Cursor, formatCursor, WHOLE } from './cursor.ts'
import type { Feed } from './feed.ts'
import { gapFrame } from './frames.ts'
import type { Group, Groups } from './groups.ts'
import type { LiveEdge } from './log-past.ts'
import { Message } from './message.ts'
import { isTelemetry, outcomeOf, piecesOf, readingsOf } from './telemetry.ts'

/** How long the tail waits after the log failed before it reads on. */
const TAIL_RETRY_MS = 1_000
/** How often it is looked whether windows of subscriptions with a rate are over, while there are such. */
const LIVE_TICK_MS = 20

type TailedShard = Pick<Shard, 'first' | 'end' | 'read' | 'follow' | 'checkpoint' | 'undecoded'>

export interface TailDependencies {
  readonly log: { readonly id: string; readonly shards: readonly TailedShard[] }
  readonly decoder: Pick<Decoder, 'decode' | 'show'>
  readonly latest: Latest
  readonly groups: Groups
  /** Sends `frame`, of `readings` readings, to every app of the group. */
  readonly publish: (group: Group, frame: Frame, readings: number) => void
  /** All of a turn was published. */
  readonly published: () => void
  readonly tagsOf: (stream: string) => ReadonlySet<string>
  /** Given the readings of each message, in its order and once, while it is watching. */
  readonly watcher?:
    | { readonly isWatching: boolean; take(entry: Entry, readings: readonly Reading[]): void }
    | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
}

export class Tail implements LiveEdge {
  readonly #dependencies: TailDependencies
  readonly #stopping = new AbortController()
  /** After everything that was taken in; without a position until it is live. */
  #place: Cursor = { position: [], part: WHOLE, receivedAt: 0 }
  #moving: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #ticking: NodeJS.Timeout | undefined
  /** Of each shard that cannot be read just now, why. */
  readonly #problems = new Map<number, string>()
  #running: Promise<unknown> | undefined
  readonly #awaited: AwaitedSchemas
  readonly #sends = new LiveSends()

  constructor(dependencies: TailDependencies) {
    this.#dependencies = dependencies
    this.#awaited = new AwaitedSchemas({ ...dependencies, late: (entries) => this.#takeLate(entries) })
  }

  /** Why nothing is delivered just now; undefined when all is well. */
  get problem(): string | undefined {
    if (this.#running === undefined) return 'the live tail has not started'
    for (const problem of this.#problems.values()) return problem
    return undefined
  }

  /** Resolves when it is live, with whether it is: not if it was stopped before. */
  async live(): Promise<boolean> {
    while (this.#place.position.length === 0 && !this.#stopping.signal.aborted) await this.moved()
    return !this.#stopping.signal.aborted
  }

  /** The place after everything that was taken in: published, or waiting for the end of a window. */
  get place(): Cursor {
    return this.#place
  }

  /** What apps have had live of an entry. */
  fateOf(shard: number, offset: Offset): LiveFate {
    return this.#sends.of(shard, offset, this.#place.position[shard] ?? (0 as Offset))
  }

  /** Resolves when more was taken in or published. */
  moved(): Promise<void> {
    if (this.#moving === undefined) {
      let resolve = () => {}
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.#moving = { promise, resolve }
    }
    return this.#moving.promise
  }

  /** Resolves when the tail is live. Rejects with a `LogError` if the log cannot be read. */
  async start(): Promise<void> {
    const { shards } = this.#dependencies.log
    const end = await Promise.all(shards.map((shard) => shard.end()))
    await this.#warmUp(end)
    this.#place = { position: end, part: WHOLE, receivedAt: this.#dependencies.clock.now() }
    this.#sends.begin(end)
    this.#running = Promise.all(shards.map((shard, index) => this.#run(shard, index)))
    this.#noteMoved()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#awaited.stop()
    clearInterval(this.#ticking)
    await this.#running
    this.#noteMoved()
  }

  async #warmUp(end: Position): Promise<void> {
    const { log, clock, logger } = this.#dependencies
    const deadline = clock.now() + LATEST_WARM_UP_MS_MAX
    const reached = await Promise.all(
      log.shards.map(async (shard, index) => {
        return this.#warmUpBy(shard, index, end[index] ?? (await shard.first()), deadline)
      }),
    )
    if (reached.every((offset, index) => offset === end[index]) || this.#stopping.signal.aborted) return
    logger.warn(
      { position: formatPosition(log, reached) },
      'too much of the log is not stored yet: last readings of quiet devices may be missing',
    )
  }

  /** Resolves with `end`, or with how far it came before the deadline. */
  async #warmUpBy(shard: TailedShard, index: number, end: Offset, deadline: number): Promise<Offset> {
    const { decoder, latest, clock } = this.#dependencies
    let offset = (await shard.checkpoint(INGEST_READER)) ?? (await shard.first())
    while (offset < end && clock.now() <= deadline && !this.#stopping.signal.aborted) {
      const batch = await shard.read(offset)
      if (batch === undefined) return end
      for (const { entries } of piecesOf(batch)) {
        for (const entry of entries) {
          if (!isTelemetry(entry)) continue
          const outcome = outcomeOf(entry, decoder)
          // Nor could the gateway of before.
          if (outcome instanceof Rejection) this.#awaited.note(index, entry, outcome)
          latest.take(entry, outcome instanceof Rejection ? undefined : outcome)
        }
        await nextTurn()
      }
      offset = batch.next
    }
    return offset < end ? offset : end
  }

  async #run(shard: TailedShard, index: number): Promise<void> {
    const { logger } = this.#dependencies
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        for await (const batch of shard.follow(this.#offset(index), signal)) {
          this.#problems.delete(index)
          await this.#take(index, batch)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#problems.set(index, `the log cannot be read: ${messageOf(error)}`)
        logger.error({ err: error }, 'the live tail stopped, and will try again')
        await delay(TAIL_RETRY_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  #offset(shard: number): Offset {
    const { [shard]: offset } = this.#place.position
    assert(offset !== undefined, `the tail has no place in shard ${shard}`)
    return offset
  }

  async #take(shard: number, batch: Batch): Promise<void> {
    const { published, metrics, clock } = this.#dependencies
    if (batch.missed > 0) this.#tellGap(shard, batch)
    for (const { entries, next } of piecesOf(batch)) {
      const feeds = new Set<Feed>()
      const now = clock.now()
      for (const entry of entries) this.#takeEntry(shard, entry, feeds, now)
      this.#place = { ...this.#place, position: this.#place.position.with(shard, next) }
      for (const feed of feeds) feed.flush(this.#place)
      metrics.entries.inc(entries.length)
      published()
      this.#noteMoved()
      // Apps get their turn between pieces, also while the tail is behind.
      await nextTurn()
    }
  }

  #takeEntry(shard: number, entry: Entry, feeds: Set<Feed>, now: number): void {
    const { decoder } = this.#dependencies
    if (!isTelemetry(entry)) return
    const outcome = outcomeOf(entry, decoder)
    if (outcome instanceof Rejection) this.#awaited.note(shard, entry, outcome)
    const { position } = this.#place
    this.#give(shard, entry, outcome instanceof Rejection ? undefined : outcome, feeds, now, (index) => ({
      position: position.with(shard, entry.offset),
      part: { shard, readings: index },
    }))
  }

  /** What could not be read when it was its turn: it stands before what comes next, and an app that comes back then is not sent it. */
  #takeLate(entries: readonly { readonly shard: number; readonly entry: Entry }[]): void {
    const { decoder, published, clock } = this.#dependencies
    const feeds = new Set<Feed>()
    const now = clock.now()
    for (const { shard, entry } of entries)
      this.#give(shard, entry, readingsOf(entry, decoder), feeds, now, () => this.#place)
    for (const feed of feeds) feed.flush(this.#place)
    published()
    this.#noteMoved()
  }

  #give(
    shard: number,
    entry: Entry,
    readings: readonly Reading[] | undefined,
    feeds: Set<Feed>,
    now: number,
    placeBefore: (index: number) => Pick<Cursor, 'position' | 'part'>,
  ): void {
    const { groups, latest, decoder, tagsOf, watcher } = this.#dependencies
    latest.take(entry, readings)
    if (readings === undefined) return
    if (watcher?.isWatching === true) watcher.take(entry, readings)
    if (latest.wantsFormat(entry)) latest.takeFormat(entry, decoder.show(entry).json)
    if (entry.receivedAt > this.#place.receivedAt) this.#place = { ...this.#place, receivedAt: entry.receivedAt }
    const wanting = groups.match(entry.device, entry.stream)
    if (wanting.length === 0) {
      this.#sends.note(shard, entry.offset, now, 0, 0)
      return
    }
    const { receivedAt } = this.#place
    const before = (index: number): Cursor => ({ ...placeBefore(index), receivedAt })
    const message = new Message(entry, readings, { before }, tagsOf)
    let atOnce = 0
    let reduced = 0
    for (const { feed, live, wanted } of wanting) {
      feeds.add(feed)
      if (!feed.take(message)) continue
      if (wanted.rate === undefined) atOnce += live
      else reduced += live
    }
    this.#sends.note(shard, entry.offset, now, atOnce, reduced)
  }

  /** Sees to it that windows end also while nothing comes: there is a subscription with a rate. */
  keepTime(): void {
    this.#ticking ??= setInterval(() => this.#tick(), LIVE_TICK_MS).unref()
  }

  /** Publishes what windows that are over hold. */
  #tick(): void {
    const { groups, clock, published } = this.#dependencies
    if (groups.reduced.size === 0) {
      clearInterval(this.#ticking)
      this.#ticking = undefined
    }
    const now = clock.now()
    for (const { feed } of groups.reduced) feed.tick(now, this.#place)
    published()
    this.#noteMoved()
  }

  #noteMoved(): void {
    this.#moving?.resolve()
    this.#moving = undefined
  }

  /** Tells every group that entries before this batch are gone, and goes on after them. */
  #tellGap(shard: number, batch: Batch): void {
    const { groups, publish, logger, log } = this.#dependencies
    for (const { feed } of groups.reduced) feed.finish(this.#place)
    const after = formatCursor(log, this.#place)
    this.#place = { ...this.#place, position: this.#place.position.with(shard, batch.firstOffset) }
    const before = formatCursor(log, this.#place)
    const gap = { after, before, reason: 'retention', missed: batch.missed } as const
    logger.warn({ missed: batch.missed }, 'retention removed entries before they were sent to apps')
    for (const group of groups.all()) publish(group, gapFrame(group.name, gap), 0)
  }
}
