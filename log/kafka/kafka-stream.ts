/**
 * Owns one stream on Kafka: a partition of a topic. Always true: what is read is dense, or the read rejects with `log-corrupt`; what
 * is read is on as many machines as an append waits for. A read waits at its broker, on a connection of its own.
 */

import { LogError } from '../log-error.ts'
import type { NewRecord, ReadLimits, Stream, StreamRecord } from '../streams/streams.ts'
import type { BrokerAddress } from './address.ts'
import type { KafkaClient } from './client.ts'
import type { Leaders } from './leaders.ts'
import { type AppendTimes, Producer } from './producer.ts'
import {
  BROKER_WAIT_MS_MAX,
  BrokerError,
  EARLIEST,
  type FetchedRecord,
  LATEST,
  type TopicPartition,
} from './requests.ts'

/** Of a read, and of whatever else is asked: who follows a stream asks again anyway. */
const ASK_PATIENCE_MS = 5_000
/** A fetch's bytes are whole batches, with keys and heads: some more than what is wanted of values. */
const FETCH_BYTES_MAX = 8 * 1024 * 1024

export class KafkaStream implements Stream {
  readonly #client: KafkaClient
  readonly #leaders: Leaders
  readonly #place: TopicPartition
  readonly #producer: Producer

  constructor(client: KafkaClient, leaders: Leaders, place: TopicPartition, times: AppendTimes) {
    this.#client = client
    this.#leaders = leaders
    this.#place = place
    this.#producer = new Producer(client, leaders, place, times)
  }

  append(records: readonly NewRecord[]): Promise<void> {
    return this.#producer.append(records)
  }

  async read(from: number, limits: ReadLimits): Promise<readonly StreamRecord[]> {
    const { waitMs, signal } = limits
    const until = performance.now() + waitMs
    for (let at = from; ; ) {
      if (signal?.aborted) return []
      const leftMs = Math.max(0, until - performance.now())
      const found = await this.#fetch(at, limits, Math.min(leftMs, BROKER_WAIT_MS_MAX))
      if (found === 'out of range') at = await this.#inRange(at)
      else if (found.length > 0 || leftMs === 0) return found
    }
  }

  first(): Promise<number> {
    return this.#offset(EARLIEST)
  }

  end(): Promise<number> {
    return this.#offset(LATEST)
  }

  async at(time: number): Promise<number> {
    // The end first: a record that comes between is behind it.
    const end = await this.end()
    const offset = await this.#offset(Math.max(0, Math.floor(time)))
    return offset < 0 ? end : offset
  }

  async removeBefore(offset: number): Promise<void> {
    await this.#ask((leader) => this.#client.deleteRecords(leader, this.#place, offset))
  }

  async #fetch(from: number, limits: ReadLimits, waitMs: number): Promise<StreamRecord[] | 'out of range'> {
    const { bytesMax, signal } = limits
    const asked = { bytesMax: Math.min(bytesMax, FETCH_BYTES_MAX), waitMs: Math.ceil(waitMs), signal }
    try {
      const fetch = this.#leaders.ask(
        this.#place,
        ASK_PATIENCE_MS,
        (leader) => this.#client.fetch(leader, this.#place, from, asked),
        signal,
      )
      return this.#within(await fetch, from, limits)
    } catch (error) {
      if (error instanceof BrokerError && error.answer === 'OFFSET_OUT_OF_RANGE') return 'out of range'
      if (signal?.aborted) return []
      return this.#leaders.refuse(error)
    }
  }

  /** A batch may begin before what was asked for, and have more than what is wanted. */
  #within(fetched: readonly FetchedRecord[], from: number, { bytesMax, recordsMax }: ReadLimits): StreamRecord[] {
    const found: StreamRecord[] = []
    let bytes = 0
    for (const record of fetched) {
      if (record.offset < from) continue
      const { topic, partition } = this.#place
      if (record.offset !== from + found.length) {
        const missing = `offset ${from + found.length} of partition ${partition} of ${topic} is missing`
        throw new LogError('log-corrupt', `${missing}: something else than this program has changed the topic`)
      }
      bytes += record.value.length
      if (found.length > 0 && (bytes > bytesMax || found.length >= recordsMax)) break
      found.push(record)
    }
    return found
  }

  /** Where to read instead of `from`, which the leader does not have: at the first that is left. */
  async #inRange(from: number): Promise<number> {
    const [first, end] = [await this.first(), await this.end()]
    if (from < first) return first
    if (from <= end) return from
    const { topic, partition } = this.#place
    throw new LogError('bad-position', `offset ${from} of partition ${partition} of ${topic} is past its end, ${end}`)
  }

  #offset(time: number): Promise<number> {
    return this.#ask((leader) => this.#client.listOffset(leader, this.#place, time))
  }

  async #ask<R>(request: (leader: BrokerAddress) => Promise<R>): Promise<R> {
    return await this.#leaders.ask(this.#place, ASK_PATIENCE_MS, request).catch((error) => this.#leaders.refuse(error))
  }
}
