/**
 * Owns the bytes of a Sparkplug B payload as the simulator writes it (3.0, section 6.4). Apart from the platform's reader, so that a mistake of
 * one is not a mistake of both.
 */

import minimal, { type Writer } from 'protobufjs/minimal.js'
import { WIRE } from '../../../schemas/protobuf-wire.ts'

/** Of section 6.4.16, as far as columns have them. */
export const DATATYPE = { int32: 3, int64: 4, float: 9, double: 10, boolean: 11, string: 12 } as const
export type Datatype = (typeof DATATYPE)[keyof typeof DATATYPE]

export interface MetricWritten {
  readonly name?: string
  readonly alias?: number
  /** Milliseconds since 1970. */
  readonly timestamp?: number | undefined
  /** What the value is; written itself in births only. */
  readonly datatype: Datatype
  readonly unit?: string | undefined
  /** Undefined or null: it has none. */
  readonly value: unknown
}

export interface PayloadWritten {
  readonly timestamp: number
  readonly seq: number
  readonly isBirth: boolean
  readonly metrics: readonly MetricWritten[]
}

const tag = (number: number, wireType: number): number => (number << 3) | wireType
const PAYLOAD = { timestamp: tag(1, WIRE.varint), metrics: tag(2, WIRE.length), seq: tag(3, WIRE.varint) }
const METRIC = {
  name: tag(1, WIRE.length),
  alias: tag(2, WIRE.varint),
  timestamp: tag(3, WIRE.varint),
  datatype: tag(4, WIRE.varint),
  isNull: tag(7, WIRE.varint),
  properties: tag(9, WIRE.length),
  int: tag(10, WIRE.varint),
  long: tag(11, WIRE.varint),
  float: tag(12, WIRE.fixed32),
  double: tag(13, WIRE.fixed64),
  boolean: tag(14, WIRE.varint),
  string: tag(15, WIRE.length),
}
const PROPERTY_SET = { keys: tag(1, WIRE.length), values: tag(2, WIRE.length) }
const PROPERTY = { type: tag(1, WIRE.varint), string: tag(8, WIRE.length) }
/** As other implementations name it. */
const UNIT = 'engUnit'

export function writeSparkplug({ timestamp, seq, isBirth, metrics }: PayloadWritten): Buffer {
  const writer = minimal.Writer.create().uint32(PAYLOAD.timestamp).int64(timestamp)
  for (const metric of metrics) {
    writer.uint32(PAYLOAD.metrics).fork()
    writeMetric(writer, metric, isBirth)
    writer.ldelim()
  }
  const bytes = writer.uint32(PAYLOAD.seq).int64(seq).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function writeMetric(writer: Writer, metric: MetricWritten, isBirth: boolean): void {
  const { name, alias, timestamp, datatype, unit, value } = metric
  if (name !== undefined) writer.uint32(METRIC.name).string(name)
  if (alias !== undefined) writer.uint32(METRIC.alias).int64(alias)
  if (timestamp !== undefined) writer.uint32(METRIC.timestamp).int64(timestamp)
  if (isBirth) writer.uint32(METRIC.datatype).uint32(datatype)
  if (value === undefined || value === null) writer.uint32(METRIC.isNull).bool(true)
  if (unit !== undefined) {
    writer.uint32(METRIC.properties).fork().uint32(PROPERTY_SET.keys).string(UNIT)
    writer.uint32(PROPERTY_SET.values).fork().uint32(PROPERTY.type).uint32(DATATYPE.string)
    writer.uint32(PROPERTY.string).string(unit).ldelim().ldelim()
  }
  if (value !== undefined && value !== null) writeValue(writer, datatype, value)
}

function writeValue(writer: Writer, datatype: Datatype, value: unknown): void {
  switch (datatype) {
    case DATATYPE.int32:
      writer.uint32(METRIC.int).uint32(Number(value) >>> 0)
      break
    case DATATYPE.int64:
      writer.uint32(METRIC.long).int64(Number(value))
      break
    case DATATYPE.float:
      writer.uint32(METRIC.float).float(Number(value))
      break
    case DATATYPE.double:
      writer.uint32(METRIC.double).double(Number(value))
      break
    case DATATYPE.boolean:
      writer.uint32(METRIC.boolean).bool(value === true)
      break
    case DATATYPE.string:
      writer.uint32(METRIC.string).string(String(value))
  }
}
