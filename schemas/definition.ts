/**
 * Owns one registered schema: what an `.avsc` file may say here, and what of it the decoders need to know.
 *
 * Always true of a `Definition`: every reading of it can become one point of one measurement, so arrays and maps in it are of
 * numbers, and a map's keys are declared; it has exactly one time, and column names that every store can tell apart. Anything else is refused by
 * a `SchemaError` that names the file, the field and what would be right.
 * Bound: `SCHEMA_COLUMNS_MAX` columns, `SCHEMA_DEPTH_MAX` levels of nesting.
 */

import { TelltaleError } from '../platform/errors.ts'
import { fullName } from './fingerprint.ts'
import { BYTES_MAX, fromDefault, type Logical, logicalOf, Unfit } from './logical.ts'
import { type ListLeaf, NUMBER_TYPES, type NumberType } from './numbers.ts'
import type { Column, ColumnKind, TextFormat } from './reading.ts'

/** A schema becomes more columns: it is refused at the start. */
export const SCHEMA_COLUMNS_MAX = 512
/** A map declares more keys: it is refused at the start. */
export const MAP_KEYS_MAX = 64
/** Characters of a key, so that what is compared is short. */
export const MAP_KEY_CHARS_MAX = 64
/** A schema nests records deeper: it is refused at the start. */
export const SCHEMA_DEPTH_MAX = 8

/**
 * Codes: `schema-invalid`, `schema-drift` (a released version changed), `lock-invalid`, `lock-unwritable`, `schema-incompatible`, `schemas-unwritable`, `unknown-stream`,
 * `unknown-version`, `record-invalid` (a record that `encode` cannot write).
 */
export class SchemaError extends TelltaleError {}

export type Scalar = 'int' | 'long' | 'float' | 'double' | 'boolean' | 'string'
/** Of a record or an enum: with its namespace. */
interface Named {
  readonly name: string
  readonly aliases: readonly string[]
}
export interface EnumLeaf extends Named {
  readonly kind: 'enum'
  readonly symbols: readonly string[]
  /** What it does not know is read as that. */
  readonly default: string | undefined
}
/** A `fixed` has a name; what else is written as another type has none. */
export type LogicalLeaf = Logical & Partial<Named>
export type Leaf = { readonly kind: Scalar } | EnumLeaf | LogicalLeaf | ListLeaf
export interface RecordShape extends Named {
  readonly kind: 'record'
  readonly fields: readonly Field[]
}
/** Numbers by keys that are declared: a record whose fields may all be absent, but for its bytes. */
export interface MapShape {
  readonly kind: 'map'
  readonly values: NumberType
  readonly fields: readonly Field[]
}
/** A type, reduced to what matters for its bytes and its values. */
export type Shape = Leaf | RecordShape | MapShape
export interface Field {
  readonly name: string
  readonly shape: Shape
  /** Where `null` stands in the union with it; undefined when the field cannot be null. */
  readonly nullBranch: 0 | 1 | undefined
  readonly aliases: readonly string[]
  /** It does not say that it is not another one renamed: by `"aliases": []`. */
  readonly isNamedAnew: boolean
  /** The default as JSON; undefined when there is none. */
  readonly default: unknown
  readonly tag: boolean
  readonly unit: string | undefined
  readonly doc: string | undefined
}

/** A column and where its value stands in a record. */
export interface Place {
  readonly column: Column
  /** Names of the fields that lead to it, from the top. */
  readonly path: readonly string[]
  readonly leaf: Leaf
}

export interface Definition {
  readonly stream: string
  readonly version: number
  readonly doc: string | undefined
  /** The parsed file. */
  readonly schema: object
  readonly shape: RecordShape
  readonly timeField: string
  readonly precision: 'ms' | 'us'
  /** In the schema's order. */
  readonly places: readonly Place[]
}

const PLAIN: readonly Shape['kind'][] = [...NUMBER_TYPES, 'boolean', 'string', 'enum', 'record', 'array', 'map']
export const isLogical = (shape: Shape): shape is LogicalLeaf => !PLAIN.includes(shape.kind)

