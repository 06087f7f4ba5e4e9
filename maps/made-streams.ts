/**
 * Owns the streams that maps make because `schemas/` has none of their name: their columns, as the maps say, and those that were
 * learnt from payloads where a map takes all numbers.
 *
 * Always true: a stream never changes once it is made; one with more columns takes its place. A column keeps its kind while it is known;
 * learnt columns are floats, unless what was learnt says otherwise, as metrics of Sparkplug do. What was learnt is kept in a file a stream, so that history has it
 * after a restart; where it cannot be written that is told (unkept-columns.ts). Threads and processes that learn apart agree: the order of that file decides, and each reads it after it has added to it.
 * What maps in force have had a column be is kept there, too, for what is stored is that: a map that makes something else of it is refused.
 * Bound: `SCHEMA_COLUMNS_MAX` columns a stream; a payload with one more is refused. A column that is learnt takes another registry, 1 to 2 ms
 * of a thread, so a stream takes a second of each at most, once, whatever its devices send.
 */

import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf } from '../platform/errors.ts'
import { makeDirectory } from '../platform/files.ts'
import { SCHEMA_COLUMNS_MAX } from '../schemas/definition.ts'
import type { Column, ColumnKind, Stream } from '../schemas/reading.ts'
import type { MapDefinition, Rule } from './definition.ts'
import { columnOf } from './path.ts'
import type { MetricFact } from './sparkplug/items.ts'
import type { TellsUnkept } from './unkept-columns.ts'

/** Of a column's name that is learnt. */
export const LEARNT_CHARS_MAX = 128
/** What is learnt of a metric. */
type Learnt = Omit<MetricFact, 'value'>

/** What has no type in its map. */
export const KIND_BY_DEFAULT: ColumnKind = 'float'
/** A column that there may be, and is not. */
export const NEW = Symbol('new')

const LEARNT_NAME = /^[A-Za-z]\w*$/
const NO_UNIT = null
const KINDS: ReadonlySet<unknown> = new Set<ColumnKind>(['integer', 'float', 'boolean', 'string'])
/** A line that says of a stream that something of it has come, be it nothing that has a column. */
export const HAS_COME = '[]'

/** What is learnt of a metric that has a type, as a line of the file: its kind, its name, its unit. */
export const factOf = ({ kind, name, unit }: Learnt): string =>
  JSON.stringify(unit === undefined ? [kind, name] : [kind, name, unit])

/** What a map has had a column be, as a line of the file. */
const declarationOf = ({ name, kind, tag, unit }: Column): string =>
  JSON.stringify({ column: name, kind, ...(tag && { tag }), ...(unit !== undefined && { unit }) })

/** Undefined of any other line. */
function readDeclaration(line: string): Column | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const { column: name, kind, tag = false, unit } = JSON.parse(line)
    if (!LEARNT_NAME.test(name) || typeof kind !== 'string') return undefined
    return { name, kind: kind as ColumnKind, tag: tag === true, ...(typeof unit === 'string' && { unit }) }
  } catch {
    return undefined
  }
}

/** Undefined of a name of a float. */
function readFact(line: string): Learnt | undefined {
  if (!line.startsWith('[') || line === HAS_COME) return undefined
  try {
    const [kind, name, unit] = JSON.parse(line)
    return KINDS.has(kind) && typeof name === 'string' ? { kind, name, unit } : undefined
  } catch {
    // It was cut off by a full disk.
    return undefined
  }
}

/** The columns that were learnt, by stream: names of floats, and facts of metrics. */
export class LearntColumns {
  readonly #directory: string | undefined
  readonly #names = new Map<string, Set<string>>()
  /** Of each file when it was read: it only grows. */
  readonly #bytes = new Map<string, number>()

  readonly #keeps: boolean
  readonly #unkept: TellsUnkept | undefined

  /** They are not kept if there is no directory, nor if that is to be read only. `unkept` is told of those that could not be. */
  constructor(directory: string | undefined, keeps = true, unkept?: TellsUnkept) {
    this.#directory = directory
    this.#keeps = keeps
    this.#unkept = unkept
  }

