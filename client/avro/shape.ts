/**
 * Owns a schema reduced to what matters for its bytes and its values. The platform has taken the schema (docs/schemas.md): it is a
 * record without arrays and maps but of numbers, a union is null with one other type, and one field is the time.
 */

export type Scalar = 'int' | 'long' | 'float' | 'double' | 'boolean' | 'string'

export interface EnumShape {
  readonly kind: 'enum'
  readonly symbols: readonly string[]
  /** What one that is not known is read as. */
  readonly default: string | undefined
}

/** Of numbers. */
export interface ListShape {
  readonly kind: 'list'
  readonly items: 'int' | 'long' | 'float' | 'double'
}

/** Of numbers by its declared keys: a record whose fields may all be absent, but for its bytes. */
export interface MapShape {
  readonly kind: 'map'
  readonly values: ListShape['items']
  readonly fields: readonly Field[]
}

/** What is written as another type. */
export interface LogicalShape {
  readonly kind: 'logical'
  /** The logical type; `bytes` if there is none. */
  readonly logical: string
  /** How it is written: a number is that of its bytes. */
  readonly wire: 'int' | 'long' | 'string' | 'bytes' | number
  /** Of a decimal. */
  readonly precision: number
  readonly scale: number
}

export interface RecordShape {
  readonly kind: 'record'
  readonly fields: readonly Field[]
}

export type Shape = { readonly kind: Scalar } | EnumShape | ListShape | LogicalShape | MapShape | RecordShape

export interface Field {
  readonly name: string
  readonly aliases: readonly string[]
  readonly shape: Shape
  /** Where `null` stands in the union with it; undefined if it cannot be null. */
  readonly nullBranch: number | undefined
  /** As JSON; undefined if there is none. */
  readonly default: unknown
  readonly isTag: boolean
  /** The reading's time: how many of its units are a millisecond. */
  readonly unitsPerMs: number | undefined
}

type Json = Readonly<Record<string, unknown>>

export function shapeOf(schema: unknown): RecordShape {
  const shape = new Reader().type(schema, '') as RecordShape
  const { fields } = schema as { readonly fields: readonly Json[] }
  const marked = fields.find(({ time }) => time === true)?.name
  const isTime = ({ name, unitsPerMs, nullBranch }: Field) =>
    marked === undefined ? unitsPerMs !== undefined && nullBranch === undefined : name === marked
  const asTime = (field: Field): Field =>
    isTime(field) ? { ...field, shape: { kind: 'long' } } : { ...field, unitsPerMs: undefined }
  return { ...shape, fields: shape.fields.map(asTime) }
}

class Reader {
  readonly #named = new Map<string, Shape>()

  type(type: unknown, namespace: string): Shape {
    if (type === 'bytes') return logicalShape({}, type)
    if (typeof type === 'string') return this.#named.get(fullName(type, namespace)) ?? { kind: type as Scalar }
    const json = type as Json
    if (json.type === 'map') return mapShape(scalarOf(json.values) as ListShape['items'], json.keys as string[])
    if (json.type === 'array') return { kind: 'list', items: scalarOf(json.items) as ListShape['items'] }
    if (json.type !== 'record' && json.type !== 'enum' && json.type !== 'fixed') {
      return json.logicalType === undefined ? this.type(json.type, namespace) : logicalShape(json, json.type)
    }
    const own = typeof json.namespace === 'string' ? json.namespace : namespace
    const name = fullName(String(json.name), own)
    const inside = name.slice(0, Math.max(0, name.lastIndexOf('.')))
    const shape: Shape =
      json.type === 'enum'
        ? { kind: 'enum', symbols: json.symbols as string[], default: json.default as string | undefined }
        : json.type === 'fixed'
          ? logicalShape(json, json.size)
          : { kind: 'record', fields: (json.fields as Json[]).map((field) => this.#field(field, inside)) }
    this.#named.set(name, shape)
    return shape
  }

  #field(field: Json, namespace: string): Field {
    const union = Array.isArray(field.type) ? field.type : undefined
    const nullBranch = union?.indexOf('null')
    const type = union === undefined ? field.type : union[1 - (nullBranch ?? 0)]
    return {
      name: String(field.name),
      aliases: Array.isArray(field.aliases) ? field.aliases : [],
      shape: this.type(type, namespace),
      nullBranch,
      default: field.default,
      isTag: field.tag === true,
      unitsPerMs: unitsPerMs(type),
    }
  }
}

const scalarOf = (type: unknown): unknown => (typeof type === 'object' ? scalarOf((type as Json).type) : type)

const mapShape = (values: ListShape['items'], keys: readonly string[]): MapShape => {
  const common = {
    aliases: [],
    shape: { kind: values },
    nullBranch: 0,
    default: null,
    isTag: false,
    unitsPerMs: undefined,
  }
  return { kind: 'map', values, fields: keys.map((name) => ({ ...common, name })) }
}

const logicalShape = ({ logicalType = 'bytes', precision = 0, scale = 0 }: Json, wire: unknown): LogicalShape => ({
  kind: 'logical',
  logical: String(logicalType),
  wire: wire as LogicalShape['wire'],
  precision: Number(precision),
  scale: Number(scale),
})

function unitsPerMs(type: unknown): number | undefined {
  const { logicalType } = (typeof type === 'object' ? type : {}) as Json
  if (logicalType === 'timestamp-millis') return 1
  return logicalType === 'timestamp-micros' ? 1_000 : undefined
}

const fullName = (name: string, namespace: string) =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
