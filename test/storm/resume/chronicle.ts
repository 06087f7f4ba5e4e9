/**
 * Owns what the log held, as one that read along from its beginning has it: the readings that apps are to have, in the order of
 * the log, and where each stands. Against this an app's own log is held.
 *
 * Always true: a reading is in it once the log has it; it fails if retention was faster than it.
 */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type Cursor, parseCursor } from '../../../gateway/live/cursor.ts'
import { DELIVERED_LIVE, type Entry, REPLAYED, readEntries } from '../../../log/entry.ts'
import { LocalLog } from '../../../log/local/local-log.ts'
import { INGEST_READER } from '../../../log/log.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import { Rejection } from '../../../schemas/reading.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { until } from '../../until.ts'
import { numberOf } from './fleet.ts'

export class Chronicle {
  readonly log: LocalLog
  /** Of each reading: its device, its number there, its message's offset, its place in the message, and when that was received. */
  readonly devices: string[] = []
  readonly numbers: number[] = []
  readonly offsets: number[] = []
  readonly indexes: number[] = []
  readonly received: number[] = []
  /** After all that it has read. */
  end = 0
  /** The platform has the schema of the pumps. */
  knowsPump = false
  readonly #decoder: Decoder
  readonly #beganAt: number
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #failure: unknown

  constructor(dataDirectory: string, registry: Registry, beganAt: number) {
    this.#decoder = new Decoder(registry)
    this.#beganAt = beganAt
    this.log = new LocalLog(
      { directory: join(dataDirectory, 'log'), writer: false, maxBytes: 2 ** 30, retentionMs: 86_400_000 },
      { clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
    )
  }

  async start(): Promise<void> {
    await this.log.start()
    this.#running = this.#run().catch((error: unknown) => {
      this.#failure = error
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    await this.log.stop()
  }

  get #shard() {
    return this.log.shards[0] ?? assert.fail('a log has a shard')
  }

  /** The oldest offset that the log still has. */
  first(): Promise<number> {
    return this.#shard.first()
  }

  /** Resolves when it has read all that the log has at this instant, with the offset after it. */
  async whole(): Promise<number> {
    const end = await this.#shard.end()
    const isWhole = () => {
      this.requireSound()
      return this.end >= end
    }
    await until(isWhole, () => `the chronicle has read ${this.end} of ${end}`)
    return end
  }

  /** Resolves when ingest has come to this offset. */
  async ingested(end: number): Promise<void> {
    await until(async () => ((await this.#shard.checkpoint(INGEST_READER)) ?? 0) >= end)
  }

  requireSound(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  cursor(text: string): Cursor {
    return parseCursor(this.log, text)
  }

  /** Whether the reading with this number of the chronicle lies before a cursor. */
  isBefore(at: number, { position, part }: Cursor): boolean {
    const { [at]: offset } = this.offsets
    const [end] = position
    assert(offset !== undefined && end !== undefined)
    return offset < end || (offset === end && (this.indexes[at] ?? 0) < part.readings)
  }

  /** The first reading that does not lie before a cursor. */
  at(cursor: Cursor): number {
    let [low, high] = [0, this.offsets.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.isBefore(middle, cursor)) low = middle + 1
      else high = middle
    }
    return low
  }

  describe(at: number): string {
    if (at >= this.offsets.length) return 'nothing'
    return `${this.devices[at]} number ${this.numbers[at]} (offset ${this.offsets[at]}, reading ${this.indexes[at]} of it)`
  }

  async #run(): Promise<void> {
    const shard = this.#shard
    for await (const batch of shard.follow(await shard.first(), this.#stopping.signal)) {
      assert.equal(batch.missed, 0, 'retention was faster than the one who reads along: the storm is void')
      for (const entry of readEntries(batch)) this.#take(entry)
      this.end = batch.next
    }
  }

  #take(entry: Entry): void {
    // Apps have had it already; or have not, for its stream had no schema then.
    if (entry.flags & DELIVERED_LIVE || (isPump(entry) && !(entry.flags & REPLAYED) && !this.knowsPump)) return
    const readings = this.#decoder.decode(entry)
    assert(!(readings instanceof Rejection), `${entry.device} sent what cannot be decoded`)
    for (const [index, { ts }] of readings.entries()) {
      this.devices.push(entry.device)
      this.numbers.push(numberOf(entry.device, ts, this.#beganAt))
      this.offsets.push(entry.offset)
      this.indexes.push(index)
      this.received.push(entry.receivedAt)
    }
  }
}

const isPump = ({ stream }: Entry) => stream === 'pump'
