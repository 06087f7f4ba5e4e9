/**
 * Owns what a registry has of foreign topics: the streams that maps (maps/) make, and the framing by which they read; and the payload of
 * such a message in the log, in which the topic that it came on stands before what it said:
 *
 *   u16 length of the topic (little-endian) · topic (UTF-8) · what was published
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

const LENGTH_BYTES = 2

export const foreignBytes = (topic: string, payload: Uint8Array): number =>
  LENGTH_BYTES + Buffer.byteLength(topic) + payload.byteLength

export function foreignPayload(topic: string, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(foreignBytes(topic, payload))
  const length = bytes.write(topic, LENGTH_BYTES)
  bytes.writeUInt16LE(length, 0)
  bytes.set(payload, LENGTH_BYTES + length)
  return bytes
}

/** Undefined of what is no such payload. What was published is a view of it. */
export function readForeign(payload: Buffer): { readonly topic: string; readonly published: Buffer } | undefined {
  if (payload.length < LENGTH_BYTES) return undefined
  const end = LENGTH_BYTES + payload.readUInt16LE(0)
  if (end > payload.length) return undefined
  return { topic: payload.toString('utf8', LENGTH_BYTES, end), published: payload.subarray(end) }
}
