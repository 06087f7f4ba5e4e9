/**
 * Owns the bytes of a Sparkplug B payload (3.0, section 6.4): the metrics as they are written, before anything is made of them. Its
 * Protobuf schema is this code.
 *
 * Always true: it never throws; a payload is read whole or refused. Fields that are not known are passed over, of one that comes
 * twice the later counts, and nothing is made for a length before its bytes are there.
 * Bounds: `METRICS_MAX` metrics, `PROPERTIES_MAX` properties of one, a name of `METRIC_NAME_CHARS_MAX`; of one that is compressed
 * `INFLATED_BYTES_MAX`, and nothing compressed is in it.
 */

import { isUtf8 } from 'node:buffer'
import { gunzipSync, inflateSync } from 'node:zlib'
import { PAYLOAD_BYTES_MAX, READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { Malformed } from '../../schemas/malformed.ts'
import { TWO_32, WIRE, WireReader } from '../../schemas/protobuf-wire.ts'
import { Rejection } from '../../schemas/reading.ts'
import { quote } from '../../schemas/values.ts'

/** Each may become a reading. */
const METRICS_MAX = READINGS_PER_MESSAGE_MAX
const INFLATED_BYTES_MAX = PAYLOAD_BYTES_MAX
/** As some libraries write it: the payload, compressed, is the body of another. */
const COMPRESSED = 'SPBV1.0_COMPRESSED'
const PROPERTIES_MAX = 256
export const METRIC_NAME_CHARS_MAX = 256

/** A value, by the field that it is in. */
export type WireValue =
  /** `int_value` or `long_value`: the bits, of which the datatype says what they are. */
  | { readonly in: 'int' | 'long'; readonly low: number; readonly high: number }
  | { readonly in: 'float' | 'double'; readonly number: number }
  | { readonly in: 'boolean'; readonly truth: boolean }
  | { readonly in: 'string'; readonly text: string }
  /** Bytes, a data set, a template or an extension: not looked into. */
  | { readonly in: 'other' }

export interface Metric {
  readonly name: string | undefined
  readonly alias: number | undefined
  /** Milliseconds since 1970. */
  readonly timestamp: number | undefined
  readonly datatype: number | undefined
  readonly isNull: boolean
  readonly value: WireValue | undefined
  /** Of its properties. */
  readonly unit: string | undefined
  readonly quality: number | undefined
}

export interface SparkplugPayload {
  readonly timestamp: number | undefined
  readonly seq: number | undefined
  readonly metrics: readonly Metric[]
}

const PAYLOAD = { timestamp: 1, metrics: 2, seq: 3, uuid: 4, body: 5 } as const
const METRIC = {
  name: 1,
  alias: 2,
  timestamp: 3,
  datatype: 4,
  isNull: 7,
  properties: 9,
  int: 10,
  long: 11,
  float: 12,
  double: 13,
  boolean: 14,
  string: 15,
  extension: 19,
} as const
const PROPERTY_SET = { keys: 1, values: 2 } as const
const PROPERTY = { int: 3, long: 4, string: 8 } as const
/** What other implementations name the unit and the quality (6.4.17 knows the second). */
const UNIT = 'engunit'
const QUALITY = 'quality'

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

export function readSparkplug(bytes: Buffer): SparkplugPayload | Rejection {
  try {
    const payload = new PayloadReader(bytes).read()
    if (payload instanceof Rejection || payload.compressed === undefined) return payload
    const inner = new PayloadReader(inflated(payload.compressed, payload)).read()
    if (inner instanceof Rejection || inner.compressed === undefined) return inner
    throw new Malformed('is compressed twice')
  } catch (error) {
    if (error instanceof Malformed)
      return new Rejection('malformed-sparkplug', `the Sparkplug payload ${error.message}`)
    throw error
  }
}

interface Read extends SparkplugPayload {
  readonly compressed: Buffer | undefined
}

/** `algorithm` is a metric beside it. */
function inflated(body: Buffer, { metrics }: SparkplugPayload): Buffer {
  const value = metrics.find(({ name }) => name === 'algorithm')?.value
  const algorithm = value?.in === 'string' ? value.text.toUpperCase() : 'DEFLATE'
  if (algorithm !== 'DEFLATE' && algorithm !== 'GZIP') {
    throw new Malformed(`is compressed by ${quote(algorithm)}; DEFLATE and GZIP are understood`)
  }
  try {
    const inflate = algorithm === 'GZIP' ? gunzipSync : inflateSync
    return inflate(body, { maxOutputLength: INFLATED_BYTES_MAX })
  } catch (cause) {
    const isTooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    const what = isTooLarge ? `has more than ${INFLATED_BYTES_MAX} bytes when it is inflated` : `is no ${algorithm}`
    throw new Malformed(what)
  }
}

class PayloadReader {
  readonly #wire: WireReader

  constructor(bytes: Buffer) {
    this.#wire = new WireReader(bytes)
  }

  read(): Read | Rejection {
    const wire = this.#wire
    const end = wire.bytes.length
    const metrics: Metric[] = []
    const payload: Writable<SparkplugPayload> = { timestamp: undefined, seq: undefined, metrics }
    let isCompressed = false
    let body: Buffer | undefined
    while (wire.at < end) {
      wire.tag(end)
      switch (wire.number) {
        case PAYLOAD.timestamp:
          payload.timestamp = this.#unsigned(end, 'timestamp')
          break
        case PAYLOAD.seq:
          payload.seq = this.#unsigned(end, 'seq')
          break
        case PAYLOAD.metrics: {
          const metricEnd = this.#open(end, 'metrics')
          if (metrics.length === METRICS_MAX) {
            return new Rejection(
              'too-many-readings',
              `it has more than ${METRICS_MAX} metrics, which are the most allowed`,
            )
          }
          metrics.push(this.#metric(metricEnd))
          break
        }
        case PAYLOAD.uuid:
          isCompressed = this.#text(end, 'uuid') === COMPRESSED
          break
        case PAYLOAD.body: {
          const to = this.#open(end, 'body')
          body = wire.bytes.subarray(wire.at, to)
          wire.at = to
          break
        }
        default:
          wire.skip(end)
      }
    }
    return { ...payload, compressed: isCompressed ? (body ?? Buffer.alloc(0)) : undefined }
  }

  #metric(end: number): Metric {
    const wire = this.#wire
    const metric: Writable<Metric> = {
      name: undefined,
      alias: undefined,
      timestamp: undefined,
      datatype: undefined,
      isNull: false,
      value: undefined,
      unit: undefined,
      quality: undefined,
    }
    while (wire.at < end) {
      wire.tag(end)
      switch (wire.number) {
        case METRIC.name:
          metric.name = this.#text(end, 'name')
          if (metric.name.length > METRIC_NAME_CHARS_MAX) {
            throw new Malformed(
              `has a metric's name of ${metric.name.length} characters; at most ${METRIC_NAME_CHARS_MAX} are allowed`,
            )
          }
          break
        case METRIC.alias:
          metric.alias = this.#unsigned(end, 'alias')
          if (!Number.isSafeInteger(metric.alias)) throw new Malformed('has an alias beyond 2^53')
          break
        case METRIC.timestamp:
          metric.timestamp = this.#unsigned(end, 'timestamp')
          break
        case METRIC.datatype:
          metric.datatype = this.#unsigned(end, 'datatype')
          break
        case METRIC.isNull:
          metric.isNull = this.#unsigned(end, 'is_null') !== 0
          break
        case METRIC.properties:
          this.#properties(this.#open(end, 'properties'), metric)
          break
        default:
          if (wire.number >= METRIC.int && wire.number <= METRIC.extension) metric.value = this.#value(end)
          else wire.skip(end)
      }
    }
    return metric
  }

  #value(end: number): WireValue {
    const wire = this.#wire
    switch (wire.number) {
      case METRIC.int:
      case METRIC.long: {
        const field = wire.number === METRIC.int ? 'int' : 'long'
        this.#unsigned(end, `${field}_value`)
        return { in: field, low: wire.low, high: wire.high }
      }
      case METRIC.float: {
        this.#expect(WIRE.fixed32, 'float_value')
        return { in: 'float', number: wire.bytes.readFloatLE(wire.take(4, end, 'float_value')) }
      }
      case METRIC.double: {
        this.#expect(WIRE.fixed64, 'double_value')
        return { in: 'double', number: wire.bytes.readDoubleLE(wire.take(8, end, 'double_value')) }
      }
      case METRIC.boolean:
        return { in: 'boolean', truth: this.#unsigned(end, 'boolean_value') !== 0 }
      case METRIC.string:
        return { in: 'string', text: this.#text(end, 'string_value') }
      default:
        wire.skip(end)
        return { in: 'other' }
    }
  }

  /** Keys and values are lists beside each other. */
  #properties(end: number, metric: Writable<Metric>): void {
    const wire = this.#wire
    const keys: string[] = []
    const values: (string | number | undefined)[] = []
    while (wire.at < end) {
      wire.tag(end)
      if (wire.number === PROPERTY_SET.keys) keys.push(this.#text(end, 'keys'))
      else if (wire.number === PROPERTY_SET.values) values.push(this.#property(this.#open(end, 'values')))
      else wire.skip(end)
      if (keys.length > PROPERTIES_MAX || values.length > PROPERTIES_MAX) {
        throw new Malformed(`has a metric with more than ${PROPERTIES_MAX} properties`)
      }
    }
    for (const [index, key] of keys.entries()) {
      const value = values[index]
      const name = key.toLowerCase()
      if (name === UNIT && typeof value === 'string') metric.unit = value
      if (name === QUALITY && typeof value === 'number') metric.quality = value
    }
  }

  #property(end: number): string | number | undefined {
    const wire = this.#wire
    let value: string | number | undefined
    while (wire.at < end) {
      wire.tag(end)
      if (wire.number === PROPERTY.string) value = this.#text(end, 'a property')
      else if (wire.number === PROPERTY.int || wire.number === PROPERTY.long) value = this.#unsigned(end, 'a property')
      else wire.skip(end)
    }
    return value
  }

  /** Beyond 2^53 it is not exact: such a time is refused, and an alias. */
  #unsigned(end: number, what: string): number {
    const wire = this.#wire
    this.#expect(WIRE.varint, what)
    wire.varint(end, what)
    return wire.high * TWO_32 + wire.low
  }

  #open(end: number, what: string): number {
    this.#expect(WIRE.length, what)
    return this.#wire.lengthEnd(end, what)
  }

  #text(end: number, what: string): string {
    const wire = this.#wire
    const to = this.#open(end, what)
    const bytes = wire.bytes.subarray(wire.at, to)
    if (!isUtf8(bytes)) throw new Malformed(`has ${what} that is not UTF-8`)
    wire.at = to
    return bytes.toString('utf8')
  }

  #expect(wireType: number, what: string): void {
    const wire = this.#wire
    if (wire.wireType !== wireType) {
      throw new Malformed(`has ${what} (field ${wire.number}) as wire type ${wire.wireType}; ${wireType} is right`)
    }
  }
}
