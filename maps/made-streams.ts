/**
 * Owns the streams that maps make because `schemas/` has none of their name: their columns, as the maps say, and those that were
 * learnt from payloads where a map takes all numbers.
 *
 * Always true: a stream never changes once it is made; one with more columns takes its place. A column keeps its kind while it is known;
 * learnt columns are floats, so two threads that learn apart agree. What was learnt is kept in a file a stream, so that history has it
 * after a restart. Bound: `SCHEMA_COLUMNS_MAX` columns a stream; a payload with one more is refused.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDirectory } from '../platform/files.ts'
import { SCHEMA_COLUMNS_MAX } from '../schemas/definition.ts'
import type { Column, ColumnKind, Stream } from '../schemas/reading.ts'
import type { MapDefinition, Rule } from './definition.ts'

/** What has no type in its map. */
export const KIND_BY_DEFAULT: ColumnKind = 'float'
/** A column that there may be, and is not. */
export const NEW = Symbol('new')

const LEARNT_NAME = /^[A-Za-z]\w*$/

/** The names of columns that were learnt, by stream. */
export class LearntColumns {
  readonly #directory: string | undefined
  readonly #names = new Map<string, Set<string>>()

  /** They are not kept if there is no directory. */
  constructor(directory: string | undefined) {
    this.#directory = directory
  }

  /** In the order in which they came, also those that other threads have learnt. */
  of(stream: string): Iterable<string> {
    const names = this.#names.get(stream) ?? new Set()
    this.#names.set(stream, names)
    const file = this.#file(stream)
    if (file !== undefined && existsSync(file)) {
      for (const name of readFileSync(file, 'utf8').split('\n')) if (LEARNT_NAME.test(name)) names.add(name)
    }
    return names
  }

  add(stream: string, found: readonly string[]): void {
    const known = new Set(this.of(stream))
    const names = found.filter((name) => !known.has(name))
    for (const name of names) this.#names.get(stream)?.add(name)
    const file = this.#file(stream)
    if (file === undefined || names.length === 0) return
    try {
      makeDirectory(dirname(file))
      appendFileSync(file, names.map((name) => `${name}\n`).join(''))
    } catch {
      // The disk is full, say: after a restart the next message tells it again.
    }
  }

  #file(stream: string): string | undefined {
    return this.#directory && join(this.#directory, `${stream}.columns`)
  }
}

export class MadeStream {
  readonly name: string
  /** By name in lower case, for stores do not tell `Temp` from `temp`. */
  readonly #columns = new Map<string, Column & { readonly where?: Rule['where'] }>()

  #isGathered = false

  constructor(name: string) {
    this.name = name
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

  /** Throws a `ConfigError` where another map makes something else of the column. */
  declare({ column: name, kind = KIND_BY_DEFAULT, tag, unit, where }: Rule): void {
    const known = this.#columns.get(name.toLowerCase())
    const what = (column: Omit<Column, 'name'>) =>
      `a ${column.kind}${column.tag ? ' tag' : ''} ${column.unit ?? ''}`.trim()
    if (known === undefined) this.#set({ name, kind, tag, ...(unit !== undefined && { unit }), where })
    else if (known.name !== name || what(known) !== what({ kind, tag, ...(unit !== undefined && { unit }) })) {
      const other = `${known.name}, ${what(known)}, at ${known.where?.where}`
      where.refuse(
        `${name}, ${what({ kind, tag, ...(unit !== undefined && { unit }) })}, is another column of ${this.name} than ${other}`,
      )
    }
  }

  /** Takes in what was learnt, as far as nothing else is declared and there is room. */
  remember(names: Iterable<string>): void {
    for (const name of names) if (this.column(name) === NEW) this.#set({ name, kind: KIND_BY_DEFAULT, tag: false })
  }

  /** The name of the float column of this name; undefined if there cannot be one. */
  column(name: string): string | typeof NEW | undefined {
    const known = this.#columns.get(name.toLowerCase())
    if (known !== undefined) return known.kind === KIND_BY_DEFAULT && !known.tag ? known.name : undefined
    return this.#columns.size < SCHEMA_COLUMNS_MAX ? NEW : undefined
  }

  #set(column: Column & { readonly where?: Rule['where'] }): void {
    this.#columns.set(column.name.toLowerCase(), column)
  }
}

/** The streams of these maps that `isRegistered` does not know. */
export function makeStreams(
  maps: readonly MapDefinition[],
  isRegistered: (stream: string) => boolean,
  learnt: LearntColumns,
): ReadonlyMap<string, MadeStream> {
  const made = new Map<string, MadeStream>()
  for (const { ignoresAll, stream: name, tags, gatherMs, fields } of maps) {
    if (ignoresAll || isRegistered(name)) continue
    const stream = made.get(name) ?? new MadeStream(name)
    made.set(name, stream)
    if (gatherMs !== undefined) stream.gather()
    for (const rule of [...tags, ...fields]) stream.declare(rule)
  }
  for (const { ignoresAll, stream, all } of maps)
    if (!ignoresAll && all !== undefined) made.get(stream)?.remember(learnt.of(stream))
  return made
}
