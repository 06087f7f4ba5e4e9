/**
 * Owns the payloads one simulated device sends, in their order. Always true: reading times are unique and strictly
 * rising within the device, in the schema's own precision, and never earlier than the clock when they can be equal to
 * it; the same seed and device number give the same values, whatever the times.
 */

import type { Clock } from '../../platform/clock.ts'
import { PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import type { Stream } from '../../schemas/reading.ts'
import { seededRandom } from './signals/random.ts'
import { recordSource } from './signals/values.ts'
import { SimulatorError } from './simulator-error.ts'

export const FORMATS = ['avro', 'json'] as const
export type Format = (typeof FORMATS)[number]

/** The part of the schemas' registry that the simulator needs. */
export interface SchemaSource {
  readonly streams: readonly Stream[]
  stream(name: string): Stream | undefined
  /** Oldest first; `schema` is the Avro record as JSON. */
  versions(name: string): readonly { readonly schema: object }[]
  /** Single-object encoding by the newest version; an array makes a batch. */
  encode(stream: string, records: object | readonly object[]): Buffer
}

export interface MessagesOptions {
  readonly stream: string
  readonly seed: number
  /** Which device of the fleet, from 0: chooses the random sequence. */
  readonly index: number
  /** Readings a message; 1 is a single record, more an array. */
  readonly batch: number
  readonly format: Format
}

export class Messages {
  readonly #options: MessagesOptions
  readonly #registry: SchemaSource
  readonly #clock: Clock
  readonly #timeField: string
  /** Units of the schema's time field in a millisecond. */
  readonly #unitsPerMs: number
  readonly #record: () => Record<string, unknown>
  #lastTime = 0

  /** Throws a `SimulatorError` `unknown-stream` or `unsupported-field`. */
  constructor(options: MessagesOptions, deps: { registry: SchemaSource; clock: Clock }) {
    const stream = deps.registry.stream(options.stream)
    const schema = deps.registry.versions(options.stream).at(-1)?.schema
    if (stream === undefined || schema === undefined) {
      const known = deps.registry.streams.map((each) => each.name).join(', ')
      throw new SimulatorError('unknown-stream', `there is no stream "${options.stream}": registered are ${known}`)
    }
    this.#options = options
    this.#registry = deps.registry
    this.#clock = deps.clock
    this.#timeField = stream.timeField
    this.#unitsPerMs = stream.precision === 'us' ? 1000 : 1
    const random = seededRandom(options.seed, options.index)
    this.#record = recordSource(schema, stream.timeField, random, options.format === 'json')
  }

  /** The next payload. Throws a `SimulatorError` `message-too-large` when the batch does not fit a message. */
  next(): Buffer {
    const { stream, batch, format } = this.#options
    const records = batch === 1 ? this.#reading() : Array.from({ length: batch }, () => this.#reading())
    const payload = format === 'json' ? Buffer.from(JSON.stringify(records)) : this.#registry.encode(stream, records)
    if (payload.length > PAYLOAD_BYTES_MAX) {
      throw new SimulatorError(
        'message-too-large',
        `a message of ${batch} readings has ${payload.length} bytes: allowed are ${PAYLOAD_BYTES_MAX}`,
      )
    }
    return payload
  }

  #reading(): Record<string, unknown> {
    this.#lastTime = Math.max(Math.round(this.#clock.now() * this.#unitsPerMs), this.#lastTime + 1)
    return { [this.#timeField]: this.#lastTime, ...this.#record() }
  }
}
