/**
 * Owns what a simulated device measures: for each field of a stream's newest schema a source of plausible values, drawn
 * by its unit and name as a smooth random walk. Always true: the same random sequence gives the same values; a value
 * never leaves its range; tags keep their value for the device's life.
 */

import { DECIMAL_DIGITS_MAX, fromAvro, type Logical, logicalOf, Unfit } from '../../../schemas/logical.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { Random } from './random.ts'
import { spanOf } from './span.ts'
import { walk } from './walk.ts'

/** Draws the next value of one field. */
export type ValueSource = () => unknown

const NULL_SHARE = 0.02
/** An enum, a string or a boolean changes this often. */
const CHANGE_SHARE = 0.02
const STRING_CHOICES = 4
/** Of what is in them as a number of 64 bits. */
const DECIMAL_BYTES = 8

/** Keeps one of `choices` and sometimes takes another; never, if it is a tag. */
function sticky<T>(choices: readonly T[], tag: boolean, random: Random): () => T | undefined {
  let chosen = choices[random.below(choices.length)]
  return () => {
    if (!tag && random.next() < CHANGE_SHARE) chosen = choices[random.below(choices.length)]
    return chosen
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Avro names of the types defined so far in the schema: a later field may refer to one (Avro 1.12, "Names"). */
type NamedTypes = Map<string, object>

/** What all fields of a schema share. */
interface Drawing {
  readonly named: NamedTypes
  /** They are drawn as JSON has them, not Avro. */
  readonly isJson: boolean
  /** By column, what is not drawn by unit and name. */
  readonly given: ReadonlyMap<string, ValueSource>
}

interface FieldHints {
  readonly name: string
  /** With the names of the records around it. */
  readonly column: string
  readonly unit: string
  readonly tag: boolean
}

/** A source of values of an Avro type, as `avsc` takes them (unions unwrapped). */
function sourceOf(type: unknown, hints: FieldHints, random: Random, drawing: Drawing): ValueSource {
  if (Array.isArray(type)) return unionSource(type, hints, random, drawing)
  if (isObject(type)) {
    if (typeof type.name === 'string') drawing.named.set(type.name, type)
    if (type.type === 'record') return recordIn(type, `${hints.column}_`, random, drawing)
    if (type.type === 'enum' && Array.isArray(type.symbols)) return sticky(type.symbols, hints.tag, random)
    if (type.type === 'map' && Array.isArray(type.keys)) {
      const sources = type.keys.map((key) => {
        const column = `${hints.column}_${key}`
        return [
          String(key),
          drawing.given.get(column) ?? sourceOf(type.values, { ...hints, column }, random, drawing),
        ] as const
      })
      return () => Object.fromEntries(sources.map(([key, source]) => [key, source()]))
    }
    if (type.type === 'array') return listSource(type.items, hints, random, drawing)
    const leaf = 'logicalType' in type || type.type === 'fixed' ? logicalOf(type, type.type, sizeOf(type)) : undefined
    if (leaf !== undefined && !(leaf instanceof Unfit)) return logicalSource(leaf, hints, random, drawing)
    return sourceOf(type.type, hints, random, drawing)
  }
  const reference = typeof type === 'string' ? drawing.named.get(type) : undefined
  if (reference !== undefined) return sourceOf(reference, hints, random, drawing)
  const range = spanOf(hints.name, hints.unit)
  switch (type) {
    case 'int':
    case 'long':
      return walk(range, true, random)
    case 'float':
    case 'double':
      return walk(range, false, random)
    case 'boolean':
      return sticky([false, true], hints.tag, random)
    case 'string':
      return sticky(
        Array.from({ length: STRING_CHOICES }, (_, index) => `${hints.name}-${index + 1}`),
        hints.tag,
        random,
      )
    case 'bytes':
      return logicalSource({ kind: 'bytes', size: undefined }, hints, random, drawing)
    case 'null':
      return () => null
    default:
      throw new SimulatorError(
        'unsupported-field',
        `field "${hints.name}" is of type ${JSON.stringify(type)}: the simulator draws numbers, lists of them, booleans, strings, bytes, enums and records`,
      )
  }
}

const sizeOf = ({ size }: Record<string, unknown>) => (typeof size === 'number' ? size : undefined)

/** What was, such as a calibration, in the year from here on. */
const DAYS_FROM = Date.UTC(2026, 0, 1) / 86_400_000
const BYTES_DRAWN = 8
const NUMBERS_DRAWN = 64

function logicalSource(leaf: Logical, hints: FieldHints, random: Random, { isJson }: Drawing): ValueSource {
  const draw = avroSource(leaf, hints, random)
  return isJson ? () => fromAvro(leaf, draw()) : draw
}

/** As Avro writes it. Times that are not the reading's lie in the past, and change as seldom as texts do. */
function avroSource(leaf: Logical, hints: FieldHints, random: Random): ValueSource {
  switch (leaf.kind) {
    case 'decimal': {
      const inBytes = 2 ** (8 * (leaf.size ?? DECIMAL_BYTES) - 1)
      const whole = Math.min(10 ** Math.min(leaf.precision, DECIMAL_DIGITS_MAX), inBytes)
      const drawn = walk(spanOf(hints.name, hints.unit), false, random)
      const unscaled = () => Math.round(Number(drawn()) * 10 ** leaf.scale)
      return () => twosComplement(Math.max(1 - whole, Math.min(whole - 1, unscaled())), leaf.size)
    }
    case 'uuid':
      return leaf.size === undefined ? sticky([uuidText(random)], true, random) : bytesSource(leaf.size, random)
    case 'bytes':
    case 'fixed':
      return bytesSource(leaf.size ?? BYTES_DRAWN, random)
    default: {
      const isMicros = leaf.kind.endsWith('micros')
      const days = () => DAYS_FROM + random.below(365)
      const ofDay = () => random.below(86_400_000) * (isMicros ? 1_000 : 1)
      if (leaf.kind === 'date') return sticky([days(), days()], false, random)
      if (leaf.kind.startsWith('time-')) return sticky([ofDay(), ofDay()], false, random)
      const moment = () => days() * 86_400_000 * (isMicros ? 1_000 : 1) + ofDay()
      return sticky([moment(), moment()], false, random)
    }
  }
}

/** A burst of samples. */
function listSource(items: unknown, hints: FieldHints, random: Random, drawing: Drawing): ValueSource {
  const source = sourceOf(items, hints, random, drawing)
  return () => Array.from({ length: NUMBERS_DRAWN }, source)
}

function bytesSource(length: number, random: Random): ValueSource {
  const draw = () => Buffer.from(Array.from({ length }, () => random.below(256)))
  return sticky([draw(), draw()], false, random)
}

function uuidText(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16)).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** In so many bytes, or in as few as do. */
function twosComplement(value: number, size: number | undefined): Buffer {
  const bytes = Buffer.alloc(DECIMAL_BYTES)
  bytes.writeBigInt64BE(BigInt(value))
  if (size === undefined) return bytes
  return size <= bytes.length
    ? bytes.subarray(bytes.length - size)
    : Buffer.concat([Buffer.alloc(size - bytes.length, value < 0 ? 0xff : 0), bytes])
}

/** The union's first branch that is not null; now and then null, where the union has it. */
function unionSource(branches: readonly unknown[], hints: FieldHints, random: Random, drawing: Drawing): ValueSource {
  const branch = branches.find((candidate) => candidate !== 'null')
  const source = sourceOf(branch ?? 'null', hints, random, drawing)
  if (!branches.includes('null') || hints.tag) return source
  return () => {
    const value = source()
    return random.next() < NULL_SHARE ? null : value
  }
}

function recordIn(schema: object, above: string, random: Random, drawing: Drawing): ValueSource {
  const fill = fieldsSource(schema, above, undefined, random, drawing)
  return () => fill({})
}

/** Fills a record with what is drawn. */
type Fill = (record: Record<string, unknown>) => Record<string, unknown>

function fieldsSource(
  schema: object,
  above: string,
  timeField: string | undefined,
  random: Random,
  drawing: Drawing,
): Fill {
  const fields = 'fields' in schema && Array.isArray(schema.fields) ? schema.fields.filter(isObject) : []
  const drawn = fields.filter((field) => field.name !== timeField)
  const names = drawn.map((field) => String(field.name))
  const sources = drawn.map((field): ValueSource => {
    const name = String(field.name)
    const hints = { name, column: above + name, unit: String(field.unit ?? ''), tag: field.tag === true }
    // Also of what is given: a later field may refer to its type.
    const source = sourceOf(field.type, hints, random, drawing)
    return drawing.given.get(hints.column) ?? source
  })
  return (record) => {
    for (let at = 0; at < names.length; at++) record[names[at] as string] = sources[at]?.()
    return record
  }
}

export interface RecordOptions {
  /** As JSON has values, not Avro. */
  readonly isJson?: boolean
  /** By column, what is not drawn by unit and name. */
  readonly given?: ReadonlyMap<string, ValueSource>
}

/**
 * What fills records of `schema` (an Avro record as JSON), but for the field `timeField`, which is the caller's. Throws a `SimulatorError`
 * `unsupported-field`.
 */
export function recordSource(
  schema: object,
  timeField: string,
  random: Random,
  { isJson = false, given = new Map() }: RecordOptions = {},
): Fill {
  return fieldsSource(schema, '', timeField, random, { named: new Map(), isJson, given })
}
