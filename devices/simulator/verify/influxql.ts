/**
 * Owns asking InfluxDB 1.x by InfluxQL (https://docs.influxdata.com/influxdb/v1/query_language/). Always true: names and times alone are in a statement.
 * Bound: `CHUNK_ROWS` rows are held.
 */

import { asApps, linesOf, storeAnswer } from './store-answer.ts'
import type { StoreRow } from './store-look.ts'
import type { RowsAsked, StoreQuery } from './store-query.ts'

const CHUNK_ROWS = 10_000

interface Answer {
  readonly results?: readonly {
    readonly error?: string
    readonly series?: readonly {
      readonly columns: readonly string[]
      readonly values: readonly (readonly unknown[])[]
    }[]
  }[]
}

/** `token`: '' where authentication is off. */
export function influxql(store: { readonly url: string; readonly token: string; readonly bucket: string }): StoreQuery {
  return { language: 'influxql', rows: (asked, signal) => rows(store, asked, signal) }
}

async function* rows(
  { url, token, bucket }: { readonly url: string; readonly token: string; readonly bucket: string },
  { stream, from, to }: RowsAsked,
  signal?: AbortSignal,
): AsyncGenerator<StoreRow> {
  const q = `SELECT * FROM "${stream.name}" WHERE time >= ${Math.round(from * 1000)}u AND time < ${Math.round(to * 1000)}u`
  const parameters = new URLSearchParams({ db: bucket, q, epoch: 'u', chunked: 'true', chunk_size: String(CHUNK_ROWS) })
  const headers = token === '' ? {} : { authorization: `Token ${token}` }
  const answer = storeAnswer(`${url}/query?${parameters}`, { headers, ...(signal && { signal }) })
  const columns = new Map(stream.columns.map((column) => [column.name, column]))
  for await (const line of linesOf(answer)) {
    for (const { series = [] } of (JSON.parse(line) as Answer).results ?? []) {
      for (const { columns: names, values } of series) {
        for (const row of values) yield rowOf(stream.name, names, row, columns)
      }
    }
  }
}

function rowOf(
  stream: string,
  names: readonly string[],
  row: readonly unknown[],
  columns: ReadonlyMap<string, Parameters<typeof asApps>[0]>,
): StoreRow {
  let [device, ts] = ['', 0]
  const values: Record<string, unknown> = {}
  for (const [index, name] of names.entries()) {
    const value = row[index]
    const column = columns.get(name)
    if (name === 'time') ts = Number(value) / 1000
    else if (name === 'device') device = String(value)
    else if (column !== undefined) values[name] = asApps(column, value)
  }
  return { device, stream, ts, values }
}
