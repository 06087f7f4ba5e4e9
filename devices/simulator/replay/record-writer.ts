/**
 * Owns how a recorded reading becomes a message again: its columns, which are flat, into a record of its stream's schema, written as JSON or
 * Avro.
 *
 * Always true: a platform with the same schema makes the same reading of it. What a reading has not is null where the schema has null, so
 * that no default takes its place.
 */

import type { Definition, Field, Leaf } from '../../../schemas/definition.ts'
import { isLogical } from '../../../schemas/definition.ts'
import { timestampOf } from '../../../schemas/logical.ts'
import { isOfKind, notOfKind, type Reading, type Value, valueIn } from '../../../schemas/reading.ts'

/** Where in a record a column stands, or what other fields a field has. */
type Slot = { readonly name: string; readonly field: Field } & (
  | { readonly kind: 'leaf'; readonly column: string; readonly leaf: Leaf }
  | { readonly kind: 'record' | 'map'; readonly slots: readonly Slot[] }
)

export type ReplayFormat = 'json' | 'avro'

export class RecordWriter {
  readonly #definition: Definition
  readonly #slots: readonly Slot[]
  readonly #isAvro: boolean
  readonly #encode: (record: object) => Buffer
  readonly #columns: ReadonlyMap<string, Definition['places'][number]>

  /** `encode`: Avro by the schema of the definition. */
  constructor(definition: Definition, format: ReplayFormat, encode: (record: object) => Buffer) {
    this.#definition = definition
    this.#slots = slotsOf(definition.shape.fields, '').filter(({ name }) => name !== definition.timeField)
    this.#isAvro = format === 'avro'
    this.#encode = encode
    this.#columns = new Map(definition.places.map((place) => [place.column.name, place]))
  }

  /** Why these values cannot be written; undefined if they can. */
  fault(values: Reading['values']): string | undefined {
    for (const [name, value] of Object.entries(values)) {
      const place = this.#columns.get(name)
      if (place === undefined) return `${name} is no column of ${this.#definition.stream}`
      if (!isOfKind(value, place.column.kind)) return notOfKind(name, place.column.kind, value)
      const { leaf } = place
      if (leaf.kind === 'enum' && !leaf.symbols.includes(String(value))) {
        return `${name} is ${JSON.stringify(value)}; ${this.#definition.stream} knows ${leaf.symbols.join(', ')}`
      }
    }
    const missing = firstMissing(this.#slots, values)
    return missing === undefined ? undefined : `it has no ${missing}, which ${this.#definition.stream} needs`
  }

  /** The payload of a reading of that time, milliseconds with up to three decimals. */
  write(values: Reading['values'], ts: number): Buffer {
    const { timeField, precision } = this.#definition
    const record = this.#record(this.#slots, values)
    record[timeField] = precision === 'us' ? Math.round(ts * 1000) : Math.round(ts)
    return this.#isAvro ? this.#encode(record) : Buffer.from(JSON.stringify(record))
  }

  #record(slots: readonly Slot[], values: Reading['values']): Record<string, unknown> {
    const record: Record<string, unknown> = {}
    for (const slot of slots) {
      const { name, field } = slot
      const isNullable = field.nullBranch !== undefined
      if (slot.kind === 'leaf') {
        const value = valueIn(values, slot.column)
        if (value !== undefined) record[name] = this.#isAvro ? toAvro(slot.leaf, value) : value
        else if (isNullable) record[name] = null
        // An empty tag is none to apps.
        else if (field.tag && slot.leaf.kind === 'string') record[name] = ''
      } else if (isNullable && !hasAny(slot.slots, values)) record[name] = null
      else record[name] = slot.kind === 'map' ? this.#keys(slot.slots, values) : this.#record(slot.slots, values)
    }
    return record
  }

  /** Of a map: the keys that there are. */
  #keys(slots: readonly Slot[], values: Reading['values']): Record<string, unknown> {
    const present = slots.filter((slot) => hasAny([slot], values))
    return this.#record(present, values)
  }
}

function slotsOf(fields: readonly Field[], prefix: string): Slot[] {
  return fields.map((field) => {
    const { name, shape } = field
    const column = prefix + name
    if (shape.kind !== 'record' && shape.kind !== 'map') return { name, field, kind: 'leaf', column, leaf: shape }
    return { name, field, kind: shape.kind, slots: slotsOf(shape.fields, `${column}_`) }
  })
}

const hasAny = (slots: readonly Slot[], values: Reading['values']): boolean =>
  slots.some((slot) => (slot.kind === 'leaf' ? valueIn(values, slot.column) !== undefined : hasAny(slot.slots, values)))

/** The first column that may not be missing. */
function firstMissing(slots: readonly Slot[], values: Reading['values']): string | undefined {
  for (const slot of slots) {
    const { field } = slot
    if (slot.kind === 'leaf') {
      const isEmpty = field.tag && slot.leaf.kind === 'string'
      const isFree = field.nullBranch !== undefined || field.default !== undefined || isEmpty
      if (!isFree && valueIn(values, slot.column) === undefined) return slot.column
    } else if (slot.kind === 'record' && (field.nullBranch === undefined || hasAny(slot.slots, values))) {
      const missing = firstMissing(slot.slots, values)
      if (missing !== undefined) return missing
    }
  }
  return undefined
}

const DAY_MS = 86_400_000

/** What Avro writes for a column's value; the other way round than `fromAvro`. */
function toAvro(leaf: Leaf, value: Value): unknown {
  if (!isLogical(leaf)) return value
  switch (leaf.kind) {
    case 'decimal':
      return twosComplement(unscaled(String(value), leaf.scale), leaf.size)
    case 'bytes':
    case 'fixed':
      return Buffer.from(String(value), 'hex')
    case 'uuid':
      return leaf.size === undefined ? value : Buffer.from(String(value).replaceAll('-', ''), 'hex')
    case 'date':
      return Date.parse(`${value}T00:00:00Z`) / DAY_MS
    case 'time-millis':
    case 'time-micros':
      return timestampOf(`1970-01-01T${value}Z`, leaf.kind === 'time-millis' ? 'ms' : 'us')
    default:
      return timestampOf(`${String(value).replace(/Z$/, '')}Z`, leaf.kind.endsWith('micros') ? 'us' : 'ms')
  }
}

/** The whole number of `scale`ths that a decimal prints as. */
function unscaled(text: string, scale: number): bigint {
  const [, sign = '', whole = '0', decimals = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text) ?? []
  const zeros = scale - decimals.length + Number(exponent)
  const digits = BigInt(whole + decimals)
  const number = zeros >= 0 ? digits * 10n ** BigInt(zeros) : digits / 10n ** BigInt(-zeros)
  return sign === '-' ? -number : number
}

/** The most significant byte first; of a `fixed` as many as it has. */
function twosComplement(number: bigint, size: number | undefined): Buffer {
  let length = size ?? 1
  if (size === undefined) while (BigInt.asIntN(length * 8, number) !== number) length++
  return Buffer.from(
    BigInt.asUintN(length * 8, number)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  )
}
