/**
 * Owns one consumer of a stream, and what it was sent and nobody has read yet. Always true: records are given in order and densely, from
 * where it began.
 *
 *   closed --read--> open --more than WINDOW_BYTES_MAX came--> overflowed --all that is kept was read--> closed
 *                        --lost--> failed, for ever
 *
 * Bound: it keeps WINDOW_BYTES_MAX and one record. The server counts in records (its credit), and sends the rest of a chunk besides: what comes on
 * top is dropped, and asked for again with less credit.
 */

import { LogError } from '../log-error.ts'
import type { ReadLimits, StreamRecord } from '../streams/streams.ts'
import type { Delivery, RabbitmqChannel, RabbitmqClient } from './client.ts'
import { FIRST_RECORDS } from './first-record.ts'

const WINDOW_BYTES_MAX = 2 * 1024 * 1024
const CREDIT_MAX = 512

export class StreamReader {
  /** Where the next read goes on. */
  next: number
  /** It was seen at the end since it was opened: what comes then is sent at once. */
  isCaughtUp = false
  readonly #client: RabbitmqClient
  readonly #queue: string
  #channel: RabbitmqChannel | undefined
  #credit = CREDIT_MAX
  #kept: Delivery[] = []
  #taken = 0
  #bytes = 0
  /** Of the engine; undefined before the first one, which may come later if those before it were removed. */
  #expected: number | undefined
  #error: LogError | undefined
  #wake: () => void = () => undefined

  constructor(client: RabbitmqClient, queue: string, from: number) {
    this.#client = client
    this.#queue = queue
    this.next = from
  }

  /** Those that are there; waits for one for so long. */
  async read(limits: ReadLimits, waitMs: number): Promise<StreamRecord[]> {
    if (this.#left === 0) {
      if (this.#channel === undefined) await this.#open()
      if (this.#left === 0 && waitMs > 0) await this.#arrival(waitMs, limits.signal)
    }
    if (this.#left === 0 && this.#error !== undefined) throw this.#error
    return this.#take(limits)
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }

  get #left(): number {
    return this.#kept.length - this.#taken
  }

  async #open(): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    const channel = await this.#client.channel((error) => this.#fail(error))
    this.#channel = channel
    await channel.consume(this.#queue, this.next + FIRST_RECORDS, this.#credit, (delivery) => {
      if (this.#channel === channel) this.#receive(delivery)
    })
  }

  #receive(delivery: Delivery): void {
    const offset = delivery.engineOffset - FIRST_RECORDS
    if (offset < this.next) return
    const expected = this.#expected ?? offset
    if (offset !== expected) {
      this.#fail(new LogError('log-corrupt', `${this.#queue} gave offset ${offset} where ${expected} is due`))
      return
    }
    const bytes = delivery.value.length
    if (this.#left > 0 && this.#bytes + bytes > WINDOW_BYTES_MAX) {
      this.#credit = Math.max(1, Math.floor((WINDOW_BYTES_MAX * this.#left) / (this.#bytes + bytes)))
      this.isCaughtUp = false
      this.close()
      return
    }
    this.#expected = offset + 1
    this.#kept.push(delivery)
    this.#bytes += bytes
    this.#wake()
  }

  #take({ bytesMax, recordsMax }: ReadLimits): StreamRecord[] {
    const records: StreamRecord[] = []
    let [bytes, tag] = [0, 0]
    while (this.#taken < this.#kept.length && records.length < recordsMax) {
      const { engineOffset, at, value, tag: itsTag } = this.#kept[this.#taken] as Delivery
      if (records.length > 0 && bytes + value.length > bytesMax) break
      records.push({ offset: engineOffset - FIRST_RECORDS, at, value })
      bytes += value.length
      tag = itsTag
      this.#taken += 1
    }
    if (records.length === 0) return records
    this.#bytes -= bytes
    this.next = (records[records.length - 1] as StreamRecord).offset + 1
    // Those of one array: moved only when most of it is behind.
    if (2 * this.#taken > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#taken)
      this.#taken = 0
    }
    this.#channel?.acknowledge(tag)
    return records
  }

  #fail(error: LogError): void {
    this.#error ??= error
    this.close()
    this.#wake()
  }

  #arrival(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true || this.#error !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), waitMs)
      const onAbort = () => this.#wake()
      signal?.addEventListener('abort', onAbort)
      this.#wake = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#wake = () => undefined
        resolve()
      }
    })
  }
}
