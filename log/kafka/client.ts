/**
 * Owns the client library, and is all that imports it: connections to brokers, and one request of Kafka's protocol at a time on each.
 * Needs Kafka 3.3 or newer: the versions of the requests are fixed, for some older ones the library cannot read.
 *
 * Always true: a connection has one request, so nobody waits behind another's long poll; a connection that did not answer is not used
 * again (the library would take a late answer for another one's, and its own producer gives sends that overlap one sequence number,
 * platformatic/kafka#326: it is not used). Every request ends: after `CONNECT_MS_MAX` and `REQUEST_MS_MAX` at the latest.
 * Connections are as many as there were requests at once: at most two for each stream that is read and appended to.
 */

import { isIP } from 'node:net'
import {
  ConfigResourceTypes,
  Connection,
  createTopicsV7,
  deleteRecordsV2,
  describeConfigsV4,
  describeLogDirsV4,
  fetchV12,
  initProducerIdV4,
  listOffsetsV7,
  metadataV12,
  NumericMap,
  produceV9,
  ResponseError,
  SASLMechanisms,
} from '@platformatic/kafka'
import { messageOf } from '../../platform/errors.ts'
import { type BrokerAddress, formatBroker, type KafkaOptions, type SaslMechanism } from './address.ts'
import {
  BROKER_WAIT_MS_MAX,
  BrokerError,
  type ClusterPicture,
  type FetchedRecord,
  type NewTopic,
  type ProducedRecord,
  type ProducerIdentity,
  type TopicPartition,
} from './requests.ts'

export const CONNECT_MS_MAX = 5_000
/** Longer than `BROKER_WAIT_MS_MAX`. */
export const REQUEST_MS_MAX = 10_000
/** Of connections to one broker that nobody uses. */
const IDLE_CONNECTIONS_MAX = 64
/** By it the brokers name us in their logs and quotas. */
const CLIENT_ID = 'telltale'
const NOBODY = -1
const READ_UNCOMMITTED = 0
/** Of a batch: it is a mark of a transaction. */
const CONTROL = 1 << 5

const MECHANISMS = {
  plain: SASLMechanisms.PLAIN,
  'scram-sha-256': SASLMechanisms.SCRAM_SHA_256,
  'scram-sha-512': SASLMechanisms.SCRAM_SHA_512,
} as const satisfies Record<SaslMechanism, unknown>

const NOTHING = Buffer.alloc(0)

export class KafkaClient {
  readonly #options: KafkaOptions
  readonly #requestMs: number
  readonly #brokerWaitMs: number
  readonly #idle = new Map<string, Connection[]>()
  readonly #open = new Set<Connection>()
  #isClosed = false

  constructor(options: KafkaOptions, { requestMs = REQUEST_MS_MAX }: { readonly requestMs?: number } = {}) {
    this.#options = options
    this.#requestMs = requestMs
    this.#brokerWaitMs = Math.min(BROKER_WAIT_MS_MAX, requestMs / 2)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Ends every request. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#open) this.#end(connection)
  }

