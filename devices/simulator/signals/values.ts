/**
 * Owns what a simulated device measures: for each field of a stream's newest schema a source of plausible values, drawn
 * by its unit and name as a smooth random walk. Always true: the same random sequence gives the same values; a value
 * never leaves its range; tags keep their value for the device's life.
 */

import { DECIMAL_DIGITS_MAX, fromAvro, type Logical, logicalOf, Unfit } from '../../../schemas/logical.ts'
import { SimulatorError } from '../simulator-error.ts'
import type { Random } from './random.ts'

/** Draws the next value of one field. */
export type ValueSource = () => unknown

/** A range and the largest step between two readings; `wraps` for angles, `rises` for counters. */
interface Span {
  readonly min: number
  readonly max: number
  readonly step: number
  readonly decimals: number
  readonly wraps?: true
  readonly rises?: true
}

const span = (min: number, max: number, step: number, decimals: number): Span => ({ min, max, step, decimals })

/** Where a name says more than a unit. The first match counts. */
const BY_NAME: readonly (readonly [RegExp, Span])[] = [
  [/latitude|^lat$/i, span(48, 48.3, 0.0002, 6)],
  [/longitude|^lon$|^lng$/i, span(11.3, 11.8, 0.0002, 6)],
  [/heading|bearing|course/i, { ...span(0, 360, 5, 1), wraps: true }],
  [/battery|charge|^fuel$|fuel_(level|state)/i, span(5, 100, 0.5, 1)],
  [/grade|slope/i, span(-12, 12, 0.4, 1)],
  [/dominant/i, span(5, 400, 6, 1)],
  [/humidity/i, span(25, 75, 0.3, 1)],
  [/power_?factor|cos_?phi/i, span(0.8, 1, 0.005, 3)],
  [/odometer|mileage/i, { ...span(0, 1e9, 30, 1), rises: true }],
  [/energy/i, { ...span(0, 1e9, 0.01, 3), rises: true }],
]

/** By UCUM code. */
const BY_UNIT: Readonly<Record<string, Span>> = {
  Cel: span(-10, 45, 0.2, 1),
  '%': span(0, 100, 0.5, 1),
  hPa: span(980, 1040, 0.1, 1),
  Pa: span(98_000, 104_000, 10, 0),
  'dB[m]': span(-95, -40, 2, 0),
  dBm: span(-95, -40, 2, 0),
  'm/s': span(0, 36, 0.8, 2),
  'km/h': span(0, 130, 3, 1),
  'm/s2': span(0, 20, 0.5, 3),
  'mm/s': span(0, 12, 0.3, 3),
  '[g]': span(-2, 2, 0.05, 4),
  deg: { ...span(0, 360, 5, 1), wraps: true },
  m: span(200, 900, 0.5, 1),
  km: span(0, 1000, 0.5, 2),
  L: span(5, 300, 0.2, 1),
  l: span(5, 300, 0.2, 1),
  'L/h': span(0.8, 40, 0.8, 1),
  kg: span(0, 20_000, 10, 0),
  V: span(225, 235, 0.3, 1),
  A: span(0.5, 32, 0.4, 2),
  W: span(100, 7000, 60, 1),
  kW: span(0.1, 7, 0.06, 3),
  'V.A': span(-900, 900, 20, 1),
  Hz: span(49.9, 50.1, 0.01, 3),
  'kW.h': { ...span(0, 1e9, 0.01, 3), rises: true },
  'W.h': { ...span(0, 1e12, 10, 0), rises: true },
}

const DEFAULT_SPAN = span(0, 100, 1, 2)
const NULL_SHARE = 0.02
/** An enum, a string or a boolean changes this often. */
const CHANGE_SHARE = 0.02
const STRING_CHOICES = 4
/** Of what is in them as a number of 64 bits. */
const DECIMAL_BYTES = 8

