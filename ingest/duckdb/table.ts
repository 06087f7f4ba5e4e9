/**
 * Owns the table of one stream: its columns, and the rows appended to it.
 *
 * Always true: a series (device and tags) has at most one row a time, the newest written. That is kept while writing,
 * not while reading, for a history that had to remove duplicates took seven times as long (2 million rows, one
 * thread: 1.5 s against 0.2 s for one-minute means). It is cheap because almost every row is later than all of its
 * series: the writer remembers each series' newest time, and only a row that is not later has its older copy deleted
 * first (5 to 20 ms for 5,000 such rows among 2 million). So a replay of the log changes nothing, and needs no trust
 * in a checkpoint that could disagree with the log (a restored backup of either).
 * Of each row is known when the platform received its message, where that stood in the log (`place.ts`), and which of its
 * readings the row is. A row that was written before the table had these columns has nulls there.
 *
 * Bound: `DUCKDB_SERIES_MAX` series remembered; one more and the longest known is forgotten, which costs its next row a
 * look into the table.
 */

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBListValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampValue,
  type DuckDBType,
  type DuckDBValue,
  LIST,
  TIMESTAMP,
  TIMESTAMP_MS,
  USMALLINT,
  VARCHAR,
} from '@duckdb/node-api'
import { READINGS_PER_MESSAGE_MAX } from '../../platform/limits.ts'
import { seriesKey } from '../../schemas/point.ts'
import {
  type Column,
  type ColumnKind,
  isOfKind,
  notOfKind,
  type Reading,
  type Stream,
  type Value,
  valueIn,
} from '../../schemas/reading.ts'
import { type StoreEntry, StoreError, type Superseded } from '../store.ts'
import { type AppendColumn, appendRows, UnfitValue } from './append.ts'
import { readingOf } from './history.ts'
import { placeOf } from './place.ts'
import { identifier } from './sql.ts'

/** Series whose newest time the writer remembers; one more, and it forgets the oldest known, whose next row costs a look. */
const DUCKDB_SERIES_MAX = 200_000

const TYPES = {
  integer: BIGINT,
  float: DOUBLE,
  boolean: BOOLEAN,
  string: VARCHAR,
  'integer[]': LIST(BIGINT),
  'float[]': LIST(DOUBLE),
} as const satisfies Record<ColumnKind, DuckDBType>
/**
 * Beside the time and the device. No schema's column is named so: theirs begin with a letter. Of 1 million rows of five values they
 * take 1.9 bytes a row on disk (8.1 without them), and to write 0.7 us of CPU (4.2 without them).
 */
const RECEIPT = { _received: TIMESTAMP_MS, _place: BIGINT, _index: USMALLINT } as const

assert(READINGS_PER_MESSAGE_MAX <= 2 ** 16, 'a USMALLINT numbers the readings of a message')

/** A reading, and what names its row. */
interface Known {
  readonly reading: Reading
  readonly series: string
  readonly micros: number
}

/** A reading on its way into the table. */
interface Row extends Known {
  readonly received: DuckDBTimestampMillisecondsValue
  /** Null if nobody knows it. */
  readonly place: bigint | null
  readonly index: number
}

export class StreamTable {
  readonly stream: Stream
  readonly #connection: DuckDBConnection
  readonly #table: string
  readonly #staging: string
  readonly #tags: readonly string[]
  /** In the table's order, which is not the schema's once either has grown. */
  #columns: readonly AppendColumn<Row>[] = []
  /** The newest time of each series in the table, microseconds; at least that of every row of it later than a row to be written. */
  readonly #newest = new Map<string, number>()
  #appender: DuckDBAppender | undefined

  constructor(stream: Stream, connection: DuckDBConnection) {
    this.stream = stream
    this.#connection = connection
    this.#table = identifier(stream.name)
    this.#staging = identifier(`staging ${stream.name}`)
    this.#tags = stream.columns.filter(({ tag }) => tag).map(({ name }) => name)
  }

