/**
 * Owns messages on the platform's own topics, `devices/{device}/telemetry/{stream}`, whose payload is the records in some encoding; where that
 * does not say by its first bytes what it is, the topic's last level does. Content types of MQTT 5 are not used.
 */

import { parseTopic, telemetryTopic } from '../../../identity/topics.ts'
import type { Reading, Rejection } from '../../../schemas/reading.ts'
import type { SimulatorSchemas } from './simulator-schemas.ts'
import {
  type Birth,
  type MeasuredRecord,
  NO_BIRTH,
  type WireFormat,
  type WireFormatOf,
  type WireOptions,
} from './wire-format.ts'

export interface Encoding {
  /** What stands behind the stream in the topic, if it must. */
  readonly level?: string
  readonly drawsJson: boolean
  readonly encode: (records: readonly MeasuredRecord[]) => Buffer
}

class TelemetryFormat implements WireFormat {
  readonly topic: string
  readonly drawsJson: boolean
  readonly write: (records: readonly MeasuredRecord[]) => Buffer
  /** What its topic says, which is read once. */
  readonly #own: ReturnType<typeof parseTopic>
  readonly #schemas: SimulatorSchemas

  constructor({ sending, device, schemas }: WireOptions, { level, drawsJson, encode }: Encoding) {
    const topic = telemetryTopic(device, sending.stream)
    this.topic = level === undefined ? topic : `${topic}/${level}`
    this.#own = parseTopic(this.topic)
    this.drawsJson = drawsJson
    this.write = encode
    this.#schemas = schemas
  }

  birth(): readonly Birth[] {
    return NO_BIRTH
  }

  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    if (topic !== this.topic || this.#own?.kind !== 'telemetry') return this.#schemas.read(topic, payload, receivedAt)
    const { device, stream, framing } = this.#own
    return this.#schemas.decode({ device, stream, framing, receivedAt, payload })
  }
}

export const telemetryFormat =
  (encodingOf: (options: WireOptions) => Encoding): WireFormatOf =>
  (options) =>
    new TelemetryFormat(options, encodingOf(options))
