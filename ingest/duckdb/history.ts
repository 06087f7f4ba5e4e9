/**
 * Owns the reading of history from DuckDB: one query a stream, merged into a page. Device ids are bound; names are quoted;
 * times are integers computed here. Queries run one after another on a connection of their own.
 */

import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { TelltaleError } from '../../platform/errors.ts'
import type { Aggregate, History, HistoryPage, HistoryQuery, Selection } from '../../schemas/history.ts'
import type { Column, Reading, Stream, Value } from '../../schemas/reading.ts'
import { aggregatedColumns, page, type StreamSelection, selectStreams } from '../history-page.ts'
import { identifier } from './sql.ts'

/** `first` and `last` are by time, of the rows that have a value, as InfluxDB's are. */
const CALLS = {
  mean: (column: string) => `avg(${column})`,
  min: (column: string) => `min(${column})`,
  max: (column: string) => `max(${column})`,
  first: (column: string) => `arg_min(${column}, time)`,
  last: (column: string) => `arg_max(${column}, time)`,
  // Of a column without any value in a window there is nothing to say, as for the other aggregates.
  count: (column: string) => `nullif(count(${column}), 0)`,
} as const satisfies Record<Aggregate, (column: string) => string>

export class DuckdbHistory implements History {
  readonly #connection: DuckDBConnection
  readonly #streams: readonly Stream[]
  /** The query before: the next one waits for it. */
  #previous: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(connection: DuckDBConnection, streams: readonly Stream[]) {
    this.#connection = connection
    this.#streams = streams
  }

  async readings(query: HistoryQuery): Promise<HistoryPage> {
    const readings: Reading[] = []
    for (const selection of selectStreams(query.selections, this.#streams)) {
      await this.#read(selection, readings, (where) => readingsQuery(selection.stream, where, query), query)
    }
    // Each stream was asked for one more than the limit, so the page's own cut tells whether there is more.
    return page(readings, query.limit, false)
  }

  async latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]> {
    const readings: Reading[] = []
    for (const selection of selectStreams(selections, this.#streams)) {
      await this.#read(selection, readings, (where) => latestQuery(selection.stream, where, limit))
      if (readings.length >= limit) break
    }
    if (readings.length > limit) readings.length = limit
    return readings
  }

  /** Ends the query under way and refuses those that wait; then the connection may be closed. */
  async close(): Promise<void> {
    this.#closed = true
    this.#connection.interrupt()
    await this.#previous
    this.#connection.closeSync()
  }

  async #read(
    { stream, devices }: StreamSelection,
    into: Reading[],
    sql: (where: string) => { text: string; columns: readonly Column[] },
    range?: { readonly from: number; readonly to: number },
  ): Promise<void> {
    const conditions: string[] = []
    if (range !== undefined) {
      conditions.push(`time >= make_timestamp(${micros(range.from)})`, `time < make_timestamp(${micros(range.to)})`)
    }
    if (devices !== undefined) conditions.push(`device IN (${devices.map((_, index) => `$${index + 1}`).join(', ')})`)
    const { text, columns } = sql(conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`)
    const rows = await this.#run(text, devices ?? [])
    for (const row of rows) into.push(reading(stream, columns, row))
  }

  async #run(sql: string, devices: readonly string[]): Promise<DuckDBValue[][]> {
    const run = this.#previous.then(async () => {
      if (this.#closed) throw new Error('it is being closed')
      return (await this.#connection.runAndReadAll(sql, [...devices])).getRows()
    })
    this.#previous = run.catch(() => undefined)
    try {
      return await run
    } catch (cause) {
      throw new TelltaleError('store-unavailable', 'the embedded store could not answer a history query', { cause })
    }
  }
}

function readingsQuery(stream: Stream, where: string, { window, limit }: HistoryQuery) {
  const from = `FROM ${identifier(stream.name)} ${where}`
  if (window === undefined) {
    const names = stream.columns.map(({ name }) => identifier(name))
    const text = `SELECT epoch_us(time), device, ${names.join(', ')} ${from} ORDER BY time, device LIMIT ${limit + 1}`
    return { text, columns: stream.columns }
  }
  const { aggregate, everyMs } = window
  const aggregated = aggregatedColumns(stream, aggregate)
  const columns = stream.columns.filter((column) => column.tag || aggregated.includes(column))
  const selected = columns.map(({ name, tag }) => (tag ? identifier(name) : CALLS[aggregate](identifier(name))))
  const start = `epoch_us(time) - epoch_us(time) % ${micros(everyMs)}`
  const groups = ['1', 'device', ...columns.filter(({ tag }) => tag).map(({ name }) => identifier(name))].join(', ')
  // A window without any value of these columns says nothing.
  const present = aggregated.map(({ name }) => `count(${identifier(name)}) > 0`)
  const having = `HAVING ${present.length === 0 ? 'false' : present.join(' OR ')}`
  const text = `SELECT ${[start, 'device', ...selected].join(', ')} ${from} GROUP BY ${groups} ${having} ORDER BY 1, device LIMIT ${limit + 1}`
  return { text, columns }
}

/** A series has one row a time, so its newest time names one row. */
function latestQuery(stream: Stream, where: string, limit: number) {
  const table = identifier(stream.name)
  const keys = ['device', ...stream.columns.filter(({ tag }) => tag).map(({ name }) => identifier(name))]
  const same = keys.map((key) => `t.${key} IS NOT DISTINCT FROM newest.${key}`).join(' AND ')
  const names = stream.columns.map(({ name }) => `t.${identifier(name)}`)
  const text =
    `SELECT epoch_us(t.time), t.device, ${names.join(', ')} FROM ${table} t JOIN ` +
    `(SELECT ${keys.join(', ')}, max(time) AS at FROM ${table} ${where} GROUP BY ${keys.join(', ')}) newest ` +
    `ON t.time = newest.at AND ${same} ORDER BY t.device LIMIT ${limit}`
  return { text, columns: stream.columns }
}

/** The row's values in the order of the stream's columns: time, device, then `columns`. */
function reading(stream: Stream, columns: readonly Column[], row: readonly DuckDBValue[]): Reading {
  const values: Record<string, Value> = {}
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]
    const value = row[index + 2]
    if (column === undefined || value === null || value === undefined) continue
    if (typeof value === 'bigint') values[column.name] = Number(value)
    else if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
      values[column.name] = value
  }
  return { device: String(row[1]), stream: stream.name, ts: Number(row[0]) / 1000, values }
}

const micros = (ms: number): number => Math.ceil(ms * 1000)
