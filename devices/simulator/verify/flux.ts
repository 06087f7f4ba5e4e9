/**
 * Owns asking InfluxDB 2.x by Flux (https://docs.influxdata.com/influxdb/v2/query-data/flux/). Always true: names and times alone are in a query.
 * Bound: a query is of `SLICE_MS`, for the server holds all of it while it makes rows of fields.
 */

import type { Column } from '../../../schemas/reading.ts'
import { csvRows } from './csv-rows.ts'
import { asApps, storeAnswer } from './store-answer.ts'
import type { StoreRow } from './store-look.ts'
import type { RowsAsked, StoreQuery } from './store-query.ts'

const SLICE_MS = 300_000
const DATATYPE = '#datatype'

export interface FluxStore {
  readonly url: string
  readonly token: string
  readonly org: string
  readonly bucket: string
}

export function flux(store: FluxStore): StoreQuery {
  return { language: 'flux', rows: (asked, signal) => rows(store, asked, signal) }
}

async function* rows(
  store: FluxStore,
  { stream, from, to }: RowsAsked,
  signal?: AbortSignal,
): AsyncGenerator<StoreRow> {
  const columns = new Map(stream.columns.map((column) => [column.name, column]))
  for (let start = from; start < to; start += SLICE_MS) {
    const query = queryOf(store.bucket, stream.name, start, Math.min(to, start + SLICE_MS))
    const url = `${store.url}/api/v2/query?${new URLSearchParams({ org: store.org })}`
    const dialect = { header: true, annotations: ['datatype'], delimiter: ',' }
    const headers = { authorization: `Token ${store.token}`, 'content-type': 'application/json', accept: 'text/csv' }
    const body = JSON.stringify({ query, dialect, type: 'flux' })
    const answer = storeAnswer(url, { method: 'POST', headers, body, ...(signal && { signal }) })
    yield* tablesOf(csvRows(answer), stream.name, columns)
  }
}

/** Numbers of nanoseconds, for a time in Flux has no fraction of a microsecond otherwise. */
function queryOf(bucket: string, stream: string, from: number, to: number): string {
  const time = (ms: number) => `time(v: ${Math.round(ms * 1000)}000)`
  return [
    `from(bucket: ${JSON.stringify(bucket)})`,
    `range(start: ${time(from)}, stop: ${time(to)})`,
    `filter(fn: (r) => r._measurement == ${JSON.stringify(stream)})`,
    'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
    'drop(columns: ["_start", "_stop", "_measurement"])',
  ].join(' |> ')
}

/** Each table begins with its annotation and its header, after an empty line. */
async function* tablesOf(
  csv: AsyncIterable<readonly string[]>,
  stream: string,
  columns: ReadonlyMap<string, Column>,
): AsyncGenerator<StoreRow> {
  let types: readonly string[] = []
  let names: readonly string[] | undefined
  for await (const fields of csv) {
    if (fields.length === 1) continue
    if (fields[0] === DATATYPE) {
      types = fields
      names = undefined
    } else if (names === undefined) names = fields
    else yield rowOf(stream, { types, names, fields }, columns)
  }
}

function rowOf(
  stream: string,
  {
    types,
    names,
    fields,
  }: { readonly types: readonly string[]; readonly names: readonly string[]; readonly fields: readonly string[] },
  columns: ReadonlyMap<string, Column>,
): StoreRow {
  let [device, ts] = ['', 0]
  const values: Record<string, unknown> = {}
  for (const [index, name] of names.entries()) {
    const text = fields[index] ?? ''
    const column = columns.get(name)
    if (name === '_time') ts = timeOf(text)
    else if (name === 'device') device = text
    // A text that is empty and one that is not there are one in CSV.
    else if (column !== undefined && text !== '') values[name] = asApps(column, parsed(types[index] ?? '', text))
  }
  return { device, stream, ts, values }
}

function parsed(type: string, text: string): unknown {
  if (type === 'boolean') return text === 'true'
  return type === 'string' ? text : Number(text)
}

const FRACTION = /\.(\d+)Z$/

/** RFC 3339 with up to nine decimals, in milliseconds to three. */
function timeOf(text: string): number {
  const fraction = (FRACTION.exec(text)?.[1] ?? '').padEnd(6, '0').slice(0, 6)
  return Date.parse(text.replace(FRACTION, 'Z')) + Number(fraction) / 1000
}
