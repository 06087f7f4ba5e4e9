/** Owns a record as columns: where in it each column of its schema stands, in the schema's order. */

import type { Definition, Leaf } from '../../../schemas/definition.ts'
import { type Column, isList } from '../../../schemas/reading.ts'
import type { MeasuredRecord } from './wire-format.ts'

export interface RecordColumn {
  readonly column: Column
  readonly leaf: Leaf
  readonly path: readonly string[]
}

export const columnsOf = ({ places }: Pick<Definition, 'places'>): readonly RecordColumn[] => places

/** Undefined or null where the record has none. */
export function recordValue(record: MeasuredRecord, path: readonly string[]): unknown {
  let value: unknown = record
  for (let level = 0; level < path.length; level++) {
    if (value === null || value === undefined) return undefined
    value = (value as MeasuredRecord)[path[level] as string]
  }
  return value
}

/** Where the record has one already. */
export function replaceValue(record: MeasuredRecord, path: readonly string[], value: unknown): void {
  const holder = recordValue(record, path.slice(0, -1))
  const name = path.at(-1)
  if (holder === null || holder === undefined || name === undefined) return
  ;(holder as Record<string, unknown>)[name] = value
}

export const isListColumn = ({ column }: RecordColumn): boolean => isList(column.kind)
