/**
 * Owns the last reading of one series: the last two payloads undecoded, or the reading they came down to.
 *
 * Always true: a payload is decoded at most once. Its memory is used again by the next that fits.
 */

import type { Entry } from '../log/entry.ts'
import { type Reading, Rejection } from '../schemas/reading.ts'
import type { Message } from '../schemas/registry.ts'

export type Decode = (message: Message) => readonly Reading[] | Rejection

interface Kept {
  buffer: Buffer
  length: number
  receivedAt: number
}

/** An estimate of what a slot with a decoded reading takes, beside payloads and long strings. */
const SLOT_BYTES = 500
/** Payload buffers grow in steps, so that payloads of nearly one size use one buffer. */
const STEP_BYTES = 32

export class LatestSlot {
  readonly stream: string
  /** Number of the newest change, as given to `keep` and `put`. */
  touched = 0
  bytes = SLOT_BYTES
  #device = ''
  #reading: Reading | undefined
  #newest: Kept | undefined
  #before: Kept | undefined

  constructor(stream: string) {
    this.stream = stream
  }

  /** Keeps a copy of the payload; returns by how many bytes the slot grew. */
  keep(entry: Entry, sequence: number): number {
    this.touched = sequence
    this.#device = entry.device
    const { length } = entry.payload
    const kept = this.#before ?? { buffer: EMPTY, length: 0, receivedAt: 0 }
    const had = kept.buffer.length
    if (had < length) kept.buffer = Buffer.allocUnsafe(Math.ceil(length / STEP_BYTES) * STEP_BYTES)
    entry.payload.copy(kept.buffer)
    kept.length = length
    kept.receivedAt = entry.receivedAt
    this.#before = this.#newest
    this.#newest = kept
    return this.#grow(kept.buffer.length - had)
  }

  /** Keeps `reading` if it is no older than the one known; returns by how many bytes the slot grew. */
  put(reading: Reading, sequence: number): number {
    if (this.#reading && this.#reading.ts > reading.ts) return 0
    const had = this.#reading ? textBytes(this.#reading) : 0
    this.touched = sequence
    this.#device = reading.device
    this.#reading = reading
    return this.#grow(textBytes(reading) - had)
  }

  /** The latest reading held; undefined if nothing that was kept can be decoded. */
  reading(decode: Decode): Reading | undefined {
    this.#settle(this.#before, decode)
    this.#settle(this.#newest, decode)
    return this.#reading
  }

  #settle(kept: Kept | undefined, decode: Decode): void {
    if (kept === undefined || kept.length === 0) return
    const payload = kept.buffer.subarray(0, kept.length)
    const message = { device: this.#device, stream: this.stream, receivedAt: kept.receivedAt, payload }
    kept.length = 0
    const readings = decode(message)
    if (readings instanceof Rejection) return
    for (const reading of readings) if (!this.#reading || this.#reading.ts <= reading.ts) this.#reading = reading
  }

  #grow(bytes: number): number {
    this.bytes += bytes
    return bytes
  }
}

function textBytes(reading: Reading): number {
  let bytes = 0
  for (const value of Object.values(reading.values)) if (typeof value === 'string') bytes += value.length
  return bytes
}

const EMPTY = Buffer.alloc(0)
