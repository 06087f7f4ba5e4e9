/**
 * Owns a PUBLISH that is larger than a packet may be: what it is about is kept, and its payload thrown away as it comes, so
 * that it can be acknowledged, dropped and told like any other that is too large. Closing the connection instead would have
 * the device send it again for ever, and nothing behind it would arrive.
 *
 * Bound: its topic; of the payload nothing is kept.
 */

import type { Packet } from 'mqtt-packet'
import type { Parser } from '../aedes/internals.ts'

export type Publish = Extract<Packet, { cmd: 'publish' }>

const NOTHING = Buffer.alloc(0)

export class Oversized {
  /** Without its payload; `length` says how long the packet was. */
  readonly packet: Publish
  #left: number

  private constructor(packet: Publish, left: number) {
    this.packet = packet
    this.#left = left
  }

  /** Takes over from the parser, which begins anew behind it. Undefined while its topic has not arrived. */
  static takeOver(parser: Parser): Oversized | undefined {
    const { packet, _list: list } = parser
    const { qos, dup, retain, length } = packet as unknown as Publish & { length: number }
    if (list.length < 2) return undefined
    const topicEnd = 2 + list.readUInt16BE(0)
    const end = topicEnd + (qos > 0 ? 2 : 0)
    if (list.length < end) return undefined
    const topic = list.slice(2, topicEnd).toString('utf8')
    const messageId = qos > 0 ? { messageId: list.readUInt16BE(topicEnd) } : {}
    const left = length - list.length
    parser._resetState()
    return new Oversized({ cmd: 'publish', topic, ...messageId, qos, dup, retain, payload: NOTHING, length }, left)
  }

  /** Throws away what belongs to it; returns what does not, or undefined if more of it is to come. */
  skip(chunk: Buffer): Buffer | undefined {
    const skipped = Math.min(this.#left, chunk.length)
    this.#left -= skipped
    return this.#left > 0 ? undefined : chunk.subarray(skipped)
  }
}