  /** Makes the table, or brings it to the stream's newest columns; columns of old versions stay. */
  async prepare(): Promise<void> {
    const { stream } = this
    const names = new Set<string>()
    for (const { name } of stream.columns) {
      if (names.has(name.toLowerCase())) {
        throw failed(`stream ${stream.name} has two columns that differ from "${name}" in upper and lower case only`)
      }
      names.add(name.toLowerCase())
    }
    await this.#connection.run(
      `CREATE TABLE IF NOT EXISTS ${this.#table} (time TIMESTAMP NOT NULL, device VARCHAR NOT NULL)`,
    )
    const existing = await this.#describe()
    for (const [name, type] of Object.entries(RECEIPT)) {
      if (!existing.has(name)) await this.#connection.run(`ALTER TABLE ${this.#table} ADD COLUMN ${name} ${type}`)
    }
    for (const { name, kind } of stream.columns) {
      const wanted = String(TYPES[kind])
      const found = existing.get(name.toLowerCase())
      if (found === wanted) continue
      if (found === undefined)
        await this.#connection.run(`ALTER TABLE ${this.#table} ADD COLUMN ${identifier(name)} ${wanted}`)
      else if (found === 'BIGINT' && wanted === 'DOUBLE') {
        await this.#connection.run(`ALTER TABLE ${this.#table} ALTER COLUMN ${identifier(name)} TYPE DOUBLE`)
      } else {
        throw failed(
          `column ${name} of stream ${stream.name} is ${found} in the store, and the schema makes it ${wanted}: name the new column differently`,
        )
      }
    }
    const columns = new Map(stream.columns.map((column) => [column.name.toLowerCase(), column]))
    this.#columns = [...(await this.#describe())].map(([name, type]) => {
      if (name === 'time') return TIME
      if (name === 'device') return DEVICE
      if (name === '_received') return RECEIVED
      if (name === '_place') return PLACE
      if (name === '_index') return INDEX
      const column = columns.get(name)
      return column === undefined ? absentColumn(type) : appendColumn(column)
    })
    const keys = ['device', ...this.#tags].map((name) => `${identifier(name)} VARCHAR`)
    await this.#connection.run(
      `CREATE OR REPLACE TEMP TABLE ${this.#staging} (row BIGINT, time TIMESTAMP, ${keys.join(', ')})`,
    )
  }

  /** Lower-case column name to DuckDB's type, in the table's order. */
  async #describe(): Promise<Map<string, string>> {
    const described = await this.#connection.runAndReadAll(`DESCRIBE ${this.#table}`)
    return new Map(described.getRows().map(([name, type]) => [String(name).toLowerCase(), String(type)]))
  }

  /**
   * Nobody knows any more where in the log the rows stood; when they were received they still say. Within the transaction that is
   * open on the connection. Of 3 million rows a column that goes and comes again takes 10 ms, one that is set to null 90 ms.
   */
  async forgetPlaces(): Promise<void> {
    await this.#connection.run(`ALTER TABLE ${this.#table} DROP COLUMN _place`)
    await this.prepare()
  }

  /**
   * Writes the readings of entries of one shard of the log, in its order, within the transaction that is open on the connection,
   * and adds to `superseded`. What replaces a row of the table is not counted if it `isRepeat`: the row may be of the very same
   * messages.
   */
  async write(
    entries: readonly StoreEntry[],
    shard: number | undefined,
    superseded: Superseded,
    isRepeat: boolean,
  ): Promise<void> {
    const rows: Row[] = []
    const unknown = new Map<string, Row>()
    let earliest = Number.POSITIVE_INFINITY
    for (const { readings, receivedAt, offset } of entries) {
      const received = new DuckDBTimestampMillisecondsValue(BigInt(Math.round(receivedAt)))
      const place = shard === undefined ? null : placeOf(shard, offset)
      let index = 0
      for (const reading of readings) {
        const series = seriesKey(reading, this.stream)
        const row: Row = { reading, series, micros: Math.round(reading.ts * 1000), received, place, index }
        index++
        if (row.micros < earliest) earliest = row.micros
        if (!this.#newest.has(row.series)) unknown.set(row.series, row)
        rows.push(row)
      }
    }
    if (unknown.size > 0) await this.#learn([...unknown.values()], earliest)
    const suspects: Row[] = []
    for (const row of rows) {
      const newest = this.#newest.get(row.series)
      if (newest === undefined || row.micros > newest) this.#newest.set(row.series, row.micros)
      else suspects.push(row)
    }
    if (suspects.length > 0) {
      const removed = await this.#remove(suspects)
      await this.#append(lastOfEach(rows, isRepeat ? [] : removed, this.stream, superseded))
    } else await this.#append(rows)
    this.#forget()
  }

  /** After a failure: the appender holds rows of a transaction that is gone. */
  discard(): void {
    const appender = this.#appender
    this.#appender = undefined
    if (appender === undefined) return
    try {
      appender.clear()
      appender.closeSync()
    } catch {
      // Closing flushes, which fails once more for the reason the write failed.
    }
  }

  /** Fetches the newest time of each series, as far as rows at or after `earliest` matter. */
  async #learn(rows: readonly Row[], earliest: number): Promise<void> {
    await this.#stage(rows)
    const found = await this.#connection.runAndReadAll(
      `SELECT s.row, epoch_us(max(t.time)) FROM ${this.#table} t JOIN ${this.#staging} s ON ${this.#sameSeries()} ` +
        `WHERE t.time >= make_timestamp(${earliest}) GROUP BY s.row`,
    )
    for (const row of rows) this.#newest.set(row.series, earliest - 1)
    for (const [index, micros] of found.getRows()) {
      const row = rows[Number(index)]
      if (row !== undefined) this.#newest.set(row.series, Number(micros))
    }
  }

  /** Deletes what the table holds at the series and times of `rows`, and gives it. */
  async #remove(rows: readonly Row[]): Promise<Known[]> {
    await this.#stage(rows)
    let from = Number.POSITIVE_INFINITY
    let to = 0
    for (const { micros } of rows) {
      if (micros < from) from = micros
      if (micros > to) to = micros
    }
    // The range lets DuckDB pass over the row groups it cannot be in.
    const columns = this.stream.columns.map(({ name }) => identifier(name))
    const removed = await this.#connection.runAndReadAll(
      `DELETE FROM ${this.#table} t USING ${this.#staging} s WHERE ${this.#sameSeries()} AND t.time = s.time ` +
        `AND t.time BETWEEN make_timestamp(${from}) AND make_timestamp(${to}) ` +
        `RETURNING ${['epoch_us(time)', 'device', ...columns].join(', ')}`,
    )
    return removed.getRows().map((row) => {
      const reading = readingOf(this.stream, this.stream.columns, row)
      return { reading, series: seriesKey(reading, this.stream), micros: Math.round(reading.ts * 1000) }
    })
  }

  async #stage(rows: readonly Row[]): Promise<void> {
    await this.#connection.run(`DELETE FROM ${this.#staging}`)
    const appender = await this.#connection.createAppender(`staging ${this.stream.name}`, 'main', 'temp')
    const tags = this.stream.columns.filter(({ tag }) => tag).map(appendColumn)
    appendRows(appender, rows, [{ type: BIGINT, value: (_row, index) => BigInt(index) }, TIME, DEVICE, ...tags])
    appender.closeSync()
  }

  #sameSeries(): string {
    const tags = this.#tags.map(identifier).map((name) => ` AND t.${name} IS NOT DISTINCT FROM s.${name}`)
    return `t.device = s.device${tags.join('')}`
  }

  async #append(rows: readonly Row[]): Promise<void> {
    this.#appender ??= await this.#connection.createAppender(this.stream.name)
    appendRows(this.#appender, rows, this.#columns)
  }

  #forget(): void {
    for (const series of this.#newest.keys()) {
      if (this.#newest.size <= DUCKDB_SERIES_MAX) return
      this.#newest.delete(series)
    }
  }
}

