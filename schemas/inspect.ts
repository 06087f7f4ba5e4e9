/**
 * Owns reading Avro bytes as far as they go: field by field by a schema, until the first one that cannot be. For people who
 * look at a payload that was set aside; nothing that is stored comes through here.
 *
 * Always true: it never throws for what the bytes say, and reads only what is there. Bound: `INSPECT_FIELDS_MAX` fields.
 */

import { isUtf8 } from 'node:buffer'
import { fromAvro, type Logical, logicalOf, Unfit, wireOf } from './logical.ts'
import { shortestFloat } from './shortest-float.ts'

/** Fields of one payload that are shown to a person who looks at it. */
const INSPECT_FIELDS_MAX = 1_000

export interface InspectedField {
  /** Names from the top, with the reading's index in a batch, such as `[2].position.latitude`. */
  readonly path: string
  /** Where its bytes start. */
  readonly at: number
  /** What is beyond a double is text. */
  readonly value: string | number | boolean | null | readonly (string | number)[]
}

export interface Inspection {
  readonly fields: readonly InspectedField[]
  /** Where reading stopped. */
  readonly end: number
  /** Why it stopped, if not at the end of the bytes with a whole value. */
  readonly fault?: string
}

type Schema = string | readonly Schema[] | { readonly type: Schema; readonly [key: string]: unknown }

class Fault extends Error {}

/** Shown as they are written: what is wrong with a reading's time is seen in its number. */
const TIMES: readonly Logical['kind'][] = ['timestamp-millis', 'timestamp-micros']
const sizeOf = ({ size }: { readonly [key: string]: unknown }) => (typeof size === 'number' ? size : undefined)

/** Reads the body that starts at `from`: a record of `schema`, or with `batch` an array of it. */
export function inspectAvro(schema: object, batch: boolean, bytes: Buffer, from: number): Inspection {
  const walk = new Walk(bytes, from)
  try {
    if (batch) walk.array(schema as Schema)
    else walk.value(schema as Schema, '')
    if (walk.at < bytes.length) throw new Fault(`${bytes.length - walk.at} bytes are left over after the last field`)
    return { fields: walk.fields, end: walk.at }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { fields: walk.fields, end: walk.at, fault: error.message }
  }
}

/** The fields as they are printed, names and values, and where reading stopped if it did. */
export function fieldLines({ fields, end, fault }: Inspection): [name: string, value: string][] {
  const width = Math.max(0, ...fields.map(({ path }) => path.length))
  const lines = fields.map(({ path, value }): [string, string] => ['', `${path.padEnd(width)}  ${shown(value)}`])
  if (fault !== undefined) lines.push(['', `stopped at byte ${end}: ${fault}`])
  return lines
}

/** Numbers of a list that a person is shown. */
const NUMBERS_SHOWN = 8

/** Not as JSON, to which NaN is null. */
function shown(value: InspectedField['value']): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object' || value === null) return String(value)
  const more = value.length > NUMBERS_SHOWN ? `, ... (${value.length} numbers)` : ''
  return `[${value.slice(0, NUMBERS_SHOWN).join(', ')}${more}]`
}

class Walk {
  readonly #bytes: Buffer
  readonly #named = new Map<string, Schema>()
  readonly fields: InspectedField[] = []
  /** Where the value being read starts. */
  at: number

  constructor(bytes: Buffer, from: number) {
    this.#bytes = bytes
    this.at = from
  }

  /** Blocks of a count and so many items; a negative count is followed by the block's size in bytes. */
  array(items: Schema): void {
    for (let index = 0; ; ) {
      let count = this.#long('the count of readings')
      if (count === 0n) return
      if (count < 0n) {
        count = -count
        this.#long('the size of a block')
      }
      for (const end = BigInt(index) + count; BigInt(index) < end; index++) this.value(items, `[${index}]`)
    }
  }

  value(schema: Schema, path: string): void {
    if (Array.isArray(schema)) this.#union(schema, path)
    else if (typeof schema === 'string') {
      const named = this.#named.get(schema.slice(schema.lastIndexOf('.') + 1))
      if (named === undefined) this.#scalar(schema, path)
      else this.value(named, path)
    } else this.#complex(schema as { type: Schema; [key: string]: unknown }, path)
  }

