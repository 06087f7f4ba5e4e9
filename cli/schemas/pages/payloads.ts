/** Owns the example of a stream in each of the framings that it is published by; by framing, as the catalogue names them. */

import { encode as encodeCbor } from 'cborg'
import { Packr } from 'msgpackr'
import type { CatalogueFraming } from '../../../schemas/catalogue.ts'
import type { Definition } from '../../../schemas/definition.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { type Example, exampleOf, type Writing } from './example.ts'
import { protobufOf } from './protobuf-writer.ts'

/** Where the body of single-object encoding begins. */
const BODY_AT = 10

type Encode = (example: Example | readonly Example[], of: Of) => Buffer

interface Of {
  readonly definition: Definition
  readonly registry: Registry
  readonly framing: CatalogueFraming
}

const avro: Encode = (example, { definition, registry }) => registry.encode(definition.stream, example)

/** Those that write a record of the schema; the others write what JSON would. */
const AS_AVRO: ReadonlySet<string> = new Set(['avro', 'confluent'])

const ENCODERS: Readonly<Record<string, Encode>> = {
  avro,
  json: (example) => Buffer.from(JSON.stringify(example)),
  confluent(example, of) {
    const { firstBytes = '', batchFirstBytes = '' } = of.framing
    const begin = Buffer.from(Array.isArray(example) ? batchFirstBytes : firstBytes, 'hex')
    return Buffer.concat([begin, avro(example, of).subarray(BODY_AT)])
  },
  messagepack: (example) => new Packr({ useRecords: false }).pack(example),
  cbor: (example) => Buffer.from(encodeCbor(example)),
  protobuf(example, { definition, registry }) {
    const codec = registry.protobuf(definition.stream)
    if (codec === undefined) return Buffer.alloc(0)
    const isBatch = Array.isArray(example)
    const record = { json: exampleOf(definition, 'json'), avro: exampleOf(definition, 'avro') }
    const records = isBatch ? example.map(() => record) : [record]
    return protobufOf(codec.message, records, isBatch, definition.precision === 'ms' ? 1e3 : 1e6)
  },
}

export interface Payloads {
  readonly one: Buffer
  /** Of two readings, both the example. */
  readonly batch: Buffer
}

/** Undefined of a framing that has no example. */
export function payloadsOf(of: Of): Payloads | undefined {
  const encode = ENCODERS[of.framing.framing]
  const writing: Writing = AS_AVRO.has(of.framing.framing) ? 'avro' : 'json'
  const example = exampleOf(of.definition, writing)
  return encode && { one: encode(example, of), batch: encode([example, example], of) }
}
