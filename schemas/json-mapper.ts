/**
 * Owns readings written by hand: JSON to `Reading`, checked against a stream's newest schema (docs/contract.md, "Payloads").
 *
 * A field may stand nested as in the schema or flat under its column's name. A missing one takes its default; an unknown
 * one is an error, because by hand it is a slip of the pen. Floats are kept as written: unlike in Avro, nothing was lost.
 * Bound: `READINGS_PER_MESSAGE_MAX` readings.
 */

import { READINGS_PER_MESSAGE_MAX } from '../platform/limits.ts'
import { parseTimeMicros } from '../platform/units.ts'
import {
  type Definition,
  type Field,
  isLogical,
  type Leaf,
  type LogicalLeaf,
  type MapShape,
  type RecordShape,
  type Shape,
} from './definition.ts'
import { LONG_MAX, LONG_MIN, tooMany } from './guard.ts'
import { fromDefault, fromJson, timestampOf, Unfit, wantedLogical } from './logical.ts'
import { givenList, ListFault, type ListLeaf } from './numbers.ts'
import { type Reading, Rejection, type Value } from './reading.ts'
import { itemOf, type MessageContext, noValue } from './record-mapper.ts'
import { quote, tagFault, timeFault } from './values.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
/** Own properties only: `__proto__` and `constructor` are unknown fields like any other. */
const own = (object: Json | undefined, name: string): unknown =>
  object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined

const LONE_SURROGATE = /\p{Surrogate}/u

export class JsonMapper {
  readonly #definition: Definition
  readonly #earliest: number
  /** What a reading may hold, for the reason of a rejection. */
  readonly #wanted: string

  /** `earliest`: no reading's time is before it, milliseconds. */
  constructor(definition: Definition, earliest: number) {
    this.#earliest = earliest
    this.#definition = definition
    const columns = definition.places.map(({ column }) => column.name)
    this.#wanted = `${definition.stream} ${definition.version} wants ${[definition.timeField, ...columns].join(', ')}`
  }

  /** The readings of one payload, as it was parsed. */
  map(parsed: unknown, context: MessageContext): readonly Reading[] | Rejection {
    if (!Array.isArray(parsed)) {
      const reading = this.#reading(parsed, context, '')
      return reading instanceof Rejection ? reading : [reading]
    }
    if (parsed.length === 0)
      return new Rejection('invalid-reading', 'the array is empty; it needs at least one reading')
    if (parsed.length > READINGS_PER_MESSAGE_MAX) return tooMany(parsed.length)
    const readings: Reading[] = []
    for (const [index, item] of parsed.entries()) {
      const reading = this.#reading(item, context, itemOf(index, parsed.length))
      if (reading instanceof Rejection) return reading
      readings.push(reading)
    }
    return readings
  }

  #reading(given: unknown, context: MessageContext, item: string): Reading | Rejection {
    const { stream, timeField, precision, places } = this.#definition
    if (!isObject(given)) return new Rejection('invalid-reading', `${item}it is ${quote(given)}; an object is right`)
    const collector = new Collector(given, this.#definition, this.#wanted)
    if (collector.fault !== undefined) return new Rejection('invalid-reading', item + collector.fault)
    const time = collector.values.get(timeField) as number
    const late = timeFault(time, precision, context.receivedAt, this.#earliest)
    if (late !== undefined) return new Rejection('bad-timestamp', `${item}${timeField} ${late}`)
    const values: Record<string, Value> = {}
    let count = 0
    for (const { column } of places) {
      const value = collector.values.get(column.name)
      if (value === undefined || (column.tag && value === '')) continue
      values[column.name] = value
      if (!column.tag) count++
    }
    if (count === 0) return noValue(item)
    return { device: context.device, stream, ts: precision === 'ms' ? time : time / 1000, values }
  }
}

/** Gathers the values of one object by flattened name; stops at the first fault. */
class Collector {
  readonly values = new Map<string, Value>()
  fault: string | undefined
  readonly #top: Json
  readonly #definition: Definition
  readonly #wanted: string
  /** Names of the top object that a field took. */
  readonly #taken = new Set<string>()

  constructor(top: Json, definition: Definition, wanted: string) {
    this.#top = top
    this.#definition = definition
    this.#wanted = wanted
    this.#record(definition.shape, top, '')
    this.#checkUnknown(top, this.#taken, '')
  }

  #fail(what: string): undefined {
    this.fault ??= what
  }

