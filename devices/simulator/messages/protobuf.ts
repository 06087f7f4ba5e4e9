/**
 * Owns Protobuf as the simulator writes it: by the `.proto` of the device's version, a batch as `message <Name>Batch` has it. `protobufjs`
 * writes the bytes; what is written where is planned once a version.
 */

import minimal, { type Writer } from 'protobufjs/minimal.js'
import { type Definition, isLogical, type LogicalLeaf } from '../../../schemas/definition.ts'
import { fromAvro } from '../../../schemas/logical.ts'
import { WIRE_TYPES } from '../../../schemas/protobuf-codec.ts'
import { BATCH_FIELD, parseProto, TIME_FIELD } from '../../../schemas/protobuf-parse.ts'
import { type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from '../../../schemas/protobuf-shape.ts'
import { WIRE } from '../../../schemas/protobuf-wire.ts'
import { columnsOf, type RecordColumn, recordValue } from './record-columns.ts'
import type { SentVersion } from './simulator-schemas.ts'
import type { Encoding } from './telemetry-format.ts'
import { type MeasuredRecord, notSendable, type WireOptions } from './wire-format.ts'

/** Writes what a record has of one field, if it has it. */
type FieldWriter = (writer: Writer, record: MeasuredRecord) => void

const NANOS_PER_SECOND = 1e9

export function protobufEncoding({ version, sending, schemas }: WireOptions): Encoding {
  const { stream, version: number, protobuf } = version.registered
  if (protobuf === undefined) {
    const others = schemas.registry.versions(stream).filter((each) => each.protobuf !== undefined)
    const allowed =
      others.length === 0 ? '' : `, or one of the versions ${others.map((each) => each.version).join(', ')}`
    throw notSendable(`${stream} ${number} has no .proto: allowed is any other format${allowed}`)
  }
  const fields = schemas.once(version, planOf)
  if (sending.batch === 1) {
    return {
      level: 'protobuf',
      drawsJson: false,
      encode: ([record]) => {
        const writer = minimal.Writer.create()
        if (record !== undefined) writeFields(fields, writer, record)
        return asBuffer(writer)
      },
    }
  }
  return {
    level: 'protobuf-batch',
    drawsJson: false,
    encode: (records) => {
      const writer = minimal.Writer.create()
      for (const record of records) {
        writer.uint32(tagOf(BATCH_FIELD, WIRE.length)).fork()
        writeFields(fields, writer, record)
        writer.ldelim()
      }
      return asBuffer(writer)
    },
  }
}

function planOf({ registered: { stream, version, protobuf = '' }, definition }: SentVersion): readonly FieldWriter[] {
  return new Planner(definition).fields(parseProto(`${stream}/${version}.proto`, stream, protobuf), '')
}

function writeFields(fields: readonly FieldWriter[], writer: Writer, record: MeasuredRecord): void {
  for (let at = 0; at < fields.length; at++) fields[at]?.(writer, record)
}

function asBuffer(writer: Writer): Buffer {
  const bytes = writer.finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const tagOf = (number: number, wireType: number): number => ((number << 3) | wireType) >>> 0

class Planner {
  readonly #timeField: string
  readonly #unitsPerSecond: number
  readonly #columns: ReadonlyMap<string, RecordColumn>

  constructor(definition: Definition) {
    this.#timeField = definition.timeField
    this.#unitsPerSecond = definition.precision === 'us' ? 1e6 : 1e3
    this.#columns = new Map(columnsOf(definition).map((each) => [each.column.name, each]))
  }

  fields({ fields }: MessageShape, above: string): FieldWriter[] {
    return fields.map((field) => {
      if (above === '' && field.name === TIME_FIELD) return this.#time(field)
      if (field.type.kind === 'message') return this.#message(field, field.type, `${above}${field.name}_`)
      return this.#leaf(field, above + field.name)
    })
  }

  #time({ number, type }: FieldShape): FieldWriter {
    const name = this.#timeField
    if (type !== TIMESTAMP) {
      const tag = tagOf(number, WIRE.varint)
      return (writer, record) => writer.uint32(tag).int64(Number(record[name]))
    }
    const tag = tagOf(number, WIRE.length)
    const units = this.#unitsPerSecond
    return (writer, record) => {
      const time = Number(record[name])
      const seconds = Math.floor(time / units)
      const nanos = Math.round((time - seconds * units) * (NANOS_PER_SECOND / units))
      writer.uint32(tag).fork().uint32(tagOf(1, WIRE.varint)).int64(seconds)
      writer.uint32(tagOf(2, WIRE.varint)).int32(nanos).ldelim()
    }
  }

  #message({ number }: FieldShape, message: MessageShape, above: string): FieldWriter {
    const inner = this.fields(message, above)
    const paths = [...this.#columns.values()]
      .filter(({ column }) => column.name.startsWith(above))
      .map(({ path }) => path)
    const tag = tagOf(number, WIRE.length)
    return (writer, record) => {
      // An empty message would have the zeros of its fields.
      if (paths.every((path) => isNone(recordValue(record, path)))) return
      writer.uint32(tag).fork()
      writeFields(inner, writer, record)
      writer.ldelim()
    }
  }

  #leaf({ number, type, isList }: FieldShape, name: string): FieldWriter {
    const column = this.#columns.get(name)
    if (column === undefined || type.kind === 'message') return () => {}
    const { path, leaf } = column
    if (type.kind === 'enum') {
      const numbers = new Map([...type.symbols].map(([value, symbol]) => [symbol, value]))
      const tag = tagOf(number, WIRE.varint)
      return (writer, record) => {
        const symbol = numbers.get(String(recordValue(record, path)))
        if (symbol !== undefined) writer.uint32(tag).int32(symbol)
      }
    }
    const { kind } = type
    const write = SCALARS[kind]
    if (isList) {
      const tag = tagOf(number, WIRE.length)
      return (writer, record) => {
        const list = recordValue(record, path)
        if (!Array.isArray(list) || list.length === 0) return
        writer.uint32(tag).fork()
        for (const item of list) write(writer, item)
        writer.ldelim()
      }
    }
    const tag = tagOf(number, WIRE_TYPES[kind])
    const logical = isLogical(leaf) ? leaf : undefined
    return (writer, record) => {
      const value = recordValue(record, path)
      if (isNone(value)) return
      write(writer.uint32(tag), logical === undefined ? value : sentAs(logical, kind, value))
    }
  }
}

