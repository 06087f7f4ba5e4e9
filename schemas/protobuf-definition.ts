/**
 * Owns what a version of a stream is that a `.proto` defines: the same as the Avro schema that it stands for (`avroOf`), by whose rules
 * it is checked, and by which the stream takes Avro, JSON, MessagePack and CBOR, too.
 *
 * Always true: of a version that has both an `.avsc` and a `.proto`, each column of the two is the same.
 */

import {
  type Definition,
  defineSchema,
  type EnumLeaf,
  isLogical,
  type Leaf,
  type LogicalLeaf,
  SchemaError,
} from './definition.ts'
import { parseProto, TIME_FIELD } from './protobuf-parse.ts'
import { type FieldShape, type MessageShape, type ProtoScalar, TIMESTAMP } from './protobuf-shape.ts'

export interface ProtoVersion {
  readonly version: number
  /** How the file is named in errors. */
  readonly file: string
  readonly text: string
  readonly message: MessageShape
  /** As it would be without an `.avsc`. */
  readonly definition: Definition
}

const AVRO: Record<ProtoScalar, string> = {
  int32: 'int',
  sint32: 'int',
  sfixed32: 'int',
  uint32: 'long',
  fixed32: 'long',
  int64: 'long',
  sint64: 'long',
  sfixed64: 'long',
  uint64: 'long',
  fixed64: 'long',
  float: 'float',
  double: 'double',
  bool: 'boolean',
  string: 'string',
  bytes: 'bytes',
}

/** Throws `SchemaError`. `avsc` is the version's other definition, if it has one. */
export function defineProto(
  file: string,
  stream: string,
  version: number,
  text: string,
  avsc: Definition | undefined,
): ProtoVersion {
  const message = parseProto(file, stream, text)
  const isTimestamp = message.fields.some(({ type }) => type === TIMESTAMP)
  const precision = isTimestamp ? (avsc?.precision ?? 'us') : 'ms'
  const schema = avroOf(message, stream, precision)
  const definition = defineSchema(file, stream, version, JSON.stringify(schema))
  if (avsc !== undefined) checkAgreement(file, message, definition, avsc)
  return { version, file, text, message, definition }
}

function avroOf({ fields, doc }: MessageShape, stream: string, precision: 'ms' | 'us'): object {
  const named = new Set<string>()
  const logicalType = precision === 'ms' ? 'timestamp-millis' : 'timestamp-micros'
  const field = ({ name, type, isList, hasPresence, tag, unit, doc }: FieldShape): object => {
    if (type === TIMESTAMP || (name === TIME_FIELD && fields.some((each) => each.type === type))) {
      return { name, type: { type: 'long', logicalType } }
    }
    const attributes = { ...(tag && { tag }), ...(unit !== undefined && { unit }), ...(doc !== undefined && { doc }) }
    if (!hasPresence) return { name, type: avro(type), ...attributes }
    const of = isList ? { type: 'array', items: avro(type) } : avro(type)
    return { name, type: ['null', of], default: null, ...attributes }
  }
  const avro = (type: FieldShape['type']): unknown => {
    if (type.kind !== 'message' && type.kind !== 'enum') return AVRO[type.kind]
    if (named.has(type.name)) return type.name
    named.add(type.name)
    if (type.kind === 'message') return { type: 'record', name: type.name, fields: type.fields.map(field) }
    return { type: 'enum', name: type.name, symbols: [...type.symbols.values()] }
  }
  const what = doc !== undefined && { doc }
  return { type: 'record', name: stream, namespace: 'telltale', ...what, fields: fields.map(field) }
}

function checkAgreement(file: string, { fields }: MessageShape, proto: Definition, avsc: Definition): void {
  const line = (column?: string) => {
    const [first] = column === undefined ? [] : column.split('_')
    return (fields.find(({ name }) => name === column) ?? fields.find(({ name }) => name === first))?.line ?? 1
  }
  const refuse = (what: string, column?: string): never => {
    const other = `${avsc.stream}/${avsc.version}.avsc`
    throw new SchemaError(
      'schema-invalid',
      `${file}:${line(column)}: ${what}; it must be as in ${other}, or that be removed`,
    )
  }
  if (avsc.timeField !== proto.timeField)
    refuse(`the time is ${proto.timeField}, there it is ${avsc.timeField}`, TIME_FIELD)
  if (avsc.precision !== proto.precision) {
    refuse(`the time is in milliseconds, there it is in microseconds: ${TIMESTAMP.name} has them`, TIME_FIELD)
  }
  const theirs = new Map(avsc.places.map((place) => [place.column.name, place]))
  for (const { column, leaf } of proto.places) {
    const other = theirs.get(column.name)
    if (other === undefined) {
      refuse(`there is no ${column.name} there`, column.name)
      continue
    }
    theirs.delete(column.name)
    const [ours, known] = [meaningOf(column), meaningOf(other.column)]
    if (isLogical(other.leaf)) checkLogical(leaf, other.leaf, (what) => refuse(`${column.name} ${what}`, column.name))
    const isSame = isLogical(other.leaf) ? column.unit === other.column.unit : ours === known
    if (!isSame) refuse(`${column.name} is ${ours}, there it is ${known}`, column.name)
    const strange = strangeSymbol(leaf, other.leaf)
    if (strange !== undefined) {
      refuse(
        `${column.name} may be ${strange}, which it may not there ((telltale.symbol) gives a value another name)`,
        column.name,
      )
    }
  }
  const [missing] = theirs.keys()
  if (missing !== undefined) refuse(`it has no ${missing}`)
}

const meaningOf = ({ kind, format, tag, unit }: Definition['places'][number]['column']) =>
  `${format ?? kind}${tag ? ' tag' : ''}${unit === undefined ? '' : ` in ${unit}`}`

/** Which types of Protobuf say what Avro has as another type; `ProtobufCodec` makes the value of it, or refuses the reading. */
function checkLogical(leaf: Leaf, { kind }: LogicalLeaf, refuse: (what: string) => void): void {
  const possible = BESIDE[kind]
  if (!possible.includes(leaf.kind))
    refuse(`is of type ${leaf.kind}, there it is ${kind}, which ${possible.join(' or ')} can be`)
}

const BESIDE: Readonly<Record<LogicalLeaf['kind'], readonly Leaf['kind'][]>> = {
  date: ['int', 'string'],
  'time-millis': ['int', 'string'],
  'time-micros': ['long', 'string'],
  'timestamp-millis': ['long', 'string'],
  'timestamp-micros': ['long', 'string'],
  'local-timestamp-millis': ['long', 'string'],
  'local-timestamp-micros': ['long', 'string'],
  uuid: ['string', 'bytes'],
  decimal: ['float', 'double', 'int', 'long'],
  bytes: ['bytes'],
  fixed: ['bytes'],
}

function strangeSymbol(leaf: Leaf, other: Leaf): string | undefined {
  if (leaf.kind !== 'enum' || other.kind !== 'enum') return undefined
  return (leaf as EnumLeaf).symbols.find((symbol) => !other.symbols.includes(symbol))
}
