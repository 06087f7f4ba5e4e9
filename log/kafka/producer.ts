/**
 * Owns how records are appended to one partition: in batches that Kafka takes whole or not at all, one after another, each known again
 * by its sequence number, so that a batch that is sent again because its answer was lost is there once.
 *
 *   none --first batch--> known --answered--> known --given up--> none
 *
 * Always true: one request at a time; after a batch was given up, what became of it is unknown, and the next has another identity (Kafka
 * would refuse it else). The offsets that are answered rise by what was appended at least: a client that loses records would say so here.
 */

import assert from 'node:assert/strict'
import { type NewRecord, RECORD_BYTES_MAX } from '../streams/streams.ts'
import type { KafkaClient } from './client.ts'
import type { Leaders } from './leaders.ts'
import type { ProducedRecord, ProducerIdentity, TopicPartition } from './requests.ts'

/** Long enough for another broker to be made leader, and short enough that who waits for it is told. */
export const APPEND_PATIENCE_MS = 20_000
/** Of a batch; what `max.message.bytes` must leave room for. */
export const BATCH_BYTES_MAX = 900 * 1024
/** What a record takes besides its key and value, at most. */
const RECORD_HEAD_BYTES = 32
/** They are 31 bits: before they end there is another identity. */
const SEQUENCE_MAX = 2 ** 30

export interface AppendTimes {
  readonly clock: () => number
  /** How long a batch that may go better is sent again. */
  readonly patienceMs: number
}

export class Producer {
  readonly #client: KafkaClient
  readonly #leaders: Leaders
  readonly #place: TopicPartition
  readonly #times: AppendTimes
  #identity: ProducerIdentity | undefined
  #sequence = 0
  /** No record that is appended from now on has a lower offset. */
  #next = 0
  #isAppending = false

  constructor(client: KafkaClient, leaders: Leaders, place: TopicPartition, times: AppendTimes) {
    this.#client = client
    this.#leaders = leaders
    this.#place = place
    this.#times = times
  }

  /** See `Stream.append`. */
  async append(records: readonly NewRecord[]): Promise<void> {
    assert(!this.#isAppending, 'an append that overlaps another one of its stream')
    this.#isAppending = true
    try {
      const timestamp = BigInt(this.#times.clock())
      for (const batch of batches(records, timestamp)) await this.#produce(batch)
    } finally {
      this.#isAppending = false
    }
  }

  async #produce(batch: readonly ProducedRecord[]): Promise<void> {
    if (this.#sequence > SEQUENCE_MAX) this.#renew()
    try {
      const base = await this.#leaders.ask(this.#place, this.#times.patienceMs, async (leader) => {
        this.#identity ??= await this.#client.newProducer(leader)
        return await this.#client.produce(leader, this.#place, this.#identity, this.#sequence, batch)
      })
      assert(base >= this.#next, `appended at ${base}, where ${this.#next} is the least: the client loses records`)
      this.#next = base + batch.length
      this.#sequence += batch.length
    } catch (error) {
      this.#renew()
      this.#leaders.refuse(error)
    }
  }

  #renew(): void {
    this.#identity = undefined
    this.#sequence = 0
  }
}

function* batches(records: readonly NewRecord[], timestamp: bigint): Generator<readonly ProducedRecord[]> {
  let batch: ProducedRecord[] = []
  let bytes = 0
  for (const { key, value } of records) {
    assert(value.byteLength <= RECORD_BYTES_MAX, `a record of ${value.byteLength} bytes`)
    const recordBytes = RECORD_HEAD_BYTES + key.length + value.byteLength
    if (batch.length > 0 && bytes + recordBytes > BATCH_BYTES_MAX) {
      yield batch
      batch = []
      bytes = 0
    }
    bytes += recordBytes
    const bufferOf = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    batch.push({ key: Buffer.from(key, 'latin1'), value: bufferOf, timestamp })
  }
  if (batch.length > 0) yield batch
}
