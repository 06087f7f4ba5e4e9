/**
 * Owns by which eight bytes a payload names the schema that it was written by: CRC-64-AVRO of the Parsing Canonical Form (Avro
 * specification 1.12, "Schema Fingerprints"). Two libraries spell a logical type in their own way and so compute others: Python's
 * `avro` leaves `{"type":"long"}`, Go's hamba/avro the logical type, too. The platform takes those as well.
 */

/** What becomes of a type with a logical type, whose canonical form is `form`. */
type Spelling = (form: string, logicalType: unknown) => string

const SPELLINGS: readonly Spelling[] = [
  (form) => form,
  (form) => `{"type":${form}}`,
  (form, logicalType) => `{"type":${form},"logicalType":${JSON.stringify(logicalType)}}`,
]

const PRIMITIVES: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])
const EMPTY = 0xc15d213aa4d7a795n

/** Sixteen hexadecimal digits each, the specification's first. */
export function fingerprintsOf(schema: unknown): string[] {
  return [...new Set(SPELLINGS.map((spelling) => crc64(canonicalForm(schema, spelling, ''))))]
}

/** By the bytes of a payload, which has them little-endian. */
export const fingerprintIn = (bytes: Uint8Array): string =>
  [...bytes].reverse().reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), '')

function crc64(text: string): string {
  let crc = EMPTY
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? EMPTY : 0n)
  }
  return crc.toString(16).padStart(16, '0')
}

function canonicalForm(schema: unknown, spelling: Spelling, namespace: string): string {
  const inner = (type: unknown) => canonicalForm(type, spelling, namespace)
  if (typeof schema === 'string') return JSON.stringify(fullName(schema, namespace))
  if (Array.isArray(schema)) return `[${schema.map(inner).join(',')}]`
  const { type, ...rest } = schema as Record<string, unknown>
  if (type === 'array') return `{"type":"array","items":${inner(rest.items)}}`
  if (type === 'map') return `{"type":"map","values":${inner(rest.values)}}`
  if (type === 'record' || type === 'enum' || type === 'fixed') return namedForm(type, rest, spelling, namespace)
  return rest.logicalType === undefined ? inner(type) : spelling(inner(type), rest.logicalType)
}

function namedForm(type: string, schema: Record<string, unknown>, spelling: Spelling, enclosing: string): string {
  const own = schema.namespace
  const name = fullName(String(schema.name), typeof own === 'string' ? own : enclosing)
  const namespace = name.slice(0, Math.max(0, name.lastIndexOf('.')))
  const head = `{"name":${JSON.stringify(name)},"type":"${type}"`
  if (type === 'fixed') return `${head},"size":${schema.size}}`
  if (type === 'enum') return `${head},"symbols":${JSON.stringify(schema.symbols)}}`
  const fields = (schema.fields as readonly { readonly name: string; readonly type: unknown }[]).map(
    (field) => `{"name":${JSON.stringify(field.name)},"type":${canonicalForm(field.type, spelling, namespace)}}`,
  )
  return `${head},"fields":[${fields.join(',')}]}`
}

const fullName = (name: string, namespace: string): string =>
  PRIMITIVES.has(name) || name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