  /** In the order in which they came, also those that other threads have learnt. */
  of(stream: string): Iterable<string> {
    const file = this.#file(stream)
    const bytes = file === undefined ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    const known = this.#names.get(stream)
    if (known !== undefined && this.#bytes.get(stream) === bytes) return known
    this.#bytes.set(stream, bytes)
    const names = new Set<string>()
    if (file !== undefined && bytes > 0) {
      for (const line of readFileSync(file, 'utf8').split('\n')) {
        if (isLine(line)) names.add(line)
      }
    }
    for (const name of known ?? []) names.add(name)
    this.#names.set(stream, names)
    return names
  }

  /** What the columns of a stream have been, by name in lower case. */
  had(stream: string): ReadonlyMap<string, Column> {
    const columns = new Map<string, Column>()
    for (const line of this.of(stream)) {
      const column = LEARNT_NAME.test(line) ? { name: line, kind: KIND_BY_DEFAULT, tag: false } : readDeclaration(line)
      if (column === undefined) continue
      const known = columns.get(column.name.toLowerCase())
      columns.set(column.name.toLowerCase(), { ...known, ...column })
    }
    return columns
  }

  declare(stream: string, columns: readonly Column[]): void {
    this.add(stream, columns.map(declarationOf))
  }

  add(stream: string, found: readonly string[]): void {
    const known = new Set(this.of(stream))
    const names = found.filter((name) => !known.has(name))
    const file = this.#file(stream)
    if (names.length === 0) return
    try {
      if (file !== undefined && this.#keeps) {
        makeDirectory(dirname(file))
        // One write(2): lines of two threads do not mix. Stores have columns by their order, so a power cut must not lose it.
        appendFileSync(file, names.map((name) => `${name}\n`).join(''), { flush: true })
        return
      }
    } catch (error) {
      // The disk is full, say: after a restart the next message tells it again.
      this.#unkept?.({ stream, columns: names.length, reason: messageOf(error) })
    }
    for (const name of names) this.#names.get(stream)?.add(name)
  }

  #file(stream: string): string | undefined {
    return this.#directory && join(this.#directory, `${stream}.columns`)
  }
}

const isLine = (line: string): boolean =>
  line === HAS_COME || LEARNT_NAME.test(line) || (readFact(line) ?? readDeclaration(line)) !== undefined

interface MetricColumn {
  readonly column: string
  unit: string | undefined | typeof NO_UNIT
}

export class MadeStream {
  readonly name: string
  /** By name in lower case, for stores do not tell `Temp` from `temp`. */
  readonly #columns = new Map<string, Column & { readonly where?: Rule['where'] }>()

  /** Of metrics by kind and name: their column, and the unit that all agree on. */
  readonly #metrics = new Map<string, MetricColumn>()

  #isGathered = false
  hasCome = false

  /** What its columns have been, by name in lower case. */
  readonly #had: ReadonlyMap<string, Column>

  constructor(name: string, had: ReadonlyMap<string, Column>) {
    this.name = name
    this.#had = had
  }

