/**
 * Owns the reading by which a page shows what a stream's payloads look like: a likely value for each column. Always true: a schema has
 * one example, and it is taken. No value is the one that Protobuf leaves out, but an enum's first.
 */

import type { Definition, EnumLeaf, Field, Leaf, RecordShape } from '../../../schemas/definition.ts'

/** 2025-11-23T12:13:20.123Z. */
const TIME_MS = 1_763_900_000_123

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

const integer = (field: Field) => Math.round(BY_UNIT.get(field.unit ?? '') ?? 42)
const float = (field: Field) => BY_UNIT.get(field.unit ?? '') ?? 0.5

/** As `Registry.encode` takes it, or as JSON has it. */
export type Writing = 'avro' | 'json'

const VALUES: Record<Leaf['kind'], (field: Field, writing: Writing) => unknown> = {
  int: integer,
  long: integer,
  float,
  double: float,
  boolean: () => true,
  string: ({ name }) => `${name}-1`,
  enum: ({ shape }) => (shape as EnumLeaf).symbols[0],
}

export type Example = Readonly<Record<string, unknown>>

/** A record of this version. */
export function exampleOf({ shape, timeField, precision }: Definition, writing: Writing): Example {
  const time = precision === 'ms' ? TIME_MS : TIME_MS * 1_000 + 456
  return { ...recordOf(shape, writing), [timeField]: time }
}

function recordOf({ fields }: RecordShape, writing: Writing): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((field) => {
      const { name, shape } = field
      return [name, shape.kind === 'record' ? recordOf(shape, writing) : VALUES[shape.kind](field, writing)]
    }),
  )
}
