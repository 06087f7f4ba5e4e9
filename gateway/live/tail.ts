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
import { type Batch, type Entry, REPLAYED, readEntries } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import { formatPosition, type Offset, type Position } from '../../log/position.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { LATEST_WARM_UP_MS_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { Rejection } from '../../schemas/reading.ts'
import type { Latest } from '../latest.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { BatchFrames } from './batch-frames.ts'
import { formatCursor } from './cursor.ts'
import { gapFrame } from './frames.ts'
import type { Group, Groups } from './groups.ts'

/** Payload bytes that the tail handles before other work gets its turn; at least one entry. */
export const TAIL_BYTES_PER_TURN = 64 * 1024
/** How long the tail waits after the log failed before it reads on. */
const TAIL_RETRY_MS = 1_000

type TailedShard = Pick<Shard, 'first' | 'end' | 'read' | 'follow' | 'checkpoint'>

export interface TailDependencies {
  readonly log: { readonly id: string; readonly shards: readonly TailedShard[] }
  readonly decoder: Pick<Decoder, 'decode'>
  readonly latest: Latest
  readonly groups: Groups
  /** Sends `frame`, of `readings` readings, to every socket of the group. */
  readonly publish: (group: Group, frame: string, readings: number) => void
  readonly tagsOf: (stream: string) => ReadonlySet<string>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
}

export class Tail {
  readonly #dependencies: TailDependencies
  readonly #stopping = new AbortController()
  /** After everything that was published; empty until it is live. */
  #position: Position = []
  /** Of each shard that cannot be read just now, why. */
  readonly #problems = new Map<number, string>()
  #running: Promise<unknown> | undefined

  constructor(dependencies: TailDependencies) {
    this.#dependencies = dependencies
  }

  /** Why nothing is delivered just now; undefined when all is well. */
  get problem(): string | undefined {
    if (this.#running === undefined) return 'the live tail has not started'
    for (const problem of this.#problems.values()) return problem
    return undefined
  }

  /** The cursor after everything that was published. */
  get cursor(): string {
    return this.#running === undefined ? '' : formatCursor(this.#dependencies.log, this.#position)
  }

  /** Resolves when the tail is live. Rejects with a `LogError` if the log cannot be read. */
  async start(): Promise<void> {
    const { shards } = this.#dependencies.log
    const end = await Promise.all(shards.map((shard) => shard.end()))
    await this.#warmUp(end)
    this.#position = end
    this.#running = Promise.all(shards.map((shard, index) => this.#run(shard, index)))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #warmUp(end: Position): Promise<void> {
    const { log, clock, logger } = this.#dependencies
    const deadline = clock.now() + LATEST_WARM_UP_MS_MAX
    const reached: Offset[] = []
    for (const [index, shard] of log.shards.entries()) {
      reached.push(await this.#warmUpBy(shard, end[index] ?? (await shard.first()), deadline))
    }
    if (reached.every((offset, index) => offset === end[index]) || this.#stopping.signal.aborted) return
    logger.warn(
      { position: formatPosition(log, reached) },
      'too much of the log is not stored yet: last readings of quiet devices may be missing',
    )
  }

  /** Resolves with `end`, or with how far it came before the deadline. */
  async #warmUpBy(shard: TailedShard, end: Offset, deadline: number): Promise<Offset> {
    const { decoder, latest, clock } = this.#dependencies
    let offset = (await shard.checkpoint(INGEST_READER)) ?? (await shard.first())
    while (offset < end && clock.now() <= deadline && !this.#stopping.signal.aborted) {
      const batch = await shard.read(offset)
      if (batch === undefined) return end
      for (const { entries } of piecesOf(batch)) {
        for (const entry of entries) if (isTelemetry(entry)) latest.take(entry, decoder.decode(entry))
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
    const { [shard]: offset } = this.#position
    assert(offset !== undefined, `the tail has no place in shard ${shard}`)
    return offset
  }

  async #take(shard: number, batch: Batch): Promise<void> {
    const { groups, latest, log, decoder, metrics } = this.#dependencies
    if (batch.missed > 0) this.#tellGap(shard, batch)
    const frames = new BatchFrames({
      ...this.#dependencies,
      cursorAt: (offset, readings) => formatCursor(log, this.#position.with(shard, offset), { shard, readings }),
    })
    for (const { entries, next } of piecesOf(batch)) {
      for (const entry of entries) {
        if (!isTelemetry(entry)) continue
        const readings = decoder.decode(entry)
        latest.take(entry, readings)
        if (readings instanceof Rejection) continue // Ingest sets it aside and says why.
        frames.add(entry.offset, readings, groups.match(entry.device, entry.stream))
      }
      this.#position = this.#position.with(shard, next)
      frames.flush(this.cursor)
      metrics.entries.inc(entries.length)
      // Sockets get their turn between pieces, also while the tail is behind.
      await nextTurn()
    }
  }

  /** Tells every group that entries before this batch are gone, and goes on after them. */
  #tellGap(shard: number, batch: Batch): void {
    const { groups, publish, logger } = this.#dependencies
    const after = this.cursor
    this.#position = this.#position.with(shard, batch.firstOffset)
    const gap = { after, before: this.cursor, reason: 'retention', missed: batch.missed } as const
    logger.warn({ missed: batch.missed }, 'retention removed entries before they were sent to apps')
    for (const group of groups.all()) publish(group, gapFrame(group.name, gap), 0)
  }
}

/** A message, or one appended again that apps have not had. One that was decoded before (`DELIVERED_LIVE`) would come twice. */
const isTelemetry = (entry: Entry) => (entry.flags & ~REPLAYED) === 0

interface Piece {
  readonly entries: readonly Entry[]
  /** Of the entry after it. */
  readonly next: Offset
}

/** The entries of a batch in pieces of at most `TAIL_BYTES_PER_TURN` of payload, but at least one entry. */
function* piecesOf(batch: Batch): Generator<Piece> {
  let entries: Entry[] = []
  let bytes = 0
  for (const entry of readEntries(batch)) {
    bytes += entry.payload.length
    if (bytes > TAIL_BYTES_PER_TURN && entries.length > 0) {
      yield { entries, next: entry.offset }
      entries = []
      bytes = entry.payload.length
    }
    entries.push(entry)
  }
  yield { entries, next: batch.next }
}
