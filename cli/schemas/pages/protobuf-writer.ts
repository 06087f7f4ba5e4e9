/** Owns the bytes of a record in Protobuf, as a device sends them: what proto3 does not send, because it is 0, is left out. */

import { createRequire } from 'node:module'
import type { Writer } from 'protobufjs'
import { WIRE_TYPES } from '../../../schemas/protobuf-codec.ts'
import { BATCH_FIELD } from '../../../schemas/protobuf-parse.ts'
import { type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from '../../../schemas/protobuf-shape.ts'
import { WIRE } from '../../../schemas/protobuf-wire.ts'
import type { Example } from './example.ts'

export interface Twofold {
  readonly json: Example
  readonly avro: Example
}

const MICROS = 1e6

/** Records as JSON has them, and as Avro does; `perSecond`: by what their time counts. */
export function protobufOf(
  message: MessageShape,
  records: readonly Twofold[],
  isBatch: boolean,
  perSecond: number,
): Buffer {
  const { Writer } = createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs')
  const writer = Writer.create()
  const write = new RecordWriter(writer, perSecond)
  for (const record of records) {
    if (isBatch) write.nested(BATCH_FIELD, message, record)
    else write.message(message, record)
  }
  return Buffer.from(writer.finish())
}

class RecordWriter {
  readonly #writer: Writer
  readonly #perSecond: number

  constructor(writer: Writer, perSecond: number) {
    this.#writer = writer
    this.#perSecond = perSecond
  }

  message({ fields }: MessageShape, { json, avro }: Twofold): void {
    const oneofs = new Set<string>()
    for (const field of fields) {
      const value = json[field.name]
      if (value === undefined || value === null) continue
      if (field.oneof !== undefined && oneofs.has(field.oneof)) continue
      if (field.oneof !== undefined) oneofs.add(field.oneof)
      this.#field(field, value, avro[field.name])
    }
  }

  nested(number: number, message: MessageShape, record: Twofold): void {
    this.#tag(number, WIRE.length).fork()
    this.message(message, record)
    this.#writer.ldelim()
  }

  #field({ number, type, isList, hasPresence }: FieldShape, value: unknown, raw: unknown): void {
    if (isList) {
      const writer = this.#tag(number, WIRE.length).fork()
      for (const item of value as readonly unknown[]) {
        ;(writer[type.kind as ProtoScalar] as (value: unknown) => Writer).call(writer, item)
      }
      writer.ldelim()
    } else if (type === TIMESTAMP) this.nested(number, TIMESTAMP, this.#timestamp(value as number))
    else if (type.kind === 'message') {
      this.nested(number, type as MessageShape, { json: value as Example, avro: raw as Example })
    } else if (type.kind === 'enum') {
      const [symbol = 0] = [...type.symbols].find(([, name]) => name === value) ?? []
      if (symbol !== 0 || hasPresence) this.#tag(number, WIRE.varint).int32(symbol)
    } else if (hasPresence || (value !== 0 && value !== false && value !== '')) {
      const writer = this.#tag(number, WIRE_TYPES[type.kind])
      ;(writer[type.kind] as (value: unknown) => Writer).call(writer, scalarOf(type.kind, value, raw))
    }
  }

  #timestamp(time: number): Twofold {
    const micros = (time * MICROS) / this.#perSecond
    const seconds = Math.floor(micros / MICROS)
    const record = { seconds, nanos: (micros - seconds * MICROS) * 1_000 }
    return { json: record, avro: record }
  }

  #tag(number: number, wire: number): Writer {
    return this.#writer.uint32(((number << 3) | wire) >>> 0)
  }
}

/** What has no type in Protobuf comes as text or as a number, and bytes as they are. */
function scalarOf(kind: ProtoScalar, value: unknown, raw: unknown): unknown {
  if (kind === 'bytes') return raw instanceof Uint8Array ? raw : Buffer.from(String(value).replaceAll('-', ''), 'hex')
  return typeof value === 'string' && kind !== 'string' ? raw : value
}
