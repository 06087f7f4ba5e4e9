/**
 * Owns the bytes of one writer schema in single-object encoding (Avro specification, "Single-object encoding"): from a
 * payload to readings of the newest version, and from records to a payload.
 *
 *   C3 01 · CRC-64-AVRO fingerprint of the writer schema (8 bytes, little-endian) · Avro body
 *
 * Always true: avsc decodes nothing that the guard has not walked. Bound: everything is compiled at construction;
 * `createResolver` costs 10 us and is not for the hot path.
 */

import avro from 'avsc'
import { messageOf } from '../platform/errors.ts'
import { avscRecord, avscSchema } from './avsc-names.ts'
import { type Definition, SchemaError } from './definition.ts'
import { fingerprintHex, fingerprintOf, OTHER_SPELLINGS, type OtherSpelling } from './fingerprint.ts'
import { Guard } from './guard.ts'
import { type Reading, Rejection } from './reading.ts'
import { type MessageContext, RecordMapper } from './record-mapper.ts'
import { quote } from './values.ts'

type AvroType = avro.Type
type Decoded = Readonly<Record<string, unknown>>

/** Where the body starts: after the marker and the fingerprint. */
export const BODY_AT = 10

/** The avsc type of a schema given as parsed JSON. Throws avsc's error if it is no valid Avro. */
export function avroType(schema: object): AvroType {
  // Two options are missing from avsc's typings.
  const options = { omitRecordMethods: true, strictDefaults: true, registry: {} }
  return avro.Type.forSchema(avscSchema(schema) as avro.Schema, options)
}

export interface Version {
  readonly definition: Definition
  readonly type: AvroType
}

export interface OtherFingerprint {
  readonly spelling: OtherSpelling
  readonly fingerprint: bigint
}

export class AvroCodec {
  readonly definition: Definition
  readonly fingerprint: bigint
  /** The body is an array of records. */
  readonly batch: boolean
  /** What libraries that spell logical types in their own way compute instead; none where that is the same. */
  readonly otherFingerprints: readonly OtherFingerprint[]
  readonly #type: AvroType
  readonly #readerType: AvroType
  readonly #resolver: ReturnType<AvroType['createResolver']> | undefined
  readonly #guard: Guard
  readonly #mapper: RecordMapper
  readonly #header: Buffer

  /** Throws if `reader` cannot read what `writer` writes. */
  constructor(writer: Version, reader: Version, batch: boolean, readingTimeMinMs: number) {
    this.definition = writer.definition
    this.batch = batch
    const { schema } = writer.definition
    const written = batch ? { type: 'array', items: schema } : schema
    this.fingerprint = fingerprintOf(written)
    this.otherFingerprints = OTHER_SPELLINGS.map((spelling) => ({
      spelling,
      fingerprint: fingerprintOf(written, spelling),
    })).filter(({ fingerprint }) => fingerprint !== this.fingerprint)
    this.#header = Buffer.from([0xc3, 0x01, 0, 0, 0, 0, 0, 0, 0, 0])
    this.#header.writeBigUInt64LE(this.fingerprint, 2)
    this.#type = batch ? arrayOf(writer.type) : writer.type
    this.#readerType = batch ? arrayOf(reader.type) : reader.type
    this.#resolver = writer === reader ? undefined : this.#readerType.createResolver(this.#type)
    this.#guard = new Guard(writer.definition.shape, batch)
    this.#mapper = new RecordMapper(writer.definition, reader.definition, readingTimeMinMs)
  }

  get hex(): string {
    return fingerprintHex(this.fingerprint)
  }

  /** The readings of a payload whose body starts at `from`, written by this schema. */
  decode(payload: Buffer, from: number, context: MessageContext): readonly Reading[] | Rejection {
    const unsound = this.#guard.check(payload, from)
    if (unsound !== undefined) return unsound
    let body: unknown
    try {
      const reader = this.#resolver === undefined ? this.#type : this.#readerType
      const { value, offset } = reader.decode(payload, from, this.#resolver)
      if (offset !== payload.length) return new Rejection('malformed-avro', 'the decoder and the guard disagree on it')
      body = value
    } catch (error) {
      return new Rejection('malformed-avro', `the decoder refuses it: ${messageOf(error)}`)
    }
    if (this.batch) return this.#mapBatch(body as readonly Decoded[], context)
    const reading = this.#mapper.map(body as Decoded, context, 0, 0)
    return reading instanceof Rejection ? reading : [reading]
  }

  #mapBatch(records: readonly Decoded[], context: MessageContext): readonly Reading[] | Rejection {
    if (records.length === 0) {
      return new Rejection('invalid-reading', 'the array is empty; it needs at least one reading')
    }
    const readings: Reading[] = []
    for (let index = 0; index < records.length; index++) {
      const reading = this.#mapper.map(records[index] as Decoded, context, index, records.length)
      if (reading instanceof Rejection) return reading
      readings.push(reading)
    }
    return readings
  }

  /** Throws `SchemaError` `record-invalid` if a record does not fit. */
  encode(value: object): Buffer {
    const named = avscRecord(value)
    const faults: string[] = []
    const errorHook = (path: readonly string[], given: unknown, type: AvroType) => {
      faults.push(`${path.join('.') || 'it'} is ${quote(given)}, not ${type.typeName}`)
    }
    if (!this.#type.isValid(named, { noUndeclaredFields: true })) {
      this.#type.isValid(named, { noUndeclaredFields: true, errorHook })
      const { stream, version } = this.definition
      throw new SchemaError('record-invalid', `no record of ${stream} ${version}: ${faults.join('; ')}`)
    }
    return Buffer.concat([this.#header, this.#type.toBuffer(named)])
  }
}

const arrayOf = (items: AvroType): AvroType => avro.Type.forSchema({ type: 'array', items })
