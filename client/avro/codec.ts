/**
 * Owns the way from the bytes of one writer schema to readings of the stream's newest version (Avro specification 1.12, "Schema
 * Resolution"). Compiled once into functions: no code is made of text, so a page's content security policy does not matter.
 */

import type { Value } from '../readings.ts'
import type { Bytes } from './bytes.ts'
import { type Columns, type Slots, setDefault } from './columns.ts'
import { defaultLogical, readLogical } from './logical.ts'
import type { EnumShape, Field, MapShape, RecordShape, Scalar, Shape } from './shape.ts'
import { shortestFloat } from './shortest-float.ts'

export interface Decoded {
  readonly ts: number
  readonly values: Readonly<Record<string, Value>>
}

type Step = (bytes: Bytes, slots: Slots) => void
type Read = (bytes: Bytes) => Value

export class Codec {
  readonly #columns: Columns
  readonly #isBatch: boolean
  readonly #record: Step

  constructor(writer: RecordShape, columns: Columns, isBatch: boolean) {
    this.#columns = columns
    this.#isBatch = isBatch
    this.#record = recordStep(writer, columns.shape, columns, '')
  }

  /** Throws a `RangeError` if the bytes are no whole value of the writer schema, or a value is none that a reading can have. */
  decode(bytes: Bytes): Decoded[] {
    const readings = this.#isBatch ? this.#batch(bytes) : [this.#reading(bytes)]
    if (bytes.left > 0) throw new RangeError(`${bytes.left} bytes are left over`)
    return readings
  }

  #batch(bytes: Bytes): Decoded[] {
    const readings: Decoded[] = []
    eachItem(bytes, () => readings.push(this.#reading(bytes)))
    return readings
  }

  #reading(bytes: Bytes): Decoded {
    const slots: Slots = []
    this.#record(bytes, slots)
    return this.#columns.read(slots)
  }
}

/** `reader` is undefined where the newest version has no such field any more: then it is read and let go. */
function recordStep(writer: RecordShape, reader: RecordShape | undefined, columns: Columns, above: string): Step {
  const wanted = new Map<Field, Field>()
  const steps: Step[] = []
  for (const field of reader?.fields ?? []) {
    const source = sourceOf(field, writer)
    if (source === undefined)
      steps.push((_, slots) => setDefault(slots, columns, field, above, field.default, defaultLeaf))
    else wanted.set(source, field)
  }
  for (const field of writer.fields) steps.push(fieldStep(field, wanted.get(field), columns, above))
  return (bytes, slots) => {
    for (const step of steps) step(bytes, slots)
  }
}

/** A default is a value of its type: a float32 where that is float. */
function defaultLeaf(shape: Shape, value: Value | null | undefined) {
  if (shape.kind === 'logical' && value !== null && value !== undefined) return defaultLogical(shape, value)
  if (Array.isArray(value) && shape.kind === 'list' && shape.items === 'float') {
    return value.map((number: number) => shortestFloat(Math.fround(number)))
  }
  return shape.kind === 'float' && typeof value === 'number' ? shortestFloat(Math.fround(value)) : value
}

/** A reader's field takes the writer's of its name, or of one of its aliases. */
const sourceOf = ({ name, aliases }: Field, writer: RecordShape): Field | undefined =>
  writer.fields.find((field) => field.name === name) ?? writer.fields.find((field) => aliases.includes(field.name))

function fieldStep(writer: Field, reader: Field | undefined, columns: Columns, above: string): Step {
  const step = valueStep(writer.shape, reader, columns, above)
  const { nullBranch } = writer
  if (nullBranch === undefined) return step
  return (bytes, slots) => {
    const branch = bytes.long()
    if (branch !== 0 && branch !== 1) throw new RangeError(`a union has no branch ${branch}`)
    if (branch !== nullBranch) step(bytes, slots)
  }
}

function valueStep(writer: Shape, reader: Field | undefined, columns: Columns, above: string): Step {
  if (writer.kind === 'record') {
    const inner = reader?.shape.kind === 'record' ? reader.shape : undefined
    return recordStep(writer, inner, columns, `${above}${reader?.name}_`)
  }
  if (writer.kind === 'map') {
    const read = READS[writer.values]
    const declared = new Set(writer.fields.map(({ name }) => name))
    return (bytes, slots) => {
      const left = new Set(declared)
      eachItem(bytes, () => {
        const key = bytes.string()
        if (!left.delete(key)) throw new RangeError(`${key} is no key of the map, or stands twice`)
        const number = reader === undefined ? -1 : columns.numberOf(`${above}${reader.name}_${key}`)
        const value = read(bytes)
        if (number >= 0) slots[number] = value
      })
    }
  }
  const number = reader === undefined ? -1 : columns.numberOf(above + reader.name)
  const read = readOf(writer, reader)
  return (bytes, slots) => {
    const value = read(bytes)
    if (number >= 0) slots[number] = value
  }
}

/** In blocks of a count and so many; a negative count is followed by the block's size. */
function listRead(read: (bytes: Bytes) => number): Read {
  return (bytes) => {
    const list: number[] = []
    eachItem(bytes, () => list.push(read(bytes) + 0))
    return list
  }
}

function eachItem(bytes: Bytes, read: () => void): void {
  for (;;) {
    let count = bytes.long()
    if (count === 0) return
    if (count < 0) {
      count = -count
      bytes.long() // The block's size.
    }
    while (count-- > 0) read()
  }
}

function readOf(writer: Exclude<Shape, RecordShape | MapShape>, reader: Field | undefined): Read {
  if (writer.kind === 'list') return listRead(READS[writer.items] as (bytes: Bytes) => number)
  if (writer.kind === 'logical') return (bytes) => readLogical(writer, bytes)
  return writer.kind === 'enum' ? enumRead(writer, reader?.shape) : READS[writer.kind]
}

const READS: Readonly<Record<Scalar, Read>> = {
  int: (bytes) => bytes.int(),
  long: (bytes) => bytes.long(),
  float: (bytes) => shortestFloat(bytes.float()),
  double: (bytes) => bytes.double(),
  boolean: (bytes) => bytes.boolean(),
  string: (bytes) => bytes.string(),
}

function enumRead({ symbols }: EnumShape, reader: Shape | undefined): Read {
  const known = reader?.kind === 'enum' ? reader : undefined
  return (bytes) => {
    const number = bytes.long()
    const symbol = symbols[number]
    if (symbol === undefined) throw new RangeError(`an enum has no symbol ${number}`)
    if (known === undefined || known.symbols.includes(symbol)) return symbol
    if (known.default === undefined) throw new RangeError(`${symbol} is no symbol any more`)
    return known.default
  }
}
