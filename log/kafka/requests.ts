/**
 * Owns what is asked of Kafka's brokers, what they answer, and what it is that one does not: the words of `client.ts` and of those who
 * use it, in which no library has a part.
 */

import type { BrokerAddress } from './address.ts'

/** How long a request may make its broker wait: for records to come, or for other machines to have them. */
export const BROKER_WAIT_MS_MAX = 6_000

/** Of `listOffset`, instead of a time. */
export const EARLIEST = -2
export const LATEST = -1

/** A request that failed: `answer` is Kafka's name of the error that the broker answered; undefined, if it did not answer. */
export class BrokerError extends Error {
  readonly answer: string | undefined
  /** It may go better later, or at another broker. */
  readonly isPassing: boolean

  constructor(message: string, answer?: string, isPassing = true, cause?: unknown) {
    super(message, { cause })
    this.name = 'BrokerError'
    this.answer = answer
    this.isPassing = isPassing
  }
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface PartitionPlace {
  readonly leader: BrokerAddress | undefined
  readonly copies: number
}

export interface ClusterPicture {
  readonly brokers: readonly BrokerAddress[]
  /** The partitions of each topic that is there. */
  readonly topics: ReadonlyMap<string, readonly PartitionPlace[]>
}

/** Who Kafka takes a producer for: it knows those of its batches again by their sequence numbers. */
export interface ProducerIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

export interface ProducedRecord {
  readonly key: Buffer
  readonly value: Buffer
  /** Milliseconds. */
  readonly timestamp: bigint
}

export interface FetchedRecord {
  readonly offset: number
  readonly at: number
  readonly value: Buffer
}

export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly copies: number
  readonly configs: Readonly<Record<string, string>>
}
