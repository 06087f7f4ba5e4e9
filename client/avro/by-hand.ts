/**
 * Owns payloads that are JSON: readings written by hand, for a stream's newest schema. The platform has checked them before it sends
 * them on; here a field is only looked up, nested as in the schema or flat under its column's name, and has its default if it is
 * not there.
 */

import type { Value } from '../readings.ts'
import type { Decoded } from './codec.ts'
import { type Columns, own, type Slots } from './columns.ts'
import { defaultLogical, givenLogical } from './logical.ts'
import type { Field, Shape } from './shape.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null

/** Without what editors leave before it, a byte order mark, and the NUL that ends a string in C. */
const text = (payload: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(payload).replace(/\0+$/, '')

/** Throws if it is no JSON, or no reading. */
export function decodeJson(payload: Uint8Array, columns: Columns): Decoded[] {
  const parsed: unknown = JSON.parse(text(payload))
  return (Array.isArray(parsed) ? parsed : [parsed]).map((top: unknown) => {
    const slots: Slots = []
    if (isObject(top)) for (const field of columns.shape.fields) look(slots, columns, top, top, false, field, '')
    return columns.read(slots)
  })
}

/**
 * `around` is the object that stands for the record that the field is of; undefined if its fields stand flat in `top`. `isDefault`: it is
 * of the schema.
 */
function look(
  slots: Slots,
  columns: Columns,
  top: Json,
  around: Json | undefined,
  isDefault: boolean,
  field: Field,
  above: string,
): void {
  const name = above + field.name
  const nested = own(around, field.name)
  const given = nested === undefined ? own(top, name) : nested
  const { shape } = field
  if (!('fields' in shape)) {
    const value = (given === undefined ? field.default : given) as Value | null | undefined
    slots[columns.numberOf(name)] = madeOf(shape, value, given === undefined || (isDefault && nested !== undefined))
    return
  }
  const isFlat = given === undefined && Object.keys(top).some((other) => other.startsWith(`${name}_`))
  const value = given === undefined && !isFlat ? field.default : given
  if (value === null) return
  const inside = isObject(value) ? value : undefined
  const isOfSchema = value !== given || (isDefault && nested !== undefined)
  for (const inner of shape.fields) look(slots, columns, top, inside, isOfSchema, inner, `${name}_`)
}

function madeOf(shape: Shape, value: Value | null | undefined, isDefault: boolean): Value | null | undefined {
  if (Array.isArray(value)) return value.map((number: number) => number + 0)
  if (shape.kind !== 'logical' || value === null || value === undefined) return value
  return isDefault ? defaultLogical(shape, value) : givenLogical(shape, value)
}
