/**
 * Owns reading Protobuf as far as it goes, for people who look at a payload that was set aside: each field by its number, with its name if
 * the schema has one. Bound: `INSPECT_FIELDS_MAX` fields.
 */

import { isUtf8 } from 'node:buffer'
import { Malformed } from './malformed.ts'
import { BATCH_FIELD } from './protobuf-parse.ts'
import type { FieldShape, MessageShape } from './protobuf-shape.ts'
import { WIRE, WireReader } from './protobuf-wire.ts'
import { quote } from './values.ts'

/** Fields of one payload that are shown to a person who looks at it. */
const INSPECT_FIELDS_MAX = 1_000

export interface InspectedMessage {
  readonly fields: readonly { readonly path: string; readonly value: string }[]
  /** Why reading stopped, if not at the end. */
  readonly fault?: string
}

export function inspectProtobuf(message: MessageShape | undefined, batch: boolean, payload: Buffer): InspectedMessage {
  const fields: { path: string; value: string }[] = []
  const reader = new WireReader(payload)
  try {
    let count = 0
    while (batch && reader.at < payload.length) {
      reader.tag(payload.length)
      if (reader.number !== BATCH_FIELD || reader.wireType !== WIRE.length) reader.skip(payload.length)
      else walk(message, reader, reader.lengthEnd(payload.length, 'a reading'), `[${count++}].`, fields)
    }
    if (!batch) walk(message, reader, payload.length, '', fields)
    return { fields }
  } catch (error) {
    if (error instanceof Malformed) return { fields, fault: `it ${error.message}` }
    throw error
  }
}

function walk(
  message: MessageShape | undefined,
  reader: WireReader,
  end: number,
  above: string,
  fields: { path: string; value: string }[],
): void {
  while (reader.at < end) {
    if (fields.length >= INSPECT_FIELDS_MAX) throw new Malformed(`has more than ${INSPECT_FIELDS_MAX} fields`)
    reader.tag(end)
    const { number } = reader
    const field = message?.fields.find((each) => each.number === number)
    const path = `${above}${field?.name ?? number}`
    if (field?.type.kind === 'message' && reader.wireType === WIRE.length) {
      walk(field.type, reader, reader.lengthEnd(end, path), `${path}.`, fields)
    } else fields.push({ path, value: shown(reader, end, field) })
  }
}

function shown(reader: WireReader, end: number, field: FieldShape | undefined): string {
  const { bytes, wireType } = reader
  const kind = field?.type.kind
  const from = reader.at
  reader.skip(end)
  if (wireType === WIRE.varint) {
    const value = (BigInt(reader.high) << 32n) | BigInt(reader.low)
    if (kind?.startsWith('sint')) return String((value >> 1n) ^ -(value & 1n))
    return kind?.startsWith('int') || kind === 'enum' ? String(BigInt.asIntN(64, value)) : String(value)
  }
  if (wireType === WIRE.fixed32) return String(kind === 'float' ? bytes.readFloatLE(from) : bytes.readInt32LE(from))
  if (wireType === WIRE.fixed64)
    return String(kind === 'double' ? bytes.readDoubleLE(from) : bytes.readBigInt64LE(from))
  const length = new WireReader(bytes, from)
  const contents =
    wireType === WIRE.length
      ? bytes.subarray(length.lengthEnd(end, '') && length.at, reader.at)
      : bytes.subarray(from, reader.at)
  if (kind === 'bytes') return quote(contents.toString('hex'))
  return wireType === WIRE.length && isUtf8(contents) ? quote(contents.toString('utf8')) : `${contents.length} bytes`
}
