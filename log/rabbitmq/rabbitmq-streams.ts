/**
 * Owns a log's streams on RabbitMQ: the queues `<name>.log.<shard>` and `<name>.books.<shard>`, each of type stream. How many shards there are says the
 * first record of each.
 *
 * Always true: once started, each stream is there from its first record on, is on the server that is asked, and was declared as `init` declares them.
 * What a policy of the server's administrator sets cannot be seen by AMQP; that it has removed something can.
 */

import assert from 'node:assert/strict'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { LogError } from '../log-error.ts'
import { STREAM_KINDS, type Stream, type StreamKind, type StreamSizes, type Streams } from '../streams/streams.ts'
import type { RabbitmqOptions } from './address.ts'
import { RabbitmqClient } from './client.ts'
import { type FirstRecord, queueName, readFirstRecord } from './first-record.ts'
import { glance } from './glance.ts'
import { RabbitmqStream } from './rabbitmq-stream.ts'

/** What the engine keeps of a record besides its value, bytes, about. */
const RECORD_EXTRA_BYTES = 130
/** How long a mean of records' sizes is used. */
const MEAN_MS = 60_000
/** How long the first record of a log may take to come. */
const FIRST_RECORD_MS = 10_000

export class RabbitmqStreams implements Streams {
  readonly where: string
  readonly #options: RabbitmqOptions
  readonly #clock: Clock
  readonly #publishes: RabbitmqClient
  readonly #reads: RabbitmqClient
  readonly #streams = new Map<string, RabbitmqStream>()
  readonly #means = new Map<RabbitmqStream, { readonly bytes: number; readonly until: number }>()
  #shards = 0

  constructor(options: RabbitmqOptions, clock: Clock = systemClock) {
    this.#options = options
    this.#clock = clock
    this.#publishes = new RabbitmqClient(options)
    this.#reads = new RabbitmqClient(options)
    const servers = options.servers
      .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
      .join(',')
    const vhost = options.vhost === '/' ? '' : `/${encodeURIComponent(options.vhost)}`
    this.where = `${options.tls ? 'amqps' : 'amqp'}://${servers}${vhost}?name=${options.name}`
  }

  get shards(): number {
    return this.#shards
  }

  async start(): Promise<void> {
    const { shards } = await this.#check('log', 0, undefined)
    for (let shard = 0; shard < shards; shard++) {
      for (const kind of STREAM_KINDS) {
        await this.#check(kind, shard, shards)
        const queue = queueName(this.#options.name, kind, shard)
        this.#streams.set(queue, new RabbitmqStream(queue, this.#publishes, this.#reads, this.#clock))
      }
    }
    this.#shards = shards
  }

  async stop(): Promise<void> {
    for (const stream of this.#streams.values()) stream.stop()
    await Promise.all([this.#publishes.close(), this.#reads.close()])
  }

  stream(kind: StreamKind, shard: number): Stream {
    return this.#stream(kind, shard)
  }

  /** About: AMQP tells no sizes, so some records of each stream stand for all. */
  async sizeOf(kind: StreamKind): Promise<StreamSizes> {
    let bytes = 0
    for (let shard = 0; shard < this.#shards; shard++) {
      const stream = this.#stream(kind, shard)
      const count = await stream.end()
      bytes += Math.round(count * ((await this.#meanOf(stream)) + RECORD_EXTRA_BYTES))
    }
    return { bytes }
  }

  async #meanOf(stream: RabbitmqStream): Promise<number> {
    const known = this.#means.get(stream)
    if (known !== undefined && performance.now() < known.until) return known.bytes
    const bytes = await stream.meanBytes()
    if (bytes !== undefined) this.#means.set(stream, { bytes, until: performance.now() + MEAN_MS })
    return bytes ?? 0
  }

  #stream(kind: StreamKind, shard: number): RabbitmqStream {
    const stream = this.#streams.get(queueName(this.#options.name, kind, shard))
    assert(stream !== undefined, `there is no shard ${shard}`)
    return stream
  }

  async #check(kind: StreamKind, shard: number, shards: number | undefined): Promise<FirstRecord> {
    const queue = queueName(this.#options.name, kind, shard)
    const channel = await this.#reads.channel(() => undefined)
    try {
      if (!(await channel.hasQueue(queue))) {
        throw new LogError('log-missing', `there is no queue ${queue} at ${this.where}: "telltale log init" makes it`)
      }
      const { found } = await glance(this.#reads, queue, 'first', FIRST_RECORD_MS)
      assert(found !== undefined)
      const first = readFirstRecord(queue, kind, shard, found)
      if (shards !== undefined && first.shards !== shards) {
        throw new LogError('log-unsafe', `${queue} is of a log with ${first.shards} shards, and not ${shards}`)
      }
      await channel.declareStream(queue, first.copies)
      return first
    } finally {
      channel.close()
    }
  }
}