const isNone = (value: unknown) => value === null || value === undefined

/** What Avro has as another type: text and decimals as a reading has them, else the number or the bytes. */
function sentAs(leaf: LogicalLeaf, kind: ProtoScalar, raw: unknown): unknown {
  if (kind === 'bytes') return typeof raw === 'string' ? Buffer.from(raw.replaceAll('-', ''), 'hex') : raw
  return kind === 'string' || leaf.kind === 'decimal' ? fromAvro(leaf, raw) : raw
}

const SCALARS: Readonly<Record<ProtoScalar, (writer: Writer, value: unknown) => unknown>> = {
  int32: (writer, value) => writer.int32(Number(value)),
  sint32: (writer, value) => writer.sint32(Number(value)),
  sfixed32: (writer, value) => writer.sfixed32(Number(value)),
  uint32: (writer, value) => writer.uint32(Number(value)),
  fixed32: (writer, value) => writer.fixed32(Number(value)),
  int64: (writer, value) => writer.int64(Number(value)),
  sint64: (writer, value) => writer.sint64(Number(value)),
  sfixed64: (writer, value) => writer.sfixed64(Number(value)),
  uint64: (writer, value) => writer.uint64(Number(value)),
  fixed64: (writer, value) => writer.fixed64(Number(value)),
  float: (writer, value) => writer.float(Number(value)),
  double: (writer, value) => writer.double(Number(value)),
  bool: (writer, value) => writer.bool(value === true),
  string: (writer, value) => writer.string(String(value)),
  bytes: (writer, value) => writer.bytes(value as Uint8Array),
}