  get stream(): Stream {
    const columns = [...this.#columns.values()].map(({ where: _where, ...column }) => column)
    const isGathered = this.#isGathered && { isGathered: true }
    return { name: this.name, version: 0, timeField: 'time', precision: 'us', ...isGathered, columns }
  }

  /** Some of its messages are parts of readings. */
  gather(): void {
    this.#isGathered = true
  }

  /** The columns that maps name. */
  get declared(): readonly Column[] {
    const named = [...this.#columns.values()].filter(({ where }) => where !== undefined)
    return named.map(({ where: _where, ...column }) => column)
  }

  /** Throws a `ConfigError` where another map makes something else of the column. */
  declare({ column: name, kind = KIND_BY_DEFAULT, tag, unit, where }: Rule): void {
    const known = this.#columns.get(name.toLowerCase())
    if (known === undefined) this.#set({ name, kind, tag, ...(unit !== undefined && { unit }), where })
    else if (known.name !== name || what(known) !== what({ kind, tag, ...(unit !== undefined && { unit }) })) {
      const other = `${known.name}, ${what(known)}, at ${known.where?.where}`
      where.refuse(
        `${name}, ${what({ kind, tag, ...(unit !== undefined && { unit }) })}, is another column of ${this.name} than ${other}`,
      )
    }
  }

  /** Throws a `ConfigError` where the column was something else before; to say its unit is no change. */
  requireSame({ column: name, kind = KIND_BY_DEFAULT, tag, unit, where }: Rule): void {
    const had = this.#had.get(name.toLowerCase())
    if (had === undefined) return
    const isSame = had.name === name && had.kind === kind && had.tag === tag
    if (isSame && (unit === undefined || had.unit === undefined || had.unit === unit)) return
    const now = what({ kind, tag, ...(unit !== undefined && { unit }) })
    where.refuse(
      `${name}, ${now}, was ${had.name}, ${what(had)}, in ${this.name} before, and what is stored is that: name the new column differently`,
    )
  }

  /** Takes in what was learnt, as far as nothing else is declared and there is room. */
  remember(names: Iterable<string>): void {
    for (const name of names) {
      const fact = readFact(name)
      if (name === HAS_COME) this.hasCome = true
      else if (fact !== undefined) this.#rememberMetric(fact)
      else if (readDeclaration(name) === undefined && this.column(name) === NEW)
        this.#set({ name, kind: KIND_BY_DEFAULT, tag: false })
    }
  }

  hasMetric({ kind, name }: Learnt): boolean {
    return this.#metrics.has(`${kind} ${name}`)
  }

  /** The name of a metric's column; `NEW` if that is to be learnt, undefined if there cannot be one. */
  metricColumn({ name, kind, unit }: Learnt): string | typeof NEW | undefined {
    const known = this.#metrics.get(`${kind} ${name}`)
    if (known === undefined) return this.#columns.size < SCHEMA_COLUMNS_MAX ? NEW : undefined
    const isKnown = unit === undefined || known.unit === NO_UNIT || known.unit === unit
    return isKnown ? known.column : NEW
  }

  /** Of two metrics that would have one column the later has another. */
  #rememberMetric({ name, kind, unit }: Learnt): void {
    const known = this.#metrics.get(`${kind} ${name}`)
    if (known !== undefined) {
      if (unit === undefined || known.unit === NO_UNIT || known.unit === unit) return
      // In two units it has none that is right of all its values.
      known.unit = known.unit === undefined ? unit : NO_UNIT
      this.#set({ name: known.column, kind, tag: false, ...(known.unit !== NO_UNIT && { unit }) })
      return
    }
    if (this.#columns.size >= SCHEMA_COLUMNS_MAX) return
    const plain = columnOf([name])
    let column = plain
    for (let number = 1; this.#columns.has(column.toLowerCase()); number++) {
      column = number === 1 ? `${plain}_${kind}` : `${plain}_${kind}_${number}`
    }
    this.#metrics.set(`${kind} ${name}`, { column, unit })
    this.#set({ name: column, kind, tag: false, ...(unit !== undefined && { unit }) })
  }

  /** The name of the float column of this name; undefined if there cannot be one. */
  column(name: string): string | typeof NEW | undefined {
    const known = this.#columns.get(name.toLowerCase())
    const had = known ?? this.#had.get(name.toLowerCase())
    if (had !== undefined && (had.kind !== KIND_BY_DEFAULT || had.tag)) return undefined
    if (known !== undefined) return known.name
    return this.#columns.size < SCHEMA_COLUMNS_MAX ? NEW : undefined
  }

  /** How many columns more it may have. */
  get room(): number {
    return SCHEMA_COLUMNS_MAX - this.#columns.size
  }

  #set(column: Column & { readonly where?: Rule['where'] }): void {
    this.#columns.set(column.name.toLowerCase(), column)
  }
}

const what = ({ kind, tag, unit }: Omit<Column, 'name'>) =>
  `${kind.startsWith('i') ? 'an' : 'a'} ${kind}${tag ? ' tag' : ''} ${unit ?? ''}`.trim()

/**
 * The streams of these maps that `isRegistered` does not know. `isBinding`: what columns have been they must be; it is asked where maps come
 * into force, and not again where they are followed.
 */
export function makeStreams(
  maps: readonly MapDefinition[],
  isRegistered: (stream: string) => boolean,
  learnt: LearntColumns,
  isBinding: boolean,
): ReadonlyMap<string, MadeStream> {
  const made = new Map<string, MadeStream>()
  for (const { ignoresAll, stream: name, tags, gatherMs, fields } of maps) {
    if (ignoresAll || isRegistered(name)) continue
    const stream = made.get(name) ?? new MadeStream(name, learnt.had(name))
    made.set(name, stream)
    if (gatherMs !== undefined) stream.gather()
    for (const rule of [...tags, ...fields]) {
      stream.declare(rule)
      if (isBinding) stream.requireSame(rule)
    }
  }
  for (const { ignoresAll, stream, all } of maps)
    if (!ignoresAll && all !== undefined) made.get(stream)?.remember(learnt.of(stream))
  return made
}
