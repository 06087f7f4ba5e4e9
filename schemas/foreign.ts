/**
 * Owns what a registry has of foreign topics: the streams that maps (maps/) make, and the framing by which they read; and the payload of
 * such a message in the log, in which who sent it, if that was not the device itself, and the topic that it came on stand before what it
 * said:
 *
 *   u8 length of the sender's id · its id · u16 length of the topic (little-endian) · topic (UTF-8) · what was published
 *
 * Always true: it never changes, as its registry never does; columns that a message shows come with another in its place.
 * Bound: a topic of `MAPPED_TOPIC_BYTES_MAX`; all of it is at most `PAYLOAD_BYTES_MAX`.
 */

import type { ConfigText } from '../platform/config-folder.ts'
import type { Definition } from './definition.ts'
import type { Framing } from './framing.ts'
import { Rejection, type Stream } from './reading.ts'

/** What has to be known of the schemas: a stream that has one is theirs. */
export interface Registered {
  readonly readingTimeMinMs: number
  newest(stream: string): Definition | undefined
}

export interface MapSource {
  readonly topic: string
  readonly file: string
}

export interface Foreign {
  /** Those that have no schema. */
  readonly streams: readonly Stream[]
  readonly framing: Framing
  /** The maps that have readings of a stream: in which file, and of which topics. */
  mapsOf(stream: string): readonly MapSource[]
  /** The same with these columns. */
  learn(found: NewColumns): Foreign
}

/** Makes it of the texts of the maps. Throws a `ConfigError`. */
export type MakeForeign = (maps: readonly ConfigText[], registered: Registered) => Foreign

/** A message has columns that its stream has not yet, and may have: with them it can be read. */
export class NewColumns extends Rejection {
  readonly stream: string
  readonly names: readonly string[]

  constructor(stream: string, names: readonly string[]) {
    super('invalid-reading', `the columns ${names.join(', ')} of ${stream} are new`)
    this.stream = stream
    this.names = names
  }
}

export interface ForeignMessage {
  /** The device that sent it, if it spoke for another; else empty. */
  readonly sender: string
  readonly topic: string
  /** A view of the payload. */
  readonly published: Buffer
}

const SENDER_LENGTH_BYTES = 1
const TOPIC_LENGTH_BYTES = 2

export const foreignBytes = (topic: string, payload: Uint8Array, sender = ''): number =>
  SENDER_LENGTH_BYTES + sender.length + TOPIC_LENGTH_BYTES + Buffer.byteLength(topic) + payload.byteLength

export function foreignPayload(topic: string, payload: Uint8Array, sender = ''): Buffer {
  const bytes = Buffer.allocUnsafe(foreignBytes(topic, payload, sender))
  const lengthAt = bytes.writeUInt8(sender.length, 0) + bytes.write(sender, SENDER_LENGTH_BYTES, 'latin1')
  const topicAt = lengthAt + TOPIC_LENGTH_BYTES
  const length = bytes.write(topic, topicAt)
  bytes.writeUInt16LE(length, lengthAt)
  bytes.set(payload, topicAt + length)
  return bytes
}

/** Undefined of what is no such payload. */
export function readForeign(payload: Buffer): ForeignMessage | undefined {
  const lengthAt = SENDER_LENGTH_BYTES + (payload[0] ?? 0)
  const topicAt = lengthAt + TOPIC_LENGTH_BYTES
  if (payload.length < topicAt) return undefined
  const end = topicAt + payload.readUInt16LE(lengthAt)
  if (end > payload.length) return undefined
  const sender = payload.toString('latin1', SENDER_LENGTH_BYTES, lengthAt)
  return { sender, topic: payload.toString('utf8', topicAt, end), published: payload.subarray(end) }
}
