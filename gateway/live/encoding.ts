/** Owns the door to how a subscription's readings are written into frames: as JSON, or as Protobuf (`protobuf-encoding.ts`). */

import type { Reading } from '../../schemas/reading.ts'
import type { Frame } from '../server/server.ts'
import { encodeReading, readingsFrame } from './frames.ts'
import { PROTOBUF } from './protobuf-encoding.ts'

/** One reading, which may stand in frames of several subscriptions. */
export type Encoded = string | Buffer

export interface Encoding {
  readonly name: string
  /** `received`: when the platform had it, milliseconds; left out where nobody knows. */
  reading(reading: Reading, received?: number): Encoded
  /** `readings` as encoded by `reading`; `merged` are those that they stand for besides. */
  frame(target: FrameTarget, cursor: string, readings: readonly Encoded[], merged?: number): Frame
}

/** Of which subscription a frame is. */
export interface FrameTarget {
  readonly name: string
  /** Its readings are what a store has of the time of a gap. */
  readonly byTime?: boolean
}

export const JSON_TEXT: Encoding = {
  name: 'json',
  reading: encodeReading,
  frame: (target, cursor, readings, merged) => readingsFrame(target, cursor, readings as readonly string[], merged),
}

export const encodingOf = (isProtobuf: boolean | undefined): Encoding => (isProtobuf ? PROTOBUF : JSON_TEXT)
