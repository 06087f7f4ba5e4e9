/**
 * Owns the TypeScript that says which streams an installation has and which values their readings: made from Avro schemas, so that
 * a filter gives readings their types. Always true: one schema gives one text, whoever makes it.
 */

/** A stream by its newest version's `.avsc`, parsed. */
export interface StreamSchema {
  readonly stream: string
  readonly version: number
  readonly schema: AvroRecord
}

export interface AvroRecord {
  readonly doc?: string
  readonly fields: readonly AvroField[]
}

interface AvroField {
  readonly name: string
  readonly type: unknown
  readonly unit?: string
  readonly tag?: boolean
  readonly doc?: string
}

interface Column {
  readonly name: string
  readonly type: string
  readonly isOptional: boolean
  readonly remark: string
}

const NUMBERS: ReadonlySet<unknown> = new Set(['int', 'long', 'float', 'double'])
const HEADER = '/** By `telltale-client types`: for `connect<Streams>(...)`. To change it, run that again. */'

/** A module that exports `Streams`, and the values of each by name. */
export function declareStreams(schemas: readonly StreamSchema[]): string {
  const named = [...schemas]
    .sort((a, b) => (a.stream < b.stream ? -1 : 1))
    .map((each) => ({ ...each, name: nameOf(each.stream) }))
  const interfaces = named.map(({ name, stream, version, schema }) => {
    const doc = `/** ${stream} ${version}${schema.doc === undefined ? '' : `: ${textOf(schema.doc)}`} */`
    return `${doc}\nexport interface ${name} {\n${columnsOf(schema).map(lineOf).join('\n')}\n}\n`
  })
  const members = named.map(({ name, stream }) => `  readonly ${stream}: ${name}\n`)
  return `${HEADER}\n\n${interfaces.join('\n')}\nexport interface Streams {\n${members.join('')}}\n`
}

function lineOf({ name, type, isOptional, remark }: Column): string {
  const doc = remark === '' ? '' : `  /** ${remark} */\n`
  return `${doc}  readonly ${name}${isOptional ? '?' : ''}: ${type}`
}

/** As the platform flattens them: nested records joined with `_`; the time is not among the values. */
function columnsOf(record: AvroRecord): Column[] {
  const named = new Map<string, unknown>()
  const below = ({ fields }: AvroRecord, above: string, isOptional: boolean): Column[] =>
    fields.flatMap((field) => {
      const isNullable = Array.isArray(field.type)
      const type = resolve(isNullable ? (field.type as unknown[]).find((each) => each !== 'null') : field.type, named)
      const name = above + field.name
      if (isRecord(type)) return below(type, `${name}_`, isOptional || isNullable)
      if (isTime(type)) return []
      const remark = [
        field.doc && textOf(field.doc),
        field.unit && field.unit !== '1' && `In ${field.unit}.`,
        field.tag && 'A tag.',
      ]
      return [
        {
          name,
          type: typeOf(type),
          // An empty tag is left out like null.
          isOptional: isOptional || isNullable || (field.tag === true && !isEnum(type)),
          remark: remark.filter(Boolean).join(' '),
        },
      ]
    })
  return below(record, '', false)
}

/** A type that was given a name stands by that name where it comes again. */
function resolve(type: unknown, named: Map<string, unknown>): unknown {
  if (typeof type === 'string') return named.get(type.slice(type.lastIndexOf('.') + 1)) ?? type
  const { name, type: inner } = type as { readonly name?: string; readonly type: unknown }
  if (name !== undefined) named.set(name.slice(name.lastIndexOf('.') + 1), type)
  else if (typeof inner === 'object') return resolve(inner, named)
  return type
}

const isRecord = (type: unknown): type is AvroRecord => (type as { readonly type?: unknown }).type === 'record'
const isEnum = (type: unknown): type is { readonly symbols: readonly string[] } =>
  (type as { readonly type?: unknown }).type === 'enum'
const isTime = (type: unknown) =>
  String((type as { readonly logicalType?: unknown }).logicalType).startsWith('timestamp-')

function typeOf(type: unknown): string {
  if (isEnum(type)) return type.symbols.map((symbol) => `'${symbol}'`).join(' | ')
  const scalar = typeof type === 'string' ? type : (type as { readonly type: unknown }).type
  if (NUMBERS.has(scalar)) return 'number'
  return scalar === 'boolean' ? 'boolean' : 'string'
}

/** `fuel_tank` becomes `FuelTank`. */
const nameOf = (stream: string) => stream.replace(/(^|_)([a-z0-9])/g, (_, __, letter: string) => letter.toUpperCase())

const textOf = (doc: string) => doc.replaceAll(/\s+/g, ' ').replaceAll('*/', '* /').trim()
