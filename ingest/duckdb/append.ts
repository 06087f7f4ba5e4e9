/**
 * Owns bulk appending: rows go into data chunks a column at a time. Measured against the appender's row interface
 * (`appendValue`, `endRow`), which crosses into native code once a cell.
 */

import { type DuckDBAppender, DuckDBDataChunk, type DuckDBType, type DuckDBValue } from '@duckdb/node-api'
import { messageOf } from '../../platform/errors.ts'

/** DuckDB's vector size: the most rows a chunk holds. */
const CHUNK_ROWS_MAX = 2048

export interface AppendColumn<Row> {
  readonly type: DuckDBType
  value(row: Row, index: number): DuckDBValue
}

/** A value is not of its column's type, so the row can never be appended. */
export class UnfitValue extends Error {}

/** Appends the rows and flushes the appender, within the transaction of its connection. Throws an `UnfitValue`, or what DuckDB says. */
export function appendRows<Row>(
  appender: DuckDBAppender,
  rows: readonly Row[],
  columns: readonly AppendColumn<Row>[],
): void {
  const types = columns.map(({ type }) => type)
  for (let from = 0; from < rows.length; from += CHUNK_ROWS_MAX) {
    const count = Math.min(CHUNK_ROWS_MAX, rows.length - from)
    const chunk = DuckDBDataChunk.create(types, count)
    for (let at = 0; at < columns.length; at++) {
      const column = columns[at]
      if (column !== undefined) fill(chunk, at, column, rows, from, count)
    }
    appender.appendDataChunk(chunk)
  }
  appender.flushSync()
}

function fill<Row>(
  chunk: DuckDBDataChunk,
  at: number,
  column: AppendColumn<Row>,
  rows: readonly Row[],
  from: number,
  count: number,
): void {
  const vector = chunk.getColumnVector(at)
  try {
    for (let index = 0; index < count; index++) {
      const row = rows[from + index]
      if (row !== undefined) vector.setItem(index, column.value(row, from + index))
    }
    vector.flush()
  } catch (cause) {
    throw cause instanceof UnfitValue ? cause : new UnfitValue(messageOf(cause), { cause })
  }
}
