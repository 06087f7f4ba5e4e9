/**
 * Owns the step from a decoded Avro record to a `Reading`: columns flattened, nulls left out, floats shortened, dates and the like as text.
 *
 * Compiled once a writer schema, because what was a float32 is known from the writer alone: a reader may have widened
 * the field to double since, and 21.3 must stay 21.3. Plain loops over parallel arrays: this runs for every reading.
 */

import { avscName } from './avsc-names.ts'
import { type Definition, type Field, isLogical, type LogicalLeaf, type Place, type RecordShape } from './definition.ts'
import { fromAvro, Unfit } from './logical.ts'
import { ListFault, listOf } from './numbers.ts'
import { type Reading, Rejection, type Value } from './reading.ts'
import { shortestFloat } from './shortest-float.ts'
import { tagFault, timeFault } from './values.ts'

export interface MessageContext {
  readonly device: string
  readonly receivedAt: number
}

const WAY = { plain: 0, float: 1, double: 2, tag: 3, logical: 4, list: 5, floatList: 6 } as const

type Decoded = Readonly<Record<string, unknown>>

export class RecordMapper {
  readonly #stream: string
  readonly #timeField: string
  readonly #precision: 'ms' | 'us'
  readonly #earliest: number
  readonly #names: readonly string[]
  /** The one field of a flat column; for a nested one, the fields that lead to it stand in `#paths`. */
  readonly #fields: readonly string[]
  readonly #paths: readonly (readonly string[] | undefined)[]
  readonly #ways: Uint8Array
  readonly #logical: readonly (LogicalLeaf | undefined)[]
  /** What a float may be, by the writer: null only where its schema has it. */
  readonly #allowed: readonly string[]

  /**
   * Maps records as the `reader` version shapes them, decoded from what a `writer` version wrote. No reading's time is before
   * `earliest`, milliseconds.
   */
  constructor(writer: Definition, reader: Definition, earliest: number) {
    this.#earliest = earliest
    this.#stream = reader.stream
    this.#timeField = avscName(reader.timeField)
    this.#precision = reader.precision
    this.#names = reader.places.map(({ column }) => column.name)
    this.#fields = reader.places.map(({ path }) => avscName(path[0] ?? ''))
    this.#paths = reader.places.map(({ path }) => (path.length > 1 ? path.map(avscName) : undefined))
    const written = reader.places.map(({ path }) => writtenField(path, writer.shape, reader.shape))
    this.#ways = Uint8Array.from(reader.places, (place, at) => wayOf(place, written[at]))
    this.#logical = reader.places.map(({ leaf }) => (isLogical(leaf) ? leaf : undefined))
    this.#allowed = written.map(
      (field) => `a finite number is right${field?.nullBranch === undefined ? '' : ', or null'}`,
    )
  }

  /**
   * The reading of `record`, which stands at `index` of a batch of `total`; `total` is 0 when it stands alone. Numbers
   * and not a closure that describes the place: making one for each reading cost 0.5 us.
   */
  map(record: Decoded, context: MessageContext, index: number, total: number): Reading | Rejection {
    const time = record[this.#timeField] as number
    const late = timeFault(time, this.#precision, context.receivedAt, this.#earliest)
    if (late !== undefined) return new Rejection('bad-timestamp', `${itemOf(index, total)}${this.#timeField} ${late}`)
    const names = this.#names
    const values: Record<string, Value> = {}
    let count = 0
    for (let at = 0; at < names.length; at++) {
      const path = this.#paths[at]
      const value = path === undefined ? record[this.#fields[at] as string] : follow(record, path)
      if (value === null || value === undefined) continue
      const name = names[at] as string
      switch (this.#ways[at]) {
        case WAY.float:
        case WAY.double:
          if (!Number.isFinite(value)) {
            return new Rejection('invalid-reading', `${itemOf(index, total)}${name} is ${value}; ${this.#allowed[at]}`)
          }
          // Minus zero becomes zero, as in JSON: neither line protocol nor JSON would keep it.
          values[name] =
            this.#ways[at] === WAY.float ? shortestFloat(value as number) : value === 0 ? 0 : (value as number)
          break
        case WAY.tag: {
          if (value === '') continue
          const fault = tagFault(value as string)
          if (fault !== undefined) return new Rejection('invalid-reading', `${itemOf(index, total)}${name} ${fault}`)
          values[name] = value as string
          continue
        }
        case WAY.logical: {
          const made = fromAvro(this.#logical[at] as LogicalLeaf, value)
          if (made instanceof Unfit)
            return new Rejection('invalid-reading', `${itemOf(index, total)}${name} ${made.what}`)
          values[name] = made
          break
        }
        case WAY.list:
        case WAY.floatList: {
          const list = listOf(value as readonly number[], this.#ways[at] === WAY.floatList)
          if (list instanceof ListFault)
            return new Rejection('invalid-reading', `${itemOf(index, total)}${name} ${list.what}`)
          values[name] = list
          break
        }
        default:
          values[name] = value as Value
      }
      count++
    }
    if (count === 0) return noValue(itemOf(index, total))
    return { device: context.device, stream: this.#stream, ts: this.#precision === 'ms' ? time : time / 1000, values }
  }
}

/** How a reason names the reading of a batch that it is about; nothing when it stands alone. */
export const itemOf = (index: number, total: number) => (total === 0 ? '' : `reading ${index + 1} of ${total}: `)

export const noValue = (item: string) =>
  new Rejection('invalid-reading', `${item}every value is null; a reading needs at least one beside its time and tags`)

function follow(record: Decoded, path: readonly string[]): unknown {
  let value: unknown = record
  for (const name of path) {
    if (value === null || value === undefined) return undefined
    value = (value as Decoded)[name]
  }
  return value
}

function wayOf({ column, leaf }: Place, written: Field | undefined): number {
  if (column.tag) return WAY.tag
  if (isLogical(leaf)) return WAY.logical
  if (leaf.kind === 'array') {
    const from = written?.shape.kind === 'array' ? written.shape : leaf
    return from.items === 'float' ? WAY.floatList : WAY.list
  }
  if (column.kind !== 'float') return WAY.plain
  return (written?.shape ?? leaf).kind === 'float' ? WAY.float : WAY.double
}

/** The writer's field of what the reader finds at `path`; undefined if the reader's default stands there. */
function writtenField(path: readonly string[], writer: RecordShape, reader: RecordShape): Field | undefined {
  const [name, ...below] = path
  const wanted = reader.fields.find((field) => field.name === name)
  const written = wanted && writerField(wanted, writer)
  if (written?.shape.kind === 'map' && below.length > 0) return { ...written, shape: { kind: written.shape.values } }
  if (written?.shape.kind !== 'record' || wanted?.shape.kind !== 'record') return written
  return writtenField(below, written.shape, wanted.shape)
}

/** Avro specification, "Schema Resolution": a reader's field takes the writer's of its name, or of one of its aliases. */
function writerField(wanted: Field, writer: RecordShape): Field | undefined {
  return (
    writer.fields.find((field) => field.name === wanted.name) ??
    writer.fields.find((field) => wanted.aliases.includes(field.name))
  )
}