const TIME: AppendColumn<Row> = {
  type: TIMESTAMP,
  value: ({ micros }) => new DuckDBTimestampValue(BigInt(micros)),
}
const DEVICE: AppendColumn<Row> = { type: VARCHAR, value: ({ reading }) => reading.device }
const RECEIVED: AppendColumn<Row> = { type: RECEIPT._received, value: ({ received }) => received }
const PLACE: AppendColumn<Row> = { type: RECEIPT._place, value: ({ place }) => place }
const INDEX: AppendColumn<Row> = { type: RECEIPT._index, value: ({ index }) => index }

function appendColumn({ name, kind, tag }: Column): AppendColumn<Row> {
  return { type: TYPES[kind], value: ({ reading }) => cell(valueIn(reading.values, name), name, kind, tag) }
}

/** A column that the newest version of the schema no longer has. */
function absentColumn(type: string): AppendColumn<Row> {
  const known = Object.values(TYPES).find((candidate) => String(candidate) === type)
  return { type: known ?? VARCHAR, value: () => null }
}

function cell(value: Value | undefined, name: string, kind: ColumnKind, tag: boolean): DuckDBValue {
  if (value === undefined) return null
  // DuckDB's own types are made of whatever can be: `OFF` would be true.
  if (!isOfKind(value, kind)) throw new UnfitValue(notOfKind(name, kind, value))
  // An absent tag and an empty one are the same series.
  if (tag && value === '') return null
  if (typeof value === 'object') return new DuckDBListValue(kind === 'integer[]' ? value.map(BigInt) : value)
  return kind === 'integer' ? BigInt(value) : value
}

/** Of rows with the same series and time the last; each other that it, or a row between them, differs from is superseded. */
function lastOfEach(rows: readonly Row[], removed: readonly Known[], stream: Stream, superseded: Superseded): Row[] {
  const before = new Map<string, Known>()
  for (const row of removed) before.set(`${row.micros} ${row.series}`, row)
  const last = new Map<string, Row>()
  for (const row of rows) {
    const key = `${row.micros} ${row.series}`
    const earlier = last.get(key) ?? before.get(key)
    if (earlier !== undefined && !isSame(earlier.reading, row.reading, stream)) superseded.add(row.reading)
    last.set(key, row)
  }
  return [...last.values()]
}

function isSame(one: Reading, other: Reading, { columns }: Stream): boolean {
  return columns.every(({ name, tag }) => {
    const [before, after] = [valueIn(one.values, name), valueIn(other.values, name)]
    return tag || before === after || (typeof before === 'object' && isDeepStrictEqual(before, after))
  })
}

function failed(message: string): StoreError {
  return new StoreError('store-failed', message, { retry: 'slowly' })
}
