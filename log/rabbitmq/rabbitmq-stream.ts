/**
 * Owns one stream on RabbitMQ: one channel that publishes to it, and the consumers of those who read it. Always true: an append is resolved when
 * the server has confirmed each of its records. Bound: READERS_KEPT_MAX consumers wait for their next read, each for READER_IDLE_MS.
 */

import assert from 'node:assert/strict'
import type { Clock } from '../../platform/clock.ts'
import { LogError } from '../log-error.ts'
import type { NewRecord, ReadLimits, Stream, StreamRecord } from '../streams/streams.ts'
import { ANSWER_MS, type OffsetSpec, type RabbitmqChannel, type RabbitmqClient, unreachable } from './client.ts'
import { FIRST_RECORDS } from './first-record.ts'
import { type Glance, glance } from './glance.ts'
import { StreamReader } from './reader.ts'

const READERS_KEPT_MAX = 4
const READER_IDLE_MS = 30_000
/** The clock of a server may be behind that of a process by so much: a place by time is before all records as long as it is not more. */
const CLOCKS_APART_MS = 10_000
/** Records that are looked through for a place nearer to a time. */
const SCANNED_MAX = 20_000
const SCAN: ReadLimits = { bytesMax: 1024 * 1024, recordsMax: 1_000, waitMs: 0 }

export class RabbitmqStream implements Stream {
  readonly #queue: string
  readonly #clock: Clock
  readonly #publishes: RabbitmqClient
  readonly #reads: RabbitmqClient
  #channel: RabbitmqChannel | undefined
  #isAppending = false
  /** Those that nobody reads with now, the one used last at the end. */
  readonly #kept: { readonly reader: StreamReader; readonly timer: NodeJS.Timeout }[] = []
  /** What is known of the end: it is there, or further. */
  #knownEnd = 0

  /** Two connections: a server that has no room for what is published reads no more from that one. */
  constructor(queue: string, publishes: RabbitmqClient, reads: RabbitmqClient, clock: Clock) {
    this.#queue = queue
    this.#clock = clock
    this.#publishes = publishes
    this.#reads = reads
  }

  async append(records: readonly NewRecord[]): Promise<void> {
    assert(!this.#isAppending, 'one append at a time')
    if (records.length === 0) return
    this.#isAppending = true
    try {
      this.#channel ??= await this.#publishes.channel(() => {
        this.#channel = undefined
      })
      await this.#channel.publish(this.#queue, records, { at: this.#clock.now() })
    } catch (error) {
      this.#channel?.close()
      this.#channel = undefined
      throw error
    } finally {
      this.#isAppending = false
    }
  }

  async read(from: number, limits: ReadLimits): Promise<readonly StreamRecord[]> {
    if (from > this.#knownEnd && from > (await this.end())) {
      throw new LogError('bad-position', `offset ${from} lies past the end of ${this.#queue}, ${this.#knownEnd}`)
    }
    const reader = this.#readerAt(from)
    try {
      const records = await this.#readWith(reader, limits)
      this.#knownEnd = Math.max(this.#knownEnd, reader.next)
      this.#keep(reader)
      return records
    } catch (error) {
      reader.close()
      throw error
    }
  }

  async first(): Promise<number> {
    const { found, engineEnd } = await this.#glance('first')
    return Math.max(0, (found?.engineOffset ?? engineEnd) - FIRST_RECORDS)
  }

  async end(): Promise<number> {
    return (await this.#glance()).engineEnd - FIRST_RECORDS
  }

  async at(time: number): Promise<number> {
    const earlier = time - CLOCKS_APART_MS
    const { found, newest, engineEnd } = await this.#glance({ seconds: Math.max(0, Math.floor(earlier / 1_000)) })
    const end = engineEnd - FIRST_RECORDS
    // Of a segment just begun the engine knows no times: it finds nothing then.
    const start = found?.engineOffset ?? (newest.at >= earlier ? 0 : engineEnd)
    let place = Math.max(0, start - FIRST_RECORDS)
    for (const scannedMax = place + SCANNED_MAX; place < Math.min(end, scannedMax); ) {
      for (const { offset, at } of await this.read(place, SCAN)) {
        if (at >= time) return offset
        place = offset + 1
      }
    }
    return place
  }

  /** The engine has no way to: what is read stays. */
  async removeBefore(_offset: number): Promise<void> {}

  /** Bytes of values that a record has, by some of them; undefined while there is none. */
  async meanBytes(): Promise<number | undefined> {
    const end = await this.end()
    if (end === 0) return undefined
    let [records, bytes] = [0, 0]
    for (const quarter of [0, 1, 2, 3]) {
      const glanced = await this.#glance(FIRST_RECORDS + Math.floor((quarter * (end - 1)) / 3))
      records += glanced.records
      bytes += glanced.bytes
    }
    return records === 0 ? undefined : bytes / records
  }

  stop(): void {
    this.#channel?.close()
    for (const { reader, timer } of this.#kept.splice(0)) {
      clearTimeout(timer)
      reader.close()
    }
  }

  async #glance(from?: OffsetSpec): Promise<Glance> {
    const glanced = await glance(this.#reads, this.#queue, from)
    this.#knownEnd = Math.max(this.#knownEnd, glanced.engineEnd - FIRST_RECORDS)
    return glanced
  }

  /** None only if there are none: a consumer may not have been sent yet what is there. */
  async #readWith(reader: StreamReader, limits: ReadLimits): Promise<readonly StreamRecord[]> {
    const isLetGo = () => limits.signal?.aborted === true
    const records = await reader.read(limits, limits.waitMs)
    if (records.length > 0 || isLetGo() || (limits.waitMs > 0 && reader.isCaughtUp)) return records
    reader.isCaughtUp = (await this.end()) <= reader.next
    if (reader.isCaughtUp) return records
    const late = await reader.read(limits, ANSWER_MS)
    if (late.length > 0 || isLetGo()) return late
    throw unreachable(`${this.#queue} has records after ${reader.next}, and none came within ${ANSWER_MS} ms`)
  }

  #readerAt(from: number): StreamReader {
    const index = this.#kept.findIndex(({ reader }) => reader.next === from)
    if (index < 0) return new StreamReader(this.#reads, this.#queue, from)
    const [kept] = this.#kept.splice(index, 1)
    assert(kept !== undefined)
    clearTimeout(kept.timer)
    return kept.reader
  }

  #keep(reader: StreamReader): void {
    const drop = () => {
      const index = this.#kept.findIndex((kept) => kept.reader === reader)
      if (index >= 0) this.#kept.splice(index, 1)
      reader.close()
    }
    this.#kept.push({ reader, timer: setTimeout(drop, READER_IDLE_MS).unref() })
    if (this.#kept.length <= READERS_KEPT_MAX) return
    const oldest = this.#kept.shift()
    clearTimeout(oldest?.timer)
    oldest?.reader.close()
  }
}
