/**
 * Owns the gateway's place in the log: reads each batch once, in order; decodes it; keeps the table of last readings;
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
 * batch is held at a time. Losing: what retention removed before it was read, told by a `gap` to every group.
 */

import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { type Batch, type Entry, REPLAYED, readEntries } from '../log/entry.ts'
import { type EntryReader, INGEST_READER, type Ledgers } from '../log/log.ts'
import type { Position } from '../log/position.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { LATEST_WARM_UP_MS_MAX } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { Decoder } from '../schemas/decoder.ts'
import { Rejection } from '../schemas/reading.ts'
import { BatchFrames } from './batch-frames.ts'
import { formatCursor } from './cursor.ts'
import { gapFrame } from './frames.ts'
import type { Group, Groups } from './groups.ts'
import type { Latest } from './latest.ts'
import type { GatewayMetrics } from './metrics.ts'

/** Payload bytes that the tail handles before other work gets its turn; at least one entry. */
export const TAIL_BYTES_PER_TURN = 64 * 1024
/** How long the tail waits after the log failed before it reads on. */
const TAIL_RETRY_MS = 1_000

export interface TailDependencies {
  readonly log: EntryReader & Pick<Ledgers, 'checkpoint'>
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
  #position: Position | undefined
  #problem: string | undefined = 'the live tail has not started'
  #running: Promise<void> | undefined

  constructor(dependencies: TailDependencies) {
    this.#dependencies = dependencies
  }

  /** Why nothing is delivered just now; undefined when all is well. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** The cursor after everything that was published. */
  get cursor(): string {
    return this.#position === undefined ? '' : formatCursor(this.#position)
  }

  /** Resolves when the tail is live. Rejects with a `LogError` if the log cannot be read. */
  async start(): Promise<void> {
    const end = await this.#dependencies.log.end()
    await this.#warmUp(end)
    this.#position = end
    this.#problem = undefined
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #warmUp(end: Position): Promise<void> {
    const { log, decoder, latest, clock, logger } = this.#dependencies
    const deadline = clock.now() + LATEST_WARM_UP_MS_MAX
    let position = (await log.checkpoint(INGEST_READER)) ?? (await log.first())
    while (log.compare(position, end) < 0 && !this.#stopping.signal.aborted) {
      const batch = await log.read(position)
      if (batch === undefined) return
      for (const piece of piecesOf(batch)) {
        for (const entry of piece) if (isTelemetry(entry)) latest.take(entry, decoder.decode(entry))
        await nextTurn()
      }
      position = batch.next
      if (clock.now() > deadline) {
        logger.warn(
          { position },
          'too much of the log is not stored yet: last readings of quiet devices may be missing',
        )
        return
      }
    }
  }

  async #run(): Promise<void> {
    const { log, logger } = this.#dependencies
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        for await (const batch of log.follow(this.#from(), signal)) {
          this.#problem = undefined
          await this.#take(batch)
        }
      } catch (error) {
        if (signal.aborted) return
        this.#problem = `the log cannot be read: ${messageOf(error)}`
        logger.error({ err: error }, 'the live tail stopped, and will try again')
        await delay(TAIL_RETRY_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  #from(): Position {
    if (this.#position === undefined) throw new Error('the tail was not started')
    return this.#position
  }

  async #take(batch: Batch): Promise<void> {
    const { groups, latest, log, decoder, metrics } = this.#dependencies
    if (batch.missed > 0) this.#position = this.#tellGap(batch)
    const frames = new BatchFrames(batch, this.#from(), this.#dependencies)
    let offset = batch.firstOffset - 1
    for (const piece of piecesOf(batch)) {
      for (const entry of piece) {
        if (!isTelemetry(entry)) continue
        const readings = decoder.decode(entry)
        latest.take(entry, readings)
        if (readings instanceof Rejection) continue // Ingest sets it aside and says why.
        frames.add(entry.offset, readings, groups.match(entry.device, entry.stream))
      }
      offset += piece.length
      this.#position = log.positionAfter(batch, offset)
      frames.flush(this.#position)
      metrics.entries.inc(piece.length)
      // Sockets get their turn between pieces, also while the tail is behind.
      await nextTurn()
    }
  }

  /** Tells every group that entries before this batch are gone; returns the position after the gap. */
  #tellGap(batch: Batch): Position {
    const { groups, log, publish, logger } = this.#dependencies
    const position = log.positionAfter(batch, batch.firstOffset - 1)
    const before = formatCursor(position)
    const gap = { after: this.cursor, before, reason: 'retention', missed: batch.missed } as const
    logger.warn({ missed: batch.missed }, 'retention removed entries before they were sent to apps')
    for (const group of groups.all()) publish(group, gapFrame(group.name, gap), 0)
    return position
  }
}

/** A message, or one appended again that apps have not had. One that was decoded before (`DELIVERED_LIVE`) would come twice. */
const isTelemetry = (entry: Entry) => (entry.flags & ~REPLAYED) === 0

/** The entries of a batch in pieces of at most `TAIL_BYTES_PER_TURN` of payload, but at least one entry. */
function* piecesOf(batch: Batch): Generator<readonly Entry[]> {
  let piece: Entry[] = []
  let bytes = 0
  for (const entry of readEntries(batch.bytes, batch.firstOffset)) {
    bytes += entry.payload.length
    if (bytes > TAIL_BYTES_PER_TURN && piece.length > 0) {
      yield piece
      piece = []
      bytes = entry.payload.length
    }
    piece.push(entry)
  }
  yield piece
}