const NAMESPACE = 'telltale'
const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_]*$/
const PRECISIONS = { 'timestamp-millis': 'ms', 'timestamp-micros': 'us' } as const
const KINDS: Record<Exclude<Leaf, ListLeaf>['kind'], ColumnKind> = {
  int: 'integer',
  long: 'integer',
  float: 'float',
  double: 'float',
  decimal: 'float',
  boolean: 'boolean',
  string: 'string',
  enum: 'string',
  date: 'string',
  'time-millis': 'string',
  'time-micros': 'string',
  'timestamp-millis': 'string',
  'timestamp-micros': 'string',
  'local-timestamp-millis': 'string',
  'local-timestamp-micros': 'string',
  uuid: 'string',
  bytes: 'string',
  fixed: 'string',
}
const WITH_UNITS: readonly Shape['kind'][] = ['int', 'long', 'float', 'double', 'decimal', 'array', 'map']
/** The reading's time is a number. */
const TIME: Leaf = { kind: 'long' }
/** What every store puts beside the columns. */
const RESERVED = new Set(['device', 'time'])
const MISSPELT = { tags: 'tag', units: 'unit', logicalType: 'the logicalType inside "type"', symbols: 'type' } as const
const ALLOWED =
  'int, long, float, double, boolean, string, enum, bytes, fixed, the logical types, arrays and maps of numbers, a nested record of those, or a union of null with one'

type Json = Record<string, unknown>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const aliasesOf = ({ aliases }: Json): string[] => (Array.isArray(aliases) ? aliases.map(String) : [])
const docOf = ({ doc }: Json): string | undefined => (typeof doc === 'string' && doc !== '' ? doc : undefined)
const defaultOf = (type: Json): string | undefined => ('default' in type ? String(type.default) : undefined)
const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing'

/** Reads and checks one schema. `file` is how it is named in errors. Throws `SchemaError`. */
export function defineSchema(file: string, stream: string, version: number, text: string): Definition {
  return new Definer(file).define(stream, version, text)
}

/** What is common to a map's keys. */
const KEY = {
  nullBranch: 0,
  aliases: [],
  isNamedAnew: false,
  default: null,
  tag: false,
  unit: undefined,
  doc: undefined,
} as const

/** By itself, or as `{"type": ...}`. */
function numberTypeOf(type: unknown): NumberType | undefined {
  const of = isObject(type) && type.logicalType === undefined ? type.type : type
  return NUMBER_TYPES.find((each) => each === of)
}

const kindOf = (leaf: Leaf): ColumnKind =>
  leaf.kind === 'array' ? `${KINDS[leaf.items] as 'integer' | 'float'}[]` : KINDS[leaf.kind]

function formatOf(leaf: Leaf): TextFormat | undefined {
  if (leaf.kind === 'bytes' || leaf.kind === 'fixed') return 'hex'
  return isLogical(leaf) && leaf.kind !== 'decimal' ? leaf.kind : undefined
}

class Definer {
  readonly #file: string
  readonly #named = new Map<string, Shape>()
  readonly #open = new Set<string>()
  /** Columns and nested records by their flattened name in lower case: DuckDB does not tell `Temp` from `temp`. */
  readonly #flat = new Map<string, string>()
  /** A time that is not the reading's own: what is said if that has none. */
  #nestedTime: string | undefined

  constructor(file: string) {
    this.#file = file
  }

  define(stream: string, version: number, text: string): Definition {
    const schema = this.#parse(text)
    if (schema.type !== 'record') this.#refuse(`its type is ${show(schema.type)}; a stream is a "record"`)
    if (schema.name !== stream) {
      this.#refuse(`the record is named ${show(schema.name)}; it must be named as its folder, "${stream}"`)
    }
    if (schema.namespace !== NAMESPACE) {
      this.#refuse(`the namespace is ${show(schema.namespace)}; it must be "${NAMESPACE}"`)
    }
    const record = this.#record(schema, '', [])
    const time = this.#time(schema, record)
    const fields = record.fields.map((field) => (field.name === time.name ? { ...field, shape: TIME } : field))
    const shape: RecordShape = { ...record, fields }
    const places = this.#places(shape, [], time.name)
    if (places.length > SCHEMA_COLUMNS_MAX) {
      this.#refuse(`it has ${places.length} columns; at most ${SCHEMA_COLUMNS_MAX} are possible`)
    }
    if (places.every(({ column }) => column.tag)) {
      this.#refuse('it has no field beside the time and tags; a point needs at least one value')
    }
    return {
      stream,
      version,
      doc: docOf(schema),
      schema,
      shape,
      timeField: time.name,
      precision: time.precision,
      places,
    }
  }

