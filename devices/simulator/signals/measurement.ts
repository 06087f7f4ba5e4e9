/**
 * Owns what one device measures of one stream: by a model where there is one for it, by the scenario's signals where it names columns, and
 * all else by unit and name.
 *
 * Always true: the same seed, device and stream give the same values, whatever the format; a value is of its column's kind.
 */

import type { Definition, Field, Leaf, Place, RecordShape } from '../../../schemas/definition.ts'
import { SimulatorError } from '../simulator-error.ts'
import { climateOf } from './climate.ts'
import { journeyOf } from './journey.ts'
import { machineOf } from './machine.ts'
import { meterOf } from './meter.ts'
import type { ModelOf } from './model.ts'
import type { Random } from './random.ts'
import { signalSource } from './signal.ts'
import type { Signal } from './signal-kinds.ts'
import { recordSource, type ValueSource } from './values.ts'

/** Of the shipped streams. */
const MODELS: ReadonlyMap<string, ModelOf> = new Map([
  ['environment', climateOf],
  ['power', meterOf],
  ['vehicle', journeyOf],
  ['vibration', machineOf],
])

/** Fills a record with what is measured at a time, milliseconds since 1970. */
export type Measure = (at: number, record: Record<string, unknown>) => Record<string, unknown>

export interface MeasurementOptions {
  readonly definition: Definition
  readonly signals: Readonly<Record<string, Signal>>
  /** As JSON has values, not Avro. */
  readonly isJson: boolean
  readonly random: Random
}

/** Throws a `SimulatorError`: `unknown-column`, or `unsupported-field` where a signal, or any, cannot be of a column's kind. */
export function measurementOf({ definition, signals, isJson, random }: MeasurementOptions): Measure {
  const { schema, timeField, places, stream } = definition
  const columns = places.map(({ column }) => column)
  const model = MODELS.get(stream)?.(columns, random)
  let now = 0
  const given = new Map<string, ValueSource>()
  for (const place of places) {
    const source = model?.columns.get(place.column.name)
    const fit = source && fitting(source, place, definition)
    if (fit !== undefined) given.set(place.column.name, fit)
  }
  for (const [name, signal] of Object.entries(signals)) {
    const place = places.find(({ column }) => column.name === name)
    if (place === undefined) {
      const known = columns.map((each) => each.name).join(', ')
      throw new SimulatorError(
        'unknown-column',
        `${stream} ${definition.version} has no column "${name}": it has ${known}`,
      )
    }
    requireFit(signal, place)
    const isInteger = place.column.kind === 'integer'
    given.set(name, signalSource(signal, { isInteger, isTag: place.column.tag, random, at: () => now }))
  }
  const fill = recordSource(schema, timeField, random, { isJson, given })
  return (at, record) => {
    now = at
    model?.advance(at)
    return fill(record)
  }
}

/** What a model says as a column has it; undefined where it cannot be. */
function fitting(source: ValueSource, { column, leaf, path }: Place, { shape }: Definition): ValueSource | undefined {
  const isNullable = nullable(shape, path)
  switch (leaf.kind) {
    case 'int':
    case 'long':
      return () => Math.round(Number(source()))
    case 'float':
    case 'double':
      return isNullable ? source : () => source() ?? 0
    case 'string':
      return column.tag ? source : undefined
    case 'enum':
      return leaf.symbols.includes(String(source())) ? source : undefined
    default:
      return column.kind === 'float[]' ? source : undefined
  }
}

function nullable(shape: RecordShape, path: readonly string[]): boolean {
  let field: Field | undefined
  for (const name of path) {
    const fields = field === undefined ? shape.fields : 'fields' in field.shape ? field.shape.fields : []
    field = fields.find((each) => each.name === name)
  }
  return field?.nullBranch !== undefined
}

/** What a signal may be for a column: numbers, texts and truth stay what they are. */
function requireFit(signal: Signal, { column, leaf }: Place): void {
  const { name, kind } = column
  const refuse = (right: string) => {
    throw new SimulatorError(
      'unsupported-field',
      `${name} is of kind ${column.format ?? kind}, and its signal is ${signal.kind}: allowed is ${right}`,
    )
  }
  const isNumber = PLAIN_NUMBERS.has(leaf.kind)
  if (signal.kind !== 'constant' && signal.kind !== 'one-of') {
    if (!isNumber) refuse(isPlain(leaf) ? 'constant or one-of' : 'none')
    return
  }
  const values = signal.kind === 'constant' ? [signal.value] : signal.values
  if (!isPlain(leaf)) refuse('none')
  for (const value of values) {
    if (kind === 'integer' && !Number.isSafeInteger(value)) refuse('a whole number')
    if (kind === 'float' && typeof value !== 'number') refuse('a number')
    if (kind === 'boolean' && typeof value !== 'boolean') refuse('true or false')
    if (kind === 'string' && typeof value !== 'string') refuse('a text')
    if (leaf.kind === 'enum' && !leaf.symbols.includes(String(value))) refuse(leaf.symbols.join(', '))
  }
}

const PLAIN_NUMBERS: ReadonlySet<string> = new Set<Leaf['kind']>(['int', 'long', 'float', 'double'])
const isPlain = ({ kind }: Leaf) =>
  PLAIN_NUMBERS.has(kind) || kind === 'boolean' || kind === 'string' || kind === 'enum'
