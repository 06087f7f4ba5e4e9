/**
 * Owns a log's streams on Kafka: two topics, a partition a shard. Partitions are read and written as we say, without consumer groups,
 * whose members would skip and repeat when they change; and without transactions, whose marks take offsets.
 *
 *   new --start--> started --stop--> stopped
 */

import assert from 'node:assert/strict'
import type { Stream, StreamKind, StreamSizes, Streams } from '../streams/streams.ts'
import { type BrokerAddress, formatKafkaAddress, type KafkaOptions } from './address.ts'
import { KafkaClient } from './client.ts'
import { KafkaStream } from './kafka-stream.ts'
import { Leaders } from './leaders.ts'
import { APPEND_PATIENCE_MS, type AppendTimes } from './producer.ts'
import { checkTopics, topicOf, topicsOf } from './topics.ts'

export interface KafkaTimes {
  readonly clock?: () => number
  /** When a request that was not answered has failed. */
  readonly requestMs?: number
  /** How long an append is tried again, and one request more, before it is rejected. */
  readonly appendPatienceMs?: number
}

export class KafkaStreams implements Streams {
  readonly where: string
  readonly #options: KafkaOptions
  readonly #times: AppendTimes
  readonly #client: KafkaClient
  readonly #leaders: Leaders
  #streams: Record<StreamKind, readonly KafkaStream[]> | undefined

  constructor(options: KafkaOptions, times: KafkaTimes = {}) {
    this.where = formatKafkaAddress(options)
    this.#options = options
    const { clock = Date.now, appendPatienceMs = APPEND_PATIENCE_MS } = times
    this.#times = { clock, patienceMs: appendPatienceMs }
    this.#client = new KafkaClient(options, times)
    this.#leaders = new Leaders(this.#client, options.brokers, topicsOf(options), this.where)
  }

  get shards(): number {
    return this.#started.log.length
  }

  async start(): Promise<void> {
    const picture = await this.#leaders.lookOnce()
    const shards = await checkTopics(this.#client, this.#options, picture)
    const streamsOf = (kind: StreamKind) =>
      Array.from({ length: shards }, (_, partition) => {
        const place = { topic: topicOf(this.#options, kind), partition }
        return new KafkaStream(this.#client, this.#leaders, place, this.#times)
      })
    this.#streams = { log: streamsOf('log'), books: streamsOf('books') }
  }

  async stop(): Promise<void> {
    this.#client.close()
  }

  stream(kind: StreamKind, shard: number): Stream {
    const stream = this.#started[kind][shard]
    assert(stream, `shard ${shard} of ${this.shards}`)
    return stream
  }

  async sizeOf(kind: StreamKind): Promise<StreamSizes> {
    const topic = topicOf(this.#options, kind)
    const bytes = await this.#bytesOf(topic, this.#started[kind].length).catch((error) => this.#leaders.refuse(error))
    return { bytes }
  }

  /** Of each partition by its leader, each leader asked once. */
  async #bytesOf(topic: string, partitions: number): Promise<number> {
    const led = new Map<BrokerAddress, number[]>()
    for (let partition = 0; partition < partitions; partition++) {
      const leader = await this.#leaders.leaderOf({ topic, partition })
      led.set(leader, [...(led.get(leader) ?? []), partition])
    }
    const sizes = await Promise.all([...led].map(([leader, own]) => this.#client.logBytes(leader, topic, own)))
    return sizes.reduce((sum, each) => sum + each, 0)
  }

  get #started(): Record<StreamKind, readonly KafkaStream[]> {
    assert(this.#streams, 'the streams are not started')
    return this.#streams
  }
}