  #complex(schema: { type: Schema; [key: string]: unknown }, path: string): void {
    const { type, name, fields, symbols } = schema
    if (typeof name === 'string') this.#named.set(name.slice(name.lastIndexOf('.') + 1), schema)
    if (type === 'record') {
      for (const field of fields as { name: string; type: Schema }[]) {
        this.value(field.type, path === '' ? field.name : `${path}.${field.name}`)
      }
    } else if (type === 'array') this.#list(schema.items as Schema, path)
    else if (type === 'map') this.#map(schema.values as Schema, path)
    else if (type === 'enum') this.#symbol(symbols as string[], path)
    else {
      const leaf = type === 'fixed' || 'logicalType' in schema ? logicalOf(schema, type, sizeOf(schema)) : undefined
      if (leaf === undefined || leaf instanceof Unfit || TIMES.includes(leaf.kind)) this.value(type, path)
      else this.#logical(leaf, path)
    }
  }

  #union(branches: readonly Schema[], path: string): void {
    const start = this.at
    const branch = this.#long(path)
    const chosen = branches[Number(branch)]
    if (chosen === undefined) this.#fault(start, `${path} takes branch ${branch} of ${branches.length}`)
    this.value(chosen, path)
  }

  #map(values: Schema, path: string): void {
    for (;;) {
      let count = this.#long(path)
      if (count === 0n) return
      if (count < 0n) {
        count = -count
        this.#long(path)
      }
      for (; count > 0n; count--) this.value(values, `${path}.${this.#string(path, this.at)}`)
    }
  }

  #list(items: Schema, path: string): void {
    const start = this.at
    const type = String(typeof items === 'object' && 'type' in items ? items.type : items)
    const list: (string | number)[] = []
    for (;;) {
      let count = this.#long(path)
      if (count === 0n) break
      if (count < 0n) {
        count = -count
        this.#long(path)
      }
      for (; count > 0n; count--) list.push(this.#read(type, path, this.at) as string | number)
    }
    this.#found(path, start, list)
  }

  /** As a reading has it, or as it is written if no reading could. */
  #logical(leaf: Logical, path: string): void {
    const start = this.at
    const wire = wireOf(leaf)
    const raw =
      typeof wire === 'string' && wire !== 'bytes' ? this.#read(wire, path, start) : this.#raw(wire, path, start)
    const isWhole = leaf.kind === 'uuid' || typeof raw !== 'string'
    const made = isWhole ? fromAvro(leaf, raw) : raw
    const plain = raw instanceof Uint8Array ? raw.toString('hex') : raw
    this.#found(path, start, made instanceof Unfit ? plain : (made as InspectedField['value']))
  }

  /** Bytes: so many, or as many as stand before them. */
  #raw(size: number | 'bytes', path: string, start: number): Buffer {
    const length = size === 'bytes' ? this.#long(path) : BigInt(size)
    if (length < 0n) this.#fault(start, `${path} has a length of ${length}`)
    const at = this.#take(Number(length), path, start)
    return this.#bytes.subarray(at, this.at)
  }

  #symbol(symbols: readonly string[], path: string): void {
    const start = this.at
    const index = this.#long(path)
    const symbol = symbols[Number(index)]
    if (symbol === undefined) this.#fault(start, `${path} is symbol ${index} of ${symbols.length}`)
    this.#found(path, start, symbol)
  }

  #scalar(type: string, path: string): void {
    const start = this.at
    this.#found(path, start, this.#read(type, path, start))
  }

  #read(type: string, path: string, start: number): InspectedField['value'] {
    switch (type) {
      case 'null':
        return null
      case 'boolean':
        return this.#bytes[this.#take(1, path)] !== 0
      case 'int':
      case 'long': {
        const long = this.#long(path)
        return Number.isSafeInteger(Number(long)) ? Number(long) : String(long)
      }
      case 'float':
        return shortestFloat(this.#bytes.readFloatLE(this.#take(4, path)))
      case 'double':
        return this.#bytes.readDoubleLE(this.#take(8, path))
      case 'string':
        return this.#string(path, start)
      case 'bytes':
        return this.#raw('bytes', path, start).toString('hex')
      default:
        return this.#fault(start, `${path} is of the type ${type}, which is not read here`)
    }
  }

  #string(path: string, start: number): string {
    const text = this.#raw('bytes', path, start)
    if (!isUtf8(text)) this.#fault(start, `${path} is not UTF-8`)
    return text.toString('utf8')
  }

  #found(path: string, at: number, value: InspectedField['value']): void {
    this.fields.push({ path, at, value })
    if (this.fields.length >= INSPECT_FIELDS_MAX)
      throw new Fault(`only the first ${INSPECT_FIELDS_MAX} fields are read`)
  }

  /** Where the next `count` bytes start; they are passed. `start`: where the value starts that they belong to. */
  #take(count: number, path: string, start = this.at): number {
    const at = this.at
    if (count > this.#bytes.length - at) {
      this.#fault(start, `${path} needs ${count} bytes, and ${this.#bytes.length - at} are left`)
    }
    this.at += count
    return at
  }

  /** A variable-length zigzag number (Avro specification, "Binary encoding"). */
  #long(path: string): bigint {
    const start = this.at
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(this.#bytes[this.#take(1, path, start)] ?? 0)
      value |= (byte & 0x7fn) << shift
      if (byte < 0x80n) return (value >> 1n) ^ -(value & 1n)
      if (shift >= 63n) this.#fault(start, `${path} is a number of more than ten bytes`)
    }
  }

  #fault(at: number, what: string): never {
    this.at = at
    throw new Fault(what)
  }
}