  #checkUnknown(object: Json, known: ReadonlySet<string>, prefix: string): undefined {
    for (const name of Object.keys(object)) {
      if (!known.has(name)) this.#fail(`${quote(prefix + name)} is no field: ${this.#wanted}`)
    }
  }

  #checkKeys(map: Json, keys: readonly string[], name: string): undefined {
    for (const key of Object.keys(map)) {
      if (!keys.includes(key)) this.#fail(`${name} has the key ${quote(key)}; it may have ${keys.join(', ')}`)
    }
  }

  /** `nested` is the object that stands for the record, if one does; its fields may also stand flat in the top object. */
  #record(shape: RecordShape | MapShape, nested: Json | undefined, prefix: string): undefined {
    for (const field of shape.fields) {
      if (this.fault !== undefined) return
      const name = prefix + field.name
      let value = own(nested, field.name)
      if (prefix === '') this.#taken.add(name)
      else if (Object.hasOwn(this.#top, name)) {
        this.#taken.add(name)
        if (value !== undefined) return this.#fail(`${name} is given twice, nested and flat`)
        value = own(this.#top, name)
      }
      this.#field(field, name, value)
    }
    if (prefix === '' || nested === undefined) return
    const names = shape.fields.map((field) => field.name)
    if (shape.kind === 'map') this.#checkKeys(nested, names, prefix.slice(0, -1))
    else this.#checkUnknown(nested, new Set(names), prefix)
  }

  #field(field: Field, name: string, given: unknown): undefined {
    const { shape, nullBranch } = field
    const flat = 'fields' in shape && given === undefined && this.#hasFlat(`${name}_`)
    const value = given === undefined && !flat ? defaultOf(field) : given
    if (value === null) {
      if (nullBranch === undefined) this.#fail(`${name} is null; ${wantedOf(shape)} is right`)
    } else if (shape.kind === 'record' || (shape.kind === 'map' && (value !== undefined || flat))) {
      if (value !== undefined && !isObject(value)) return this.#fail(`${name} is ${quote(value)}; an object is right`)
      this.#record(shape, value, `${name}_`)
    } else if (value === undefined) this.#fail(`${name} is missing: ${this.#wanted}`)
    else this.#leaf(field, shape as Leaf, name, value)
  }

  #hasFlat(prefix: string): boolean {
    return Object.keys(this.#top).some((name) => name.startsWith(prefix))
  }

  #leaf(field: Field, leaf: Leaf, name: string, value: unknown): undefined {
    if (isLogical(leaf)) {
      const made = fromJson(leaf, value)
      if (made instanceof Unfit) return this.#fail(`${name} ${made.what}`)
      this.values.set(name, made === 0 ? 0 : made)
      return
    }
    if (leaf.kind === 'array') {
      const item = { kind: leaf.items }
      const list = givenList(value, (each) => fits(item, each), wantedOf(item))
      if (list instanceof ListFault) return this.#fail(`${name} ${list.what}`)
      this.values.set(name, list)
      return
    }
    const { timeField, precision } = this.#definition
    const time = name === timeField && typeof value === 'string' ? timestampOf(value, precision) : undefined
    if (time !== undefined) {
      this.values.set(name, time)
      return
    }
    if (!fits(leaf, value)) {
      const right = name === timeField ? rightTime(value, precision) : `${wantedOf(leaf)} is right`
      return this.#fail(`${name} is ${quote(value)}; ${right}`)
    }
    const sound = value as Value
    const fault = field.tag ? tagFault(String(sound)) : undefined
    if (fault !== undefined) return this.#fail(`${name} ${fault}`)
    // Minus zero becomes zero: neither JSON nor line protocol would keep it.
    this.values.set(name, sound === 0 ? 0 : sound)
  }
}

/** As JSON has it: a schema has another text for bytes, and numbers for dates. */
function defaultOf({ shape, default: value }: Field, within: unknown = value): unknown {
  if (isLogical(shape)) return fromDefault(shape, within)
  if (!('fields' in shape) || !isObject(within)) return within
  const given = shape.fields.filter(({ name }) => Object.hasOwn(within, name))
  return Object.fromEntries(given.map((field) => [field.name, defaultOf(field, within[field.name])]))
}

function fits(leaf: Exclude<Leaf, LogicalLeaf | ListLeaf>, value: unknown): boolean {
  switch (leaf.kind) {
    case 'int':
      return Number.isInteger(value) && value === ((value as number) | 0)
    case 'long':
      return Number.isSafeInteger(value) && (value as number) >= LONG_MIN && (value as number) <= LONG_MAX
    case 'float':
      return typeof value === 'number' && Number.isFinite(Math.fround(value))
    case 'double':
      return Number.isFinite(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'string':
      return typeof value === 'string' && !LONE_SURROGATE.test(value)
    case 'enum':
      return typeof value === 'string' && leaf.symbols.includes(value)
  }
}

function wantedOf(shape: Shape): string {
  if (isLogical(shape)) return wantedLogical(shape)
  switch (shape.kind) {
    case 'record':
    case 'map':
      return 'an object'
    case 'array':
      return 'an array of numbers'
    case 'int':
      return 'an integer of 32 bits'
    case 'long':
      return `an integer from ${LONG_MIN} to ${LONG_MAX}`
    case 'float':
      return 'a number within float range'
    case 'double':
      return 'a number'
    case 'boolean':
      return 'true or false'
    case 'string':
      return 'a string of well-formed Unicode'
    case 'enum':
      return `one of ${shape.symbols.join(', ')}`
  }
}

/** What would be right in place of `value`, which is no time; the number that it would be if it is one in another form of ISO 8601. */
function rightTime(value: unknown, precision: 'ms' | 'us'): string {
  const [unit, fraction] = precision === 'ms' ? ['milliseconds', '250'] : ['microseconds', '250001']
  const right = `whole ${unit} since 1970 are right, or a text such as "2026-11-30T10:36:09.${fraction}Z"`
  const micros = typeof value === 'string' ? parseTimeMicros(value) : undefined
  return micros === undefined ? right : `${right}: ${precision === 'ms' ? Math.floor(micros / 1000) : micros}`
}
