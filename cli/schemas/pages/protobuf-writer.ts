/** Owns the bytes of a record in Protobuf, as a device sends them: what proto3 does not send, because it is 0, is left out. */

import { createRequire } from 'node:module'
import type { Writer } from 'protobufjs'
import { BATCH_FIELD } from '../../../schemas/protobuf-parse.ts'
import { type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from '../../../schemas/protobuf-shape.ts'
import { WIRE } from '../../../schemas/protobuf-wire.ts'

type Record_ = Readonly<Record<string, unknown>>

const WIRE_OF: Record<ProtoScalar, number> = {
  int32: WIRE.varint,
  sint32: WIRE.varint,
  sfixed32: WIRE.fixed32,
  uint32: WIRE.varint,
  fixed32: WIRE.fixed32,
  int64: WIRE.varint,
  sint64: WIRE.varint,
  sfixed64: WIRE.fixed64,
  uint64: WIRE.varint,
  fixed64: WIRE.fixed64,
  float: WIRE.fixed32,
  double: WIRE.fixed64,
  bool: WIRE.varint,
  string: WIRE.length,
}
const MICROS = 1e6

/** `perSecond`: by what the record's time counts. */
export function protobufOf(message: MessageShape, records: Record_ | readonly Record_[], perSecond: number): Buffer {
  const { Writer } = createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs')
  const writer = Writer.create()
  const write = new RecordWriter(writer, perSecond)
  if (!Array.isArray(records)) write.message(message, records as Record_)
  else for (const record of records) write.nested(BATCH_FIELD, message, record)
  return Buffer.from(writer.finish())
}

class RecordWriter {
  readonly #writer: Writer
  readonly #perSecond: number

  constructor(writer: Writer, perSecond: number) {
    this.#writer = writer
    this.#perSecond = perSecond
  }

  message({ fields }: MessageShape, record: Record_): void {
    const oneofs = new Set<string>()
    for (const field of fields) {
      const value = record[field.name]
      if (value === undefined || value === null) continue
      if (field.oneof !== undefined && oneofs.has(field.oneof)) continue
      if (field.oneof !== undefined) oneofs.add(field.oneof)
      this.#field(field, value)
    }
  }

  nested(number: number, message: MessageShape, record: Record_): void {
    this.#tag(number, WIRE.length).fork()
    this.message(message, record)
    this.#writer.ldelim()
  }

  #field({ number, type, hasPresence }: FieldShape, value: unknown): void {
    if (type === TIMESTAMP) this.nested(number, TIMESTAMP, this.#timestamp(value as number))
    else if (type.kind === 'message') this.nested(number, type as MessageShape, value as Record_)
    else if (type.kind === 'enum') {
      const [symbol = 0] = [...type.symbols].find(([, name]) => name === value) ?? []
      if (symbol !== 0 || hasPresence) this.#tag(number, WIRE.varint).int32(symbol)
    } else if (hasPresence || (value !== 0 && value !== false && value !== '')) {
      const writer = this.#tag(number, WIRE_OF[type.kind])
      ;(writer[type.kind] as (value: unknown) => Writer).call(writer, value)
    }
  }

  #timestamp(time: number): Record_ {
    const micros = (time * MICROS) / this.#perSecond
    const seconds = Math.floor(micros / MICROS)
    return { seconds, nanos: (micros - seconds * MICROS) * 1_000 }
  }

  #tag(number: number, wire: number): Writer {
    return this.#writer.uint32(((number << 3) | wire) >>> 0)
  }
}
