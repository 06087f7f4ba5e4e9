/**
 * Owns the columns of a stream as its newest schema has them, and what a reading's values may be: nested records flattened with `_`,
 * null and empty tags left out, no number that is not finite.
 */

import type { Value } from '../readings.ts'
import type { Field, RecordShape, Shape } from './shape.ts'

export interface Column {
  readonly name: string
  readonly isTag: boolean
}

/** What was found for each column, by its number; the time has one, too. */
export type Slots = (Value | null | undefined)[]

/** What would break a series' name. */
const NO_TAG = /\p{Cc}|\\$/u
const TAG_CHARS_MAX = 256
const LIST_NUMBERS_MAX = 4_096

export class Columns {
  readonly shape: RecordShape
  readonly columns: readonly Column[]
  readonly #numbers = new Map<string, number>()
  readonly #time: number
  readonly #unitsPerMs: number

  constructor(shape: RecordShape) {
    this.shape = shape
    const time = shape.fields.find(({ unitsPerMs }) => unitsPerMs !== undefined)
    const fields = flatten(shape, '')
    this.columns = fields.map(({ name, isTag }) => ({ name, isTag }))
    for (const [number, { name }] of fields.entries()) this.#numbers.set(name, number)
    this.#time = this.numberOf(time?.name ?? '')
    this.#unitsPerMs = time?.unitsPerMs ?? 1
  }

  /** -1 if there is none of this name. */
  numberOf(name: string): number {
    return this.#numbers.get(name) ?? -1
  }

  /** A reading's time and values. Throws a `RangeError` for what is no reading: the platform sets it aside. */
  read(slots: Slots): { readonly ts: number; readonly values: Record<string, Value> } {
    const values: Record<string, Value> = {}
    let count = 0
    for (const [number, { name, isTag }] of this.columns.entries()) {
      const value = slots[number]
      if (number === this.#time || value === undefined || value === null || (isTag && value === '')) continue
      const numbers = typeof value === 'object' ? value : typeof value === 'number' ? [value] : []
      if (!numbers.every(Number.isFinite) || numbers.length > LIST_NUMBERS_MAX)
        throw new RangeError(`${name} is ${value}`)
      if (isTag && (NO_TAG.test(String(value)) || String(value).length > TAG_CHARS_MAX)) {
        throw new RangeError(`${name} is no tag`)
      }
      // Minus zero is zero, as in JSON.
      values[name] = value === 0 ? 0 : value
      if (!isTag) count++
    }
    if (count === 0) throw new RangeError('every value is null')
    return { ts: Number(slots[this.#time]) / this.#unitsPerMs, values }
  }
}

function flatten(
  { fields }: Pick<RecordShape, 'fields'>,
  above: string,
): { readonly name: string; readonly isTag: boolean }[] {
  return fields.flatMap(({ name, shape, isTag }) =>
    'fields' in shape ? flatten(shape, `${above}${name}_`) : [{ name: above + name, isTag }],
  )
}

/**
 * Sets what `value`, given as JSON, has for a field and all below it; what it leaves out has its default. `leaf` makes the value of
 * a column.
 */
export function setDefault(
  slots: Slots,
  columns: Columns,
  { shape, name }: Field,
  above: string,
  value: unknown,
  leaf: (shape: Shape, value: Value | null | undefined) => Value | null | undefined,
): void {
  if (!('fields' in shape)) {
    slots[columns.numberOf(above + name)] = leaf(shape, value as Value | null | undefined)
    return
  }
  if (value === null) return
  for (const field of shape.fields) {
    const given = own(value as Readonly<Record<string, unknown>>, field.name)
    setDefault(slots, columns, field, `${above}${name}_`, given === undefined ? field.default : given, leaf)
  }
}

/** Not what every object has without being given it. */
export const own = (object: Readonly<Record<string, unknown>> | undefined, name: string): unknown =>
  object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined
