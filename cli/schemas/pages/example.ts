/**
 * Owns the reading by which a page shows what a stream's payloads look like: a likely value for each column. Always true: a schema has
 * one example, and it is taken. No value is the one that Protobuf leaves out, but an enum's first.
 */

import {
  type Definition,
  type EnumLeaf,
  type Field,
  isLogical,
  type Leaf,
  type RecordShape,
} from '../../../schemas/definition.ts'
import { fromAvro, type Logical } from '../../../schemas/logical.ts'
import type { ListLeaf } from '../../../schemas/numbers.ts'

/** 2025-11-23T12:13:20.123Z. */
const TIME_MS = 1_763_900_000_123

/** Of a decimal: below the 15 that a double keeps. */
const DIGITS_MAX = 6

/** By unit: what a sensor that works may say. */
const BY_UNIT: ReadonlyMap<string, number> = new Map([
  ['%', 47],
  ['A', 4.2],
  ['Cel', 21.3],
  ['Hz', 50.1],
  ['L/h', 6.5],
  ['V', 230.5],
  ['V.A', 120],
  ['W', 950],
  ['dBm', -67],
  ['deg', 48.5],
  ['hPa', 1013.2],
  ['kW.h', 1234.5],
  ['kg', 800],
  ['m', 520],
  ['m/s', 13.9],
  ['m/s2', 9.8],
  ['mm/s', 2.8],
])

type Sized = Extract<Logical, { kind: 'fixed' }>
type Decimal = Extract<Logical, { kind: 'decimal' }>

const DAY_MS = 86_400_000
const MICROS = 456
const UUID = '123e4567-e89b-12d3-a456-426614174000'

/** The number of `scale`ths in as few bytes as hold it, or those of a fixed. */
function decimalBytes(field: Field, { precision, scale, size }: Decimal): Buffer {
  const most = Math.min(10 ** Math.min(precision, DIGITS_MAX), 2 ** Math.min(8 * (size ?? 8) - 1, 53)) - 1
  const units = Math.min(Math.round(float(field) * 10 ** scale), most)
  let length = 1
  while (units >= 2 ** (8 * length - 1)) length++
  return Buffer.from(units.toString(16).padStart(2 * (size ?? length), '0'), 'hex')
}

const integer = (field: Field) => Math.round(BY_UNIT.get(field.unit ?? '') ?? 42)
const float = (field: Field) => BY_UNIT.get(field.unit ?? '') ?? 0.5

/** As `Registry.encode` takes it, or as JSON has it. */
export type Writing = 'avro' | 'json'

/** As Avro has them. */
const VALUES: Record<Leaf['kind'], (field: Field) => unknown> = {
  int: integer,
  long: integer,
  float,
  double: float,
  boolean: () => true,
  string: ({ name }) => `${name}-1`,
  enum: ({ shape }) => (shape as EnumLeaf).symbols[0],
  date: () => Math.floor(TIME_MS / DAY_MS),
  'time-millis': () => TIME_MS % DAY_MS,
  'time-micros': () => (TIME_MS % DAY_MS) * 1_000 + MICROS,
  'timestamp-millis': () => TIME_MS,
  'timestamp-micros': () => TIME_MS * 1_000 + MICROS,
  'local-timestamp-millis': () => TIME_MS,
  'local-timestamp-micros': () => TIME_MS * 1_000 + MICROS,
  uuid: ({ shape }) => ('size' in shape && shape.size ? Buffer.from(UUID.replaceAll('-', ''), 'hex') : UUID),
  decimal: (field) => decimalBytes(field, field.shape as Decimal),
  array: (field) => {
    const { items } = field.shape as ListLeaf
    return [0, 1, -1].map((step) => (VALUES[items](field) as number) + step)
  },
  bytes: () => Buffer.from('c0ffee', 'hex'),
  fixed: ({ shape }) => Buffer.from(Array.from({ length: (shape as Sized).size ?? 0 }, (_, index) => index + 1)),
}

export type Example = Readonly<Record<string, unknown>>

/** A record of this version. */
export function exampleOf({ shape, timeField, precision }: Definition, writing: Writing): Example {
  const time = precision === 'ms' ? TIME_MS : TIME_MS * 1_000 + MICROS
  return { ...recordOf(shape, writing), [timeField]: time }
}

function recordOf({ fields }: Pick<RecordShape, 'fields'>, writing: Writing): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((field) => {
      const { name, shape } = field
      if (shape.kind === 'record') return [name, recordOf(shape, writing)]
      if (shape.kind === 'map') {
        return [name, recordOf({ fields: shape.fields.map((key) => ({ ...key, unit: field.unit })) }, writing)]
      }
      const value = VALUES[shape.kind](field)
      return [name, writing === 'json' && isLogical(shape) ? fromAvro(shape, value) : value]
    }),
  )
}
