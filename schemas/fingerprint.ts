/**
 * Owns a schema's identity on the wire: the CRC-64-AVRO fingerprint of its Parsing Canonical Form (Avro specification
 * 1.12, "Transforming into Parsing Canonical Form" and "Schema Fingerprints").
 *
 * Always true: two spellings of the same schema give one fingerprint. What the canonical form strips, a fingerprint does
 * not see: defaults, docs, aliases, logical types and our own attributes; `compatibility.ts` looks at those.
 * avsc's own canonical form is not used, so that nothing here depends on how that library spells a schema.
 *
 * Two libraries spell a logical type otherwise than the specification, so their fingerprints of a schema with a time are
 * others, and the bodies the same: Python's `avro` leaves `{"type":"long"}` (1.12.1), Go's hamba/avro the logical type, too
 * (2.28.0).
 */

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'])

/** The seed of the CRC and the fingerprint of the empty string. */
const EMPTY = 0xc15d213aa4d7a795n

const TABLE = Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte)
  for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (value & 1n ? EMPTY : 0n)
  return value
})

/** CRC-64-AVRO of the UTF-8 bytes of `text`, as an unsigned 64-bit integer. Slow: for use once a schema. */
export function crc64(text: string): bigint {
  let crc = EMPTY
  for (const byte of Buffer.from(text)) crc = (crc >> 8n) ^ (TABLE[Number((crc ^ BigInt(byte)) & 0xffn)] ?? 0n)
  return crc
}

/** Whose canonical form: of the specification, or of a library that spells logical types in its own way. */
export type Spelling = 'specification' | OtherSpelling
export type OtherSpelling = (typeof OTHER_SPELLINGS)[number]
export const OTHER_SPELLINGS = ['avro (Python)', 'hamba/avro (Go)'] as const

/** The Parsing Canonical Form of a schema given as parsed JSON. The schema is taken to be a valid one. */
export function canonicalForm(schema: unknown, spelling: Spelling = 'specification', namespace = ''): string {
  if (typeof schema === 'string') return JSON.stringify(fullName(schema, namespace))
  if (Array.isArray(schema)) return `[${schema.map((branch) => canonicalForm(branch, spelling, namespace)).join(',')}]`
  const { type, ...rest } = schema as Record<string, unknown>
  switch (type) {
    case 'array':
      return `{"type":"array","items":${canonicalForm(rest.items, spelling, namespace)}}`
    case 'map':
      return `{"type":"map","values":${canonicalForm(rest.values, spelling, namespace)}}`
    case 'record':
    case 'error':
    case 'enum':
    case 'fixed':
      return namedForm(type, rest, spelling, namespace)
  }
  const form = canonicalForm(type, spelling, namespace)
  if (rest.logicalType === undefined || spelling === 'specification') return form
  const logical = spelling === 'hamba/avro (Go)' ? `,"logicalType":${JSON.stringify(rest.logicalType)}` : ''
  return `{"type":${form}${logical}}`
}

function namedForm(type: string, schema: Record<string, unknown>, spelling: Spelling, enclosing: string): string {
  const own = schema.namespace
  const name = fullName(String(schema.name), typeof own === 'string' ? own : enclosing)
  const namespace = name.slice(0, Math.max(0, name.lastIndexOf('.')))
  const head = `{"name":${JSON.stringify(name)},"type":${JSON.stringify(type)}`
  if (type === 'enum') return `${head},"symbols":${JSON.stringify(schema.symbols)}}`
  if (type === 'fixed') return `${head},"size":${Number(schema.size)}}`
  const fields = (schema.fields as { name: string; type: unknown }[]).map(
    (field) => `{"name":${JSON.stringify(field.name)},"type":${canonicalForm(field.type, spelling, namespace)}}`,
  )
  return `${head},"fields":[${fields.join(',')}]}`
}

/** The name with its namespace; a primitive type, a dotted name and a name outside any namespace stay as they are. */
export function fullName(name: string, namespace: string): string {
  return PRIMITIVES.has(name) || name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

/** The fingerprint of a schema given as parsed JSON, as an unsigned 64-bit integer. */
export const fingerprintOf = (schema: unknown, spelling: Spelling = 'specification'): bigint =>
  crc64(canonicalForm(schema, spelling))

/** Sixteen hexadecimal digits, the most significant first: how a fingerprint is shown to people. */
export const fingerprintHex = (fingerprint: bigint): string => fingerprint.toString(16).padStart(16, '0')