  /** Asks for no topic to be made. */
  async metadata(broker: BrokerAddress, topics: readonly string[]): Promise<ClusterPicture> {
    // A topic that is not there, or a partition without a leader, is an error for the library, and a part of the answer for us.
    const { brokers, topics: found } = await this.#ask(broker, (connection) =>
      metadataV12.api.async(connection, [...topics], false, false).catch((error) => {
        if (error instanceof ResponseError && error.response !== undefined) return error.response as never
        throw error
      }),
    )
    const byId = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    const places = found
      .filter(({ partitions, name }) => name !== null && partitions.length > 0)
      .map(({ name, partitions }) => {
        const ordered = [...partitions].sort((one, other) => one.partitionIndex - other.partitionIndex)
        const place = (each: (typeof partitions)[number]) => ({
          leader: byId.get(each.leaderId),
          copies: each.replicaNodes.length,
        })
        return [name as string, ordered.map(place)] as const
      })
    return { brokers: [...byId.values()], topics: new Map(places) }
  }

  async newProducer(broker: BrokerAddress): Promise<ProducerIdentity> {
    return await this.#ask(broker, (connection) => initProducerIdV4.api.async(connection, null, 0, -1n, -1))
  }

  /** Durable on as many machines as the topic asks for when it resolves, with the offset of the first record. */
  async produce(
    broker: BrokerAddress,
    { topic, partition }: TopicPartition,
    identity: ProducerIdentity,
    sequence: number,
    records: readonly ProducedRecord[],
  ): Promise<number> {
    const messages = records.map(({ key, value, timestamp }) => ({ key, value, timestamp, topic, partition }))
    const sequences = new NumericMap([[`${topic}:${partition}`, sequence]])
    const answer = await this.#ask(broker, (connection) =>
      produceV9.api.async(connection, -1, this.#brokerWaitMs, messages, { ...identity, sequences }),
    )
    const base = typeof answer === 'boolean' ? undefined : answer.responses[0]?.partitionResponses[0]?.baseOffset
    if (base === undefined) throw new BrokerError(`${formatBroker(broker)}: an answer without an offset`)
    return Number(base)
  }

  /** Whole batches: the first may begin before `from`, and one is given however large it is. */
  async fetch(
    broker: BrokerAddress,
    { topic, partition }: TopicPartition,
    from: number,
    limits: { readonly bytesMax: number; readonly waitMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<FetchedRecord[]> {
    const { bytesMax, waitMs, signal } = limits
    const place = { partition, currentLeaderEpoch: -1, fetchOffset: BigInt(from), lastFetchedEpoch: -1 }
    const topics = [{ topicId: topic, partitions: [{ ...place, partitionMaxBytes: bytesMax }] }]
    const answer = await this.#ask(
      broker,
      (connection) =>
        fetchV12.api.async(
          connection,
          Math.min(waitMs, this.#brokerWaitMs),
          1,
          bytesMax,
          READ_UNCOMMITTED,
          0,
          NOBODY,
          topics,
          [],
          '',
        ),
      signal,
    )
    const found: FetchedRecord[] = []
    for (const batch of answer.responses[0]?.partitions[0]?.records ?? []) {
      if ((batch.attributes & CONTROL) !== 0)
        throw new BrokerError(`${topic} was written to in a transaction, which leaves gaps`, 'CONTROL_BATCH', false)
      const [firstOffset, firstTimestamp] = [Number(batch.firstOffset), Number(batch.firstTimestamp)]
      for (const { offsetDelta, timestampDelta, value } of batch.records) {
        const at = firstTimestamp + Number(timestampDelta)
        found.push({ offset: firstOffset + offsetDelta, at, value: value ?? NOTHING })
      }
    }
    return found
  }

  /** The first offset whose record is of this time (milliseconds) or later; -1 if there is none. */
  async listOffset(broker: BrokerAddress, { topic, partition }: TopicPartition, time: number): Promise<number> {
    const asked = { partitionIndex: partition, currentLeaderEpoch: -1, timestamp: BigInt(time) }
    const answer = await this.#ask(broker, (connection) =>
      listOffsetsV7.api.async(connection, NOBODY, READ_UNCOMMITTED, [{ name: topic, partitions: [asked] }]),
    )
    return Number(answer.topics[0]?.partitions[0]?.offset ?? -1)
  }

  async deleteRecords(broker: BrokerAddress, { topic, partition }: TopicPartition, before: number): Promise<void> {
    const partitions = [{ partitionIndex: partition, offset: BigInt(before) }]
    await this.#ask(broker, (connection) =>
      deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], this.#brokerWaitMs),
    )
  }

  async configs(broker: BrokerAddress, topic: string): Promise<ReadonlyMap<string, string>> {
    const asked = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: null as never }
    const answer = await this.#ask(broker, (connection) =>
      describeConfigsV4.api.async(connection, [asked], false, false),
    )
    return new Map((answer.results[0]?.configs ?? []).map(({ name, value }) => [name, value ?? '']))
  }

  /** Bytes that this broker has of these partitions. */
  async logBytes(broker: BrokerAddress, topic: string, partitions: readonly number[]): Promise<number> {
    const answer = await this.#ask(broker, (connection) =>
      describeLogDirsV4.api.async(connection, [{ name: topic, partitions: [...partitions] }]),
    )
    let bytes = 0
    for (const { topics } of answer.results) {
      for (const each of topics) {
        for (const { partitionSize, isFutureKey } of each.partitions) if (!isFutureKey) bytes += Number(partitionSize)
      }
    }
    return bytes
  }

  async createTopics(broker: BrokerAddress, topics: readonly NewTopic[]): Promise<void> {
    const asked = topics.map(({ name, partitions, copies, configs }) => ({
      name,
      numPartitions: partitions,
      replicationFactor: copies,
      assignments: [],
      configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
    }))
    await this.#ask(broker, (connection) => createTopicsV7.api.async(connection, asked, this.#brokerWaitMs, false))
  }

  async #ask<R>(
    broker: BrokerAddress,
    request: (connection: Connection) => Promise<R>,
    signal?: AbortSignal,
  ): Promise<R> {
    if (this.#isClosed) throw new BrokerError('the client is closed', undefined, false)
    const key = formatBroker(broker)
    const idle = this.#idle.get(key)?.pop()
    const connection = idle ?? this.#newConnection(key, broker.host)
    const abort = () => this.#end(connection)
    signal?.addEventListener('abort', abort)
    let isUsable = false
    try {
      if (idle === undefined) await connection.connect(broker.host, broker.port)
      // Of what was aborted before it was listened to, or while it connected, nothing is heard.
      signal?.throwIfAborted()
      const answer = await request(connection)
      isUsable = true
      return answer
    } catch (error) {
      isUsable = error instanceof ResponseError
      // The others may be as dead as this one, and a silent one costs whoever takes it a whole time-out.
      if (!isUsable && signal?.aborted !== true) this.#dropIdle(key)
      throw brokerError(key, error)
    } finally {
      signal?.removeEventListener('abort', abort)
      if (isUsable) this.#keep(key, connection)
      else this.#end(connection)
    }
  }

  #newConnection(key: string, host: string): Connection {
    const { tls, sasl } = this.#options
    const connection = new Connection(CLIENT_ID, {
      connectTimeout: CONNECT_MS_MAX,
      requestTimeout: this.#requestMs,
      ...(tls && { tls: { ...tls }, tlsServerName: isIP(host) === 0 }),
      ...(sasl && {
        sasl: { mechanism: MECHANISMS[sasl.mechanism], username: sasl.user, password: sasl.password },
      }),
    })
    this.#open.add(connection)
    // The request that it happens to says it.
    connection.on('error', () => {})
    connection.on('close', () => this.#forget(key, connection))
    return connection
  }

  #keep(key: string, connection: Connection): void {
    const idle = this.#idle.get(key) ?? []
    this.#idle.set(key, idle)
    if (this.#isClosed || !connection.isConnected() || idle.length >= IDLE_CONNECTIONS_MAX) this.#end(connection)
    else idle.push(connection)
  }

  #dropIdle(key: string): void {
    for (const connection of this.#idle.get(key)?.splice(0) ?? []) this.#end(connection)
  }

  /** At once, unlike the library's `close`, which waits until a peer that may be gone has taken what was written. */
  #end(connection: Connection): void {
    this.#open.delete(connection)
    connection.socket?.destroy(new Error('let go'))
  }

  #forget(key: string, connection: Connection): void {
    this.#open.delete(connection)
    const idle = this.#idle.get(key)
    const index = idle?.indexOf(connection) ?? -1
    if (index >= 0) idle?.splice(index, 1)
  }
}

function brokerError(broker: string, error: unknown): BrokerError {
  if (error instanceof ResponseError) {
    const { apiId = 'UNKNOWN', serverErrorMessage, message = '', canRetry = false } = error.errors[0] ?? {}
    const said = serverErrorMessage ?? message
    return new BrokerError(`${broker} answered ${apiId}: ${said}`, apiId, canRetry === true, error)
  }
  return new BrokerError(`${broker}: ${deepest(error)}`, undefined, true, error)
}

/** What happened first: the library wraps it. */
function deepest(error: unknown): string {
  let [said, inner] = [messageOf(error), error]
  while (inner instanceof Error) {
    if (inner.message !== '') said = inner.message
    inner = inner.cause ?? (inner instanceof AggregateError ? inner.errors[0] : undefined)
  }
  return said
}
