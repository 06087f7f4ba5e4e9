/**
 * Owns the binary frames of a subscription that wants its messages undecoded (docs/contract.md, "Live"), or
 * as JSON if they are neither that nor Avro:
 *
 *   u8 1 · u8 length, subscription · u16 length, cursor · messages                                (little-endian, names ASCII)
 *   message: f64 received (ms) · u32 readings of it to skip · u8 length, device · u8 length, stream · u32 length, payload
 *
 * A message of a stream without a schema, as maps make them, comes decoded, in frames of its own among the others.
 */

import type { Decoder } from '../../schemas/decoder.ts'
import type { Frame } from '../server/server.ts'
import type { Cursor } from './cursor.ts'
import { type Feed, type FeedOutput, type FeedTarget, PlainFeed } from './feed.ts'
import type { Message } from './message.ts'

/** Bytes of messages in a frame; a larger message has one to itself. */
const FRAME_BYTES_MAX = 64 * 1024
const READINGS = 1

export class RawFeed implements Feed {
  readonly pendingSince = undefined
  readonly #target: FeedTarget
  readonly #output: FeedOutput
  readonly #decoder: Pick<Decoder, 'forApps'>
  /** Never has any while raw messages wait, nor the other way round: all come in their order. */
  readonly #decoded: PlainFeed
  #messages: Buffer[] = []
  #bytes = 0

  constructor(target: FeedTarget, output: FeedOutput, decoder: Pick<Decoder, 'forApps'>) {
    this.#target = target
    this.#output = output
    this.#decoder = decoder
    this.#decoded = new PlainFeed(target, output)
  }

  take(message: Message): boolean {
    if (!message.readings.some((_reading, index) => index >= message.skip && message.select(index, this.#target)))
      return false
    const payload = this.#decoder.forApps(message.entry, message.readings)
    if (payload === undefined) {
      this.#flushRaw(message.before(message.skip))
      return this.#decoded.take(message)
    }
    this.#decoded.flush(message.before(message.skip))
    const bytes = encodeMessage(message, payload)
    if (this.#bytes > 0 && this.#bytes + bytes.length > FRAME_BYTES_MAX) this.#flushRaw(message.before(message.skip))
    this.#messages.push(bytes)
    this.#bytes += bytes.length
    return true
  }

  flush(place: Cursor): void {
    this.#flushRaw(place)
    this.#decoded.flush(place)
  }

  #flushRaw(place: Cursor): void {
    if (this.#messages.length === 0) return
    const { cursorText, publish } = this.#output
    publish(rawFrame(this.#target.name, cursorText(place), this.#messages), this.#messages.length)
    this.#messages = []
    this.#bytes = 0
  }

  tick(): void {}

  finish(place: Cursor): void {
    this.flush(place)
  }

  drop(): void {}
}

function encodeMessage({ entry, skip }: Message, payload: Buffer): Buffer {
  const { device, stream, receivedAt } = entry
  const bytes = Buffer.allocUnsafe(18 + device.length + stream.length + payload.length)
  let at = bytes.writeDoubleLE(receivedAt, 0)
  at = bytes.writeUInt32LE(skip, at)
  at = writeName(bytes, at, device)
  at = writeName(bytes, at, stream)
  at = bytes.writeUInt32LE(payload.length, at)
  payload.copy(bytes, at)
  return bytes
}

function rawFrame(subscription: string, cursor: string, messages: readonly Buffer[]): Frame {
  const head = Buffer.allocUnsafe(4 + subscription.length + cursor.length)
  let at = head.writeUInt8(READINGS, 0)
  at = writeName(head, at, subscription)
  at = head.writeUInt16LE(cursor.length, at)
  head.write(cursor, at, 'latin1')
  return { event: 'readings', cursor, data: Buffer.concat([head, ...messages]) }
}

function writeName(bytes: Buffer, at: number, name: string): number {
  const start = bytes.writeUInt8(name.length, at)
  return start + bytes.write(name, start, 'latin1')
}