/** A smooth random walk inside its span: it drifts, and is reflected (or wrapped) at the ends. */
function walk(range: Span, integer: boolean, random: Random): ValueSource {
  const { min, max, step } = range
  const scale = 10 ** (integer ? 0 : range.decimals)
  // No minus zero: it would come back as zero.
  const round = (value: number) => Math.round(value * scale) / scale + 0
  let value = range.rises ? random.between(min, min + step * 1000) : random.between(min, max)
  let drift = 0
  return () => {
    if (range.rises) {
      value = Math.min(max, value + random.between(0, step))
      return round(value)
    }
    drift = drift * 0.8 + random.between(-step, step) * 0.2
    value += Math.max(-step, Math.min(step, drift + random.between(-step, step) * 0.2))
    if (range.wraps) value = min + ((((value - min) % (max - min)) + (max - min)) % (max - min))
    else if (value > max) value = 2 * max - value
    else if (value < min) value = 2 * min - value
    const rounded = round(value)
    return range.wraps && rounded >= max ? min : rounded
  }
}

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

/** What all fields of a schema share; `isJson`: they are drawn as JSON has them, not Avro. */
interface Drawing {
  readonly named: NamedTypes
  readonly isJson: boolean
}

interface FieldHints {
  readonly name: string
  readonly unit: string
  readonly tag: boolean
}

/** A source of values of an Avro type, as `avsc` takes them (unions unwrapped). */
function sourceOf(type: unknown, hints: FieldHints, random: Random, drawing: Drawing): ValueSource {
  if (Array.isArray(type)) return unionSource(type, hints, random, drawing)
  if (isObject(type)) {
    if (typeof type.name === 'string') drawing.named.set(type.name, type)
    if (type.type === 'record') return fieldsSource(type, undefined, random, drawing)
    if (type.type === 'enum' && Array.isArray(type.symbols)) return sticky(type.symbols, hints.tag, random)
    if (type.type === 'map' && Array.isArray(type.keys)) {
      const sources = type.keys.map((key) => [String(key), sourceOf(type.values, hints, random, drawing)] as const)
      return () => Object.fromEntries(sources.map(([key, source]) => [key, source()]))
    }
    if (type.type === 'array') return listSource(type.items, hints, random, drawing)
    const leaf = 'logicalType' in type || type.type === 'fixed' ? logicalOf(type, type.type, sizeOf(type)) : undefined
    if (leaf !== undefined && !(leaf instanceof Unfit)) return logicalSource(leaf, hints, random, drawing)
    return sourceOf(type.type, hints, random, drawing)
  }
  const reference = typeof type === 'string' ? drawing.named.get(type) : undefined
  if (reference !== undefined) return sourceOf(reference, hints, random, drawing)
  const range = spanOf(hints)
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

const spanOf = ({ name, unit }: FieldHints): Span =>
  BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? BY_UNIT[unit] ?? DEFAULT_SPAN

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
      const drawn = walk(spanOf(hints), false, random)
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

function fieldsSource(
  schema: object,
  timeField: string | undefined,
  random: Random,
  drawing: Drawing,
): () => Record<string, unknown> {
  const fields = 'fields' in schema && Array.isArray(schema.fields) ? schema.fields.filter(isObject) : []
  const sources = fields
    .filter((field) => field.name !== timeField)
    .map((field) => {
      const hints = { name: String(field.name), unit: String(field.unit ?? ''), tag: field.tag === true }
      return [hints.name, sourceOf(field.type, hints, random, drawing)] as const
    })
  return () => {
    const record: Record<string, unknown> = {}
    for (const [name, source] of sources) record[name] = source()
    return record
  }
}

/**
 * A source of whole records of `schema` (an Avro record as JSON), without the field `timeField`, which is the caller's; `isJson`: as JSON.
 * Throws a `SimulatorError` `unsupported-field`.
 */
export function recordSource(
  schema: object,
  timeField: string,
  random: Random,
  isJson = false,
): () => Record<string, unknown> {
  return fieldsSource(schema, timeField, random, { named: new Map(), isJson })
}
