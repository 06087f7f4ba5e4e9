/**
 * Owns what a Sparkplug message in the log has besides its bytes: of each metric that does not say so itself its name, its datatype
 * and its unit, as the birth before it said; so that whoever reads it, at once, after a crash or in a year, reads the same.
 *
 *   sender and topic (foreign.ts) · u32 length of the context (little-endian) · context (JSON) · what was published
 *
 * Always true: of a metric that no birth has told of nothing is guessed; the message is refused when it is read.
 */

import { foreignBytes, foreignPayload } from '../../schemas/foreign.ts'
import { TWO_32 } from '../../schemas/protobuf-wire.ts'
import type { Metric, SparkplugPayload } from './payload.ts'

/** What a birth says of a metric. */
export interface KnownMetric {
  readonly name: string
  readonly datatype: number
  readonly unit?: string
}

/** As told by the births of an edge node or of a device. */
export interface KnownMetrics {
  byName(name: string): KnownMetric | undefined
  byAlias(alias: number): KnownMetric | undefined
}

type Told = readonly [name: string, datatype: number, unit?: string] | 0

export interface Context {
  /** Beside the metrics; 0 of one that says all itself, or that nobody knows. Left out if all are. */
  readonly m?: readonly Told[]
  /** Microseconds that its times are later than it says, so that what was said before of one of them is not replaced; left out if none. */
  readonly t?: number
  /** The latest time that was spoken of before, milliseconds: what is later is exactly as it says. Left out if `t` is of all. */
  readonly l?: number
}

export const NO_CONTEXT: Context = {}
const LENGTH_BYTES = 4

/** Whether nothing is missing of what `metric` means. */
export const saysAll = ({ name, datatype }: Metric): boolean => name !== undefined && datatype !== undefined

/** What `known` has to add. */
export function tell(
  { metrics }: SparkplugPayload,
  known: KnownMetrics,
): { readonly told: readonly Told[]; readonly unknown: Metric | undefined } {
  let unknown: Metric | undefined
  const told = metrics.map((metric): Told => {
    const found =
      metric.name === undefined ? metric.alias !== undefined && known.byAlias(metric.alias) : known.byName(metric.name)
    if (found) {
      const { name, datatype, unit } = found
      if (saysAll(metric) && (unit === undefined || metric.unit !== undefined)) return 0
      return unit === undefined ? [name, datatype] : [name, datatype, unit]
    }
    if (!saysAll(metric)) unknown ??= metric
    return 0
  })
  return { told: told.some((each) => each !== 0) ? told : [], unknown }
}

export function inLog(topic: string, context: Context, published: Buffer, sender = ''): Buffer {
  const text = JSON.stringify(context)
  const length = Buffer.byteLength(text)
  const rest = Buffer.allocUnsafe(LENGTH_BYTES + length + published.length)
  rest.writeUInt32LE(length, 0)
  rest.write(text, LENGTH_BYTES)
  published.copy(rest, LENGTH_BYTES + length)
  return foreignPayload(topic, rest, sender)
}

export const bytesInLog = (topic: string, context: Context, published: Buffer, sender = ''): number =>
  foreignBytes(topic, published, sender) + LENGTH_BYTES + Buffer.byteLength(JSON.stringify(context))

/** Of what stands behind the topic; undefined if it is no such thing. */
export function readContext(rest: Buffer): { readonly context: Context; readonly published: Buffer } | undefined {
  const length = rest.length < LENGTH_BYTES ? TWO_32 : rest.readUInt32LE(0)
  if (length > rest.length - LENGTH_BYTES) return undefined
  try {
    const context = JSON.parse(rest.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length))
    return { context, published: rest.subarray(LENGTH_BYTES + length) }
  } catch {
    return undefined
  }
}
