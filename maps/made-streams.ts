/**
 * Owns the streams that maps make because `schemas/` has none of their name: their columns, as the maps say, and those that were
 * learnt from payloads where a map takes all numbers.
 *
 * Always true: a column keeps its kind while it is known; learnt columns are floats, so two processes that learn apart agree. What was
 * learnt is kept in a file a stream, so that history has it after a restart. Bound: `SCHEMA_COLUMNS_MAX` columns a stream; a payload with
 * one more is refused.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../platform/files.ts'
import { SCHEMA_COLUMNS_MAX } from '../schemas/definition.ts'
import type { Column, ColumnKind, Stream } from '../schemas/reading.ts'
import type { MapDefinition, Rule } from './definition.ts'

/** What has no type in its map. */
export const KIND_BY_DEFAULT: ColumnKind = 'float'

export class MadeStream {
  readonly name: string
  /** By name in lower case, for stores do not tell `Temp` from `temp`. */
  readonly #columns = new Map<string, Column & { readonly where?: Rule['where'] }>()
  readonly #file: string | undefined
  #stream: Stream | undefined

  constructor(name: string, directory: string | undefined) {
    this.name = name
    this.#file = directory && join(directory, `${name}.columns`)
  }

  /** As it is known now; another one once a column is learnt. */
  get stream(): Stream {
    const columns = () => [...this.#columns.values()].map(({ where: _where, ...column }) => column)
    this.#stream ??= { name: this.name, version: 0, timeField: 'time', precision: 'us', columns: columns() }
    return this.#stream
  }

  /** Throws a `ConfigError` where another map makes something else of the column. */
  declare({ column: name, kind = KIND_BY_DEFAULT, tag, unit, where }: Rule): void {
    const known = this.#columns.get(name.toLowerCase())
    const what = (column: Omit<Column, 'name'>) =>
      `a ${column.kind}${column.tag ? ' tag' : ''} ${column.unit ?? ''}`.trim()
    if (known === undefined) this.#set({ name, kind, tag, ...(unit !== undefined && { unit }), where })
    else if (known.name !== name || what(known) !== what({ kind, tag, ...(unit !== undefined && { unit }) })) {
      const other = `${known.name}, ${what(known)}, at ${known.where?.where ?? 'what was learnt'}`
      where.refuse(
        `${name}, ${what({ kind, tag, ...(unit !== undefined && { unit }) })}, is another column of ${this.name} than ${other}`,
      )
    }
  }

  /** Takes in what was learnt before. */
  remember(): void {
    if (this.#file === undefined || !existsSync(this.#file)) return
    for (const name of readFileSync(this.#file, 'utf8').split('\n'))
      if (/^[A-Za-z]\w*$/.test(name)) this.learn(name, false)
  }

  /** The name of the float column of this name, made if there is none; undefined if there cannot be one. */
  learn(name: string, isKept = true): string | undefined {
    const known = this.#columns.get(name.toLowerCase())
    if (known !== undefined) return known.kind === KIND_BY_DEFAULT ? known.name : undefined
    if (this.#columns.size >= SCHEMA_COLUMNS_MAX) return undefined
    this.#set({ name, kind: KIND_BY_DEFAULT, tag: false })
    if (isKept && this.#file !== undefined) {
      makeDirectory(join(this.#file, '..'))
      appendFileSync(this.#file, `${name}\n`)
    }
    return name
  }

  #set(column: Column & { readonly where?: Rule['where'] }): void {
    this.#columns.set(column.name.toLowerCase(), column)
    this.#stream = undefined
  }
}

/** The streams of these maps that `isRegistered` does not know. */
export function makeStreams(
  maps: readonly MapDefinition[],
  isRegistered: (stream: string) => boolean,
  directory: string | undefined,
): ReadonlyMap<string, MadeStream> {
  const made = new Map<string, MadeStream>()
  for (const { ignoresAll, stream: name, tags, fields = [] } of maps) {
    if (ignoresAll || isRegistered(name)) continue
    const stream = made.get(name) ?? new MadeStream(name, directory)
    made.set(name, stream)
    for (const rule of [...tags, ...fields]) stream.declare(rule)
  }
  for (const { ignoresAll, stream, fields } of maps)
    if (!ignoresAll && fields === undefined) made.get(stream)?.remember()
  return made
}