  #refuse(what: string): never {
    throw new SchemaError('schema-invalid', `${this.#file}: ${what}`)
  }

  #parse(text: string): Json {
    let schema: unknown
    try {
      schema = JSON.parse(text)
    } catch (cause) {
      throw new SchemaError('schema-invalid', `${this.#file}: is not JSON: ${String(cause)}`, { cause })
    }
    if (!isObject(schema)) this.#refuse('is not a JSON object; an Avro record is expected')
    return schema
  }

  #record(schema: Json, namespace: string, path: readonly string[]): RecordShape {
    const at = path.length === 0 ? 'it' : path.join('.')
    if (path.length > SCHEMA_DEPTH_MAX) this.#refuse(`${at} is nested deeper than ${SCHEMA_DEPTH_MAX} levels`)
    const { name, inside } = this.#name(schema, namespace, at)
    this.#open.add(name)
    const given = schema.fields
    if (!Array.isArray(given) || given.length === 0) this.#refuse(`${at} has no fields; a record needs at least one`)
    const fields: Field[] = []
    for (const field of given) {
      if (!isObject(field)) this.#refuse(`${at} has a field that is no object: ${show(field)}`)
      fields.push(this.#field(field, inside, path))
    }
    this.#open.delete(name)
    const shape: RecordShape = { kind: 'record', name, aliases: aliasesOf(schema), fields }
    this.#named.set(name, shape)
    return shape
  }

  #name(schema: Json, namespace: string, at: string): { name: string; inside: string } {
    const own = schema.namespace
    const given = schema.name
    if (typeof given !== 'string' || !/^[A-Za-z_][A-Za-z0-9_.]*$/.test(given)) {
      this.#refuse(`${at}: a ${show(schema.type)} needs a name of letters, digits and _, not ${show(given)}`)
    }
    const name = fullName(given, typeof own === 'string' ? own : namespace)
    if (this.#named.has(name) || this.#open.has(name)) {
      this.#refuse(`${at}: the type "${name}" is defined twice; refer to the first by its name`)
    }
    return { name, inside: name.slice(0, Math.max(0, name.lastIndexOf('.'))) }
  }

  #field(field: Json, namespace: string, above: readonly string[]): Field {
    const name = field.name
    if (typeof name !== 'string' || !FIELD_NAME.test(name)) {
      this.#refuse(
        `${[...above, 'a field'].join('.')} is named ${show(name)}; a name starts with a letter (InfluxDB keeps a leading _ to itself), then letters, digits, _`,
      )
    }
    const path = [...above, name]
    const at = path.join('.')
    for (const [wrong, right] of Object.entries(MISSPELT)) {
      if (wrong in field) this.#refuse(`${at} has the attribute "${wrong}", which has no effect; meant is ${right}`)
    }
    const { type, nullBranch } = this.#nullable(field.type, at)
    const shape = this.#shape(type, namespace, path)
    if (shape.kind in PRECISIONS && path.length > 1) this.#nestedTime ??= at
    if (isLogical(shape)) this.#checkDefault(shape, field.default, at)
    return {
      name,
      shape,
      nullBranch,
      aliases: aliasesOf(field),
      isNamedAnew: field.aliases === undefined,
      default: field.default,
      doc: docOf(field),
      ...this.#attributes(field, shape, at),
    }
  }

  #checkDefault(leaf: Logical, value: unknown, at: string): void {
    const made = fromDefault(leaf, value)
    if (made instanceof Unfit) this.#refuse(`${at} has a default that cannot be stored: it ${made.what}`)
  }

  #attributes(field: Json, shape: Shape, at: string): { tag: boolean; unit: string | undefined } {
    const { tag = false, unit } = field
    if (typeof tag !== 'boolean') this.#refuse(`${at}: "tag" is ${show(tag)}; it must be true or false`)
    if (tag && shape.kind !== 'string' && shape.kind !== 'enum') {
      this.#refuse(`${at} is a tag of type ${shape.kind}; only a string or an enum can be a tag`)
    }
    if (unit === undefined) return { tag, unit: undefined }
    if (typeof unit !== 'string' || !/^[\x21-\x7e]+$/.test(unit)) {
      this.#refuse(`${at}: the unit ${show(unit)} is no UCUM code, such as "Cel", "%" or "m/s"`)
    }
    // Of a time of the reading's own it has no effect.
    if (!WITH_UNITS.includes(shape.kind) && !(shape.kind in PRECISIONS)) {
      this.#refuse(`${at} is of type ${shape.kind} and has the unit "${unit}"; only numbers have units`)
    }
    return { tag, unit }
  }

  #nullable(type: unknown, at: string): { type: unknown; nullBranch: 0 | 1 | undefined } {
    if (!Array.isArray(type)) return { type, nullBranch: undefined }
    const nullBranch = type.indexOf('null')
    if (type.length !== 2 || nullBranch === -1 || type[1 - nullBranch] === 'null') {
      this.#refuse(`${at} is the union ${show(type)}, which cannot become a point; only null and one other type can`)
    }
    return { type: type[1 - nullBranch], nullBranch: nullBranch === 0 ? 0 : 1 }
  }

  /** The one field that is the reading's time: of several that could be, it says so by `"time": true`. */
  #time(schema: Json, { fields }: RecordShape): { readonly name: string; readonly precision: 'ms' | 'us' } {
    const marked = (schema.fields as Json[]).filter(({ time }) => time !== undefined)
    for (const { name, time } of marked) {
      if (time !== true) this.#refuse(`${name}: "time" is ${show(time)}; it must be true, or not be there`)
    }
    const isTime = ({ name, shape }: Field) =>
      shape.kind in PRECISIONS && (marked.length === 0 || marked.some((field) => field.name === name))
    const sure = fields.filter((field) => isTime(field) && field.nullBranch === undefined)
    const [time, other] = sure
    if (time !== undefined && other !== undefined) {
      const right = 'a reading has exactly one: "time": true says which'
      this.#refuse(`${other.name} is a second time beside ${time.name}; ${right}`)
    }
    if (time !== undefined)
      return { name: time.name, precision: PRECISIONS[time.shape.kind as keyof typeof PRECISIONS] }
    const nullable = fields.find(isTime)
    if (nullable) this.#refuse(`${nullable.name} is the time and may be null; every reading needs its time`)
    if (this.#nestedTime) {
      this.#refuse(`${this.#nestedTime} is the time inside a nested record; it must be a field of the stream itself`)
    }
    const right = 'one must be a long of logicalType timestamp-millis or timestamp-micros'
    return this.#refuse(`no field${marked.length > 0 ? ' that says so' : ''} is the time: ${right}`)
  }

  #shape(type: unknown, namespace: string, path: readonly string[]): Shape {
    const at = path.join('.')
    if (Array.isArray(type)) return this.#refuse(`${at} is a union inside a union, which Avro does not allow`)
    if (typeof type === 'string') return this.#scalar(type, namespace, at)
    if (!isObject(type)) return this.#refuse(`${at} has the type ${show(type)}; possible are ${ALLOWED}`)
    if (type.type === 'record') return this.#record(type, namespace, path)
    if (type.type === 'array') return this.#list(type, at)
    if (type.type === 'map') return this.#map(type, at)
    if (type.type === 'fixed') return this.#fixed(type, namespace, at)
    if (type.type !== 'enum') {
      if (type.logicalType === undefined) return this.#shape(type.type, namespace, path)
      return this.#logical(logicalOf(type, type.type), at)
    }
    const symbols = type.symbols
    if (!Array.isArray(symbols) || symbols.length === 0) return this.#refuse(`${at} is an enum without symbols`)
    const { name } = this.#name(type, namespace, at)
    const enumOf = { name, aliases: aliasesOf(type), symbols: symbols.map(String), default: defaultOf(type) }
    const shape: Shape = { kind: 'enum', ...enumOf }
    this.#named.set(name, shape)
    return shape
  }

  #map({ values, keys }: Json, at: string): MapShape {
    const of = numberTypeOf(values)
    if (of === undefined) {
      this.#refuse(
        `${at} is a map of ${show(values)}, which cannot become a point; possible are maps of ${NUMBER_TYPES.join(', ')}`,
      )
    }
    if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAP_KEYS_MAX) {
      this.#refuse(
        `${at} is a map, of which each key is a column: "keys" beside "values" has them, 1 to ${MAP_KEYS_MAX}, such as ["a", "b"]`,
      )
    }
    const wrong = keys.find((key) => typeof key !== 'string' || !FIELD_NAME.test(key) || key.length > MAP_KEY_CHARS_MAX)
    if (wrong !== undefined) {
      this.#refuse(
        `${at} has the key ${show(wrong)}; a key starts with a letter, then letters, digits, _, at most ${MAP_KEY_CHARS_MAX}`,
      )
    }
    const inherited = keys.find((key) => key in Object.prototype)
    if (inherited !== undefined)
      this.#refuse(`${at} has the key ${show(inherited)}, which every object has; name it otherwise`)
    return { kind: 'map', values: of, fields: keys.map((key: string) => ({ ...KEY, name: key, shape: { kind: of } })) }
  }

  #list({ items }: Json, at: string): ListLeaf {
    const of = numberTypeOf(items)
    if (of !== undefined) return { kind: 'array', items: of }
    return this.#refuse(
      `${at} is an array of ${show(items)}, which cannot become a point; possible are arrays of ${NUMBER_TYPES.join(', ')}`,
    )
  }

  #fixed(type: Json, namespace: string, at: string): Shape {
    const { size } = type
    if (!Number.isInteger(size) || (size as number) < 1 || (size as number) > BYTES_MAX) {
      return this.#refuse(`${at} is a fixed of ${show(size)} bytes; 1 to ${BYTES_MAX} are possible`)
    }
    const leaf = this.#logical(logicalOf(type, 'fixed', size as number), at)
    const { name } = this.#name(type, namespace, at)
    const shape: Shape = { ...leaf, name, aliases: aliasesOf(type) }
    this.#named.set(name, shape)
    return shape
  }

  #logical(leaf: Logical | Unfit, at: string): Logical {
    return leaf instanceof Unfit ? this.#refuse(`${at} ${leaf.what}`) : leaf
  }

  #scalar(type: string, namespace: string, at: string): Shape {
    switch (type) {
      case 'bytes':
        return this.#logical(logicalOf({}, type), at)
      case 'int':
      case 'long':
      case 'float':
      case 'double':
      case 'boolean':
      case 'string':
        return { kind: type }
    }
    const name = fullName(type, namespace)
    if (this.#open.has(name)) this.#refuse(`${at} contains its own record "${name}", which cannot become a point`)
    const named = this.#named.get(name)
    if (named) return named
    return this.#refuse(`${at} is of type "${type}", which cannot become a point; possible are ${ALLOWED}`)
  }

  #places(record: RecordShape | MapShape, above: readonly string[], timeField: string, mapUnit?: string): Place[] {
    const places: Place[] = []
    for (const { name: field, shape, tag, unit = mapUnit } of record.fields) {
      const path = [...above, field]
      const name = path.join('_')
      this.#takeName(name, path)
      if (above.length === 0 && field === timeField) continue
      if (RESERVED.has(name.toLowerCase())) {
        this.#refuse(`${path.join('.')} becomes the column "${name}", which every point has already; name it otherwise`)
      }
      if (unit !== undefined && shape.kind in PRECISIONS) {
        this.#refuse(`${path.join('.')} is a time, which is text, and has the unit "${unit}"; only numbers have units`)
      }
      if (shape.kind === 'record') places.push(...this.#places(shape, path, timeField))
      else if (shape.kind === 'map') places.push(...this.#places(shape, path, timeField, unit))
      else {
        const format = formatOf(shape)
        const attributes = { ...(format !== undefined && { format }), tag, ...(unit !== undefined && { unit }) }
        const column: Column = { name, kind: kindOf(shape), ...attributes }
        places.push({ column, path, leaf: shape })
      }
    }
    return places
  }

  #takeName(name: string, path: readonly string[]): void {
    const at = path.join('.')
    const other = this.#flat.get(name.toLowerCase())
    if (other !== undefined) {
      this.#refuse(`${at} and ${other} both become "${name}" (nested names are joined by _, case does not count)`)
    }
    this.#flat.set(name.toLowerCase(), at)
  }
}
