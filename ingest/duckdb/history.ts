/**
 * Owns the reading of history from DuckDB: one query a stream, in the order of `HistoryOrder`, merged into a page. Device ids and
 * tags are bound; names are quoted; times are integers computed here.
 *
 * Bounds: of a page, `ROWS_PER_PIECE` rows of each stream are in memory as readings; the others wait in the `Question`. How many
 * questions there are at once is bounded by whoever asks.
 */

import assert from 'node:assert/strict'
import { type DuckDBInstance, DuckDBListValue, type DuckDBValue } from '@duckdb/node-api'
import { TelltaleError } from '../../platform/errors.ts'
import {
  type Aggregate,
  type History,
  type HistoryKey,
  type HistoryPage,
  type HistoryQuery,
  type LogStretch,
  type PlacedReading,
  type ReceivedPage,
  type ReceivedQuery,
  type Selection,
  turnOf,
} from '../../schemas/history.ts'
import type { Column, Reading, Stream, Value } from '../../schemas/reading.ts'
import { HistoryOrder, tagsOf, textIn, timesBehind } from '../history-order.ts'
import { aggregatedColumns, merged, type StreamSelection, selectStreams } from '../history-page.ts'
import { inOrder, isBefore, isBetween, ofPlace } from './place.ts'
import { Question } from './question.ts'
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

/** Rows that become readings at a time. */
const ROWS_PER_PIECE = 5_000

/** How a query names the time of its rows, microseconds. Neither a column nor a stream has a space in its name. */
const ROW_TIME = identifier('row time')
const LAST = 'last of page'

/** A query, and the values that it binds behind the device ids. */
interface StreamQuery {
  readonly text: string
  readonly columns: readonly Column[]
  readonly values?: readonly string[]
}

/** What one query answered: the rows of a table of its `question`. */
interface Answer {
  readonly stream: Stream
  readonly columns: readonly Column[]
  readonly table: string
  readonly rows: number
}

export class DuckdbHistory implements Omit<History, 'received'> {
  readonly #instance: DuckDBInstance
  #streams: readonly Stream[]
  readonly #closing = new AbortController()
  readonly #questions = new Set<Question>()

  constructor(instance: DuckDBInstance, streams: readonly Stream[]) {
    this.#instance = instance
    this.#streams = streams
  }

  useStreams(streams: readonly Stream[]): void {
    this.#streams = streams
  }

  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    const { upTo } = query
    const selections = selectStreams(query.selections, this.#streams)
    const order = new HistoryOrder(query, this.#streams)
    const { question, answers } = await this.#ask(
      signal,
      selections,
      (stream, where, bound) =>
        readingsQuery(stream, upTo === undefined ? where : also(where, isBefore(upTo.position)), bound, query),
      timesBehind(query),
    )
    // Each stream was asked for one more than the limit, so the sum tells whether there is more.
    const rows = answers.reduce((sum, answer) => sum + answer.rows, 0)
    const truncated = rows > query.limit
    return {
      truncated,
      ...(truncated && { next: await lastOf(question, answers, query, order) }),
      streams: answers.map(({ stream }) => stream.name),
      pieces: piecesOf(question, answers, query.limit, order),
    }
  }

  async latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]> {
    const selected = selectStreams(selections, this.#streams)
    const sql = (stream: Stream, where: string) => latestQuery(stream, where, limit)
    const { question, answers } = await this.#ask(this.#closing.signal, selected, sql)
    const readings: Reading[] = []
    try {
      for (const answer of answers) {
        for await (const piece of readingsOf(question, answer)) readings.push(...piece)
        if (readings.length >= limit) break
      }
    } finally {
      question.close()
    }
    if (readings.length > limit) readings.length = limit
    return readings
  }

  /** `lacking` is the page's. */
  async received(query: ReceivedQuery, lacking: readonly LogStretch[], signal: AbortSignal): Promise<ReceivedPage> {
    const { from, before, limit } = query
    const selected = selectStreams(query.selections, this.#streams)
    const sql = (stream: Stream, where: string) => receivedQuery(stream, also(where, isBetween(from, before)), query)
    const { question, answers } = await this.#ask(signal, selected, sql)
    const readings: PlacedReading[] = []
    try {
      for (const answer of answers) {
        for (const row of await question.read(answer.table, 0, answer.rows)) readings.push(placedReadingOf(answer, row))
      }
    } catch (cause) {
      throw unavailable(cause)
    } finally {
      question.close()
    }
    const turn = ({ shard }: PlacedReading) => turnOf(from, shard)
    readings.sort((a, b) => turn(a) - turn(b) || a.offset - b.offset || a.index - b.index)
    return { readings: readings.slice(0, limit), truncated: readings.length > limit, lacking }
  }

  /** Ends the questions under way and refuses more; then the database may be closed. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#questions].map((question) => question.closed))
  }

  async #ask(
    signal: AbortSignal,
    selections: readonly StreamSelection[],
    sql: (stream: Stream, where: string, bound: number) => StreamQuery,
    range?: { readonly from: number; readonly to: number },
  ): Promise<{ question: Question; answers: readonly Answer[] }> {
    const answers: Answer[] = []
    try {
      const question = await Question.begin(this.#instance, AbortSignal.any([signal, this.#closing.signal]))
      this.#questions.add(question)
      void question.closed.then(() => this.#questions.delete(question))
      for (const [index, { stream, devices }] of selections.entries()) {
        const bound = devices ?? []
        const { text, columns, values = [] } = sql(stream, conditionsOf(devices, range), bound.length)
        const table = `answer ${index}`
        const rows = await question.keep(table, text, [...bound, ...values])
        if (rows > 0) answers.push({ stream, columns, table, rows })
      }
      return { question, answers }
    } catch (cause) {
      throw unavailable(cause)
    }
  }
}

const unavailable = (cause: unknown) =>
  new TelltaleError('store-unavailable', 'the embedded store could not answer a history query', { cause })

function conditionsOf(
  devices: readonly string[] | undefined,
  range: { readonly from: number; readonly to: number } | undefined,
): string {
  const conditions: string[] = []
  if (range !== undefined) {
    conditions.push(`time >= make_timestamp(${micros(range.from)})`, `time < make_timestamp(${micros(range.to)})`)
  }
  if (devices !== undefined) conditions.push(`device IN (${devices.map((_, index) => `$${index + 1}`).join(', ')})`)
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
}

const also = (where: string, condition: string): string => `${where === '' ? 'WHERE' : `${where} AND`} ${condition}`

/** The place of the last reading of a page that is cut, before the page is made: an answer's rows are numbered in their order. */
async function lastOf(
  question: Question,
  answers: readonly Answer[],
  query: HistoryQuery,
  order: HistoryOrder,
): Promise<HistoryKey> {
  const direction = query.order === 'newest' ? 'DESC' : 'ASC'
  const byName = [...answers].sort((a, b) => (a.stream.name < b.stream.name ? -1 : 1))
  const places = byName.map(({ table }, index) => {
    return `SELECT ${ROW_TIME}, device, ${index} AS stream, rowid AS number FROM ${identifier(table)}`
  })
  const sorted = [ROW_TIME, 'device', 'stream'].map((key) => `${key} ${direction}`)
  const last = `SELECT stream, number FROM (${places.join(' UNION ALL ')}) ORDER BY ${sorted.join(', ')}, number LIMIT 1 OFFSET ${query.limit - 1}`
  try {
    await question.keep(LAST, last, [])
    const [place] = await question.read(LAST, 0, 1)
    const [index, number] = (place ?? []).map(Number)
    const answer = byName[index ?? 0]
    assert(answer !== undefined && number !== undefined)
    const [row] = await question.read(answer.table, number, 1)
    assert(row !== undefined)
    return order.keyOf(readingOf(answer.stream, answer.columns, row))
  } catch (cause) {
    question.close()
    throw unavailable(cause)
  }
}

async function* piecesOf(question: Question, answers: readonly Answer[], limit: number, order: HistoryOrder) {
  const sources = answers.map((answer) => readingsOf(question, answer))
  try {
    yield* merged(sources, limit, order)
  } catch (cause) {
    throw unavailable(cause)
  } finally {
    question.close()
  }
}

async function* readingsOf(question: Question, { stream, columns, table, rows }: Answer) {
  for (let at = 0; at < rows; at += ROWS_PER_PIECE) {
    const piece = await question.read(table, at, ROWS_PER_PIECE)
    yield piece.map((row) => readingOf(stream, columns, row))
  }
}

/** `bound`: how many values the condition `where` binds. */
function readingsQuery(stream: Stream, where: string, bound: number, query: HistoryQuery): StreamQuery {
  const { window, limit } = query
  const time = window === undefined ? 'epoch_us(time)' : startOf(window)
  const behind = behindCondition(stream, time, bound, query)
  const from = `FROM ${identifier(stream.name)} ${where}${behind.text}`
  const place = [window === undefined ? 'time' : ROW_TIME, 'device', ...tagsOf(stream).map(tagText)]
  const sorted = place.map((key) => `${key} ${query.order === 'newest' ? 'DESC' : 'ASC'}`)
  const end = `ORDER BY ${sorted.join(', ')} LIMIT ${limit + 1}`
  if (window === undefined) {
    const names = stream.columns.map(({ name }) => identifier(name))
    const selected = [`${time} AS ${ROW_TIME}`, 'device', ...names, 'epoch_ms(_received)']
    const text = `SELECT ${selected.join(', ')} ${from} ${end}`
    return { text, columns: stream.columns, values: behind.values }
  }
  const { aggregate } = window
  const aggregated = aggregatedColumns(stream, aggregate)
  const columns = stream.columns.filter((column) => column.tag || aggregated.includes(column))
  const selected = columns.map(({ name, tag }) => (tag ? identifier(name) : CALLS[aggregate](identifier(name))))
  const groups = ['1', 'device', ...tagsOf(stream).map(identifier)].join(', ')
  // A window without any value of these columns says nothing.
  const present = aggregated.map(({ name }) => `count(${identifier(name)}) > 0`)
  const having = `HAVING ${present.length === 0 ? 'false' : present.join(' OR ')}`
  const text = `SELECT ${[`${time} AS ${ROW_TIME}`, 'device', ...selected].join(', ')} ${from} GROUP BY ${groups} ${having} ${end}`
  return { text, columns, values: behind.values }
}

/** The start of a row's window, microseconds. */
const startOf = ({ everyMs }: { readonly everyMs: number }) => `epoch_us(time) - epoch_us(time) % ${micros(everyMs)}`

/** An absent tag and an empty one are the same. */
const tagText = (name: string) => `coalesce(${identifier(name)}, '')`

/** For rows, or those of windows, to stand behind the query's `after`; `time` is what they are ordered by first. */
function behindCondition(stream: Stream, time: string, bound: number, { after, order }: HistoryQuery) {
  if (after === undefined) return { text: '', values: [] }
  const isOfStream = stream.name === after.stream
  const tags = isOfStream ? tagsOf(stream) : []
  const keys = ['device', ...tags.map(tagText)]
  // Of what has the same time and device, another stream's is behind or before as a whole.
  let text = String(!isOfStream && stream.name > after.stream === (order !== 'newest'))
  const beyond = order === 'newest' ? '<' : '>'
  for (let at = keys.length - 1; at >= 0; at--) {
    const value = `$${bound + at + 1}`
    text = `(${keys[at]} ${beyond} ${value} OR (${keys[at]} = ${value} AND ${text}))`
  }
  text = ` AND (${time} ${beyond} ${micros(after.ts)} OR (${time} = ${micros(after.ts)} AND ${text}))`
  return { text, values: [after.device, ...tags.map((name) => textIn(after.tags, name))] }
}

/** A series has one row a time, so its newest time names one row. */
function latestQuery(stream: Stream, where: string, limit: number): StreamQuery {
  const table = identifier(stream.name)
  const keys = ['device', ...stream.columns.filter(({ tag }) => tag).map(({ name }) => identifier(name))]
  const same = keys.map((key) => `t.${key} IS NOT DISTINCT FROM newest.${key}`).join(' AND ')
  const names = stream.columns.map(({ name }) => `t.${identifier(name)}`)
  const text =
    `SELECT epoch_us(t.time), t.device, ${names.join(', ')}, epoch_ms(t._received) FROM ${table} t JOIN ` +
    `(SELECT ${keys.join(', ')}, max(time) AS at FROM ${table} ${where} GROUP BY ${keys.join(', ')}) newest ` +
    `ON t.time = newest.at AND ${same} ORDER BY t.device LIMIT ${limit}`
  return { text, columns: stream.columns }
}

function receivedQuery(stream: Stream, where: string, { from: place, limit }: ReceivedQuery) {
  const names = stream.columns.map(({ name }) => identifier(name))
  const selected = ['epoch_us(time)', 'device', ...names, 'epoch_ms(_received)', '_place', '_index']
  const from = `FROM ${identifier(stream.name)} ${where}`
  return {
    text: `SELECT ${selected.join(', ')} ${from} ORDER BY ${inOrder(place)} LIMIT ${limit + 1}`,
    columns: stream.columns,
  }
}

function placedReadingOf({ stream, columns }: Answer, row: readonly DuckDBValue[]): PlacedReading {
  const [place, index] = row.slice(-2)
  return { reading: readingOf(stream, columns, row), ...ofPlace(place as bigint), index: Number(index) }
}

/** The row's values in the order of the stream's columns: time, device, then `columns`; then its receipt, if that was asked for. */
export function readingOf(stream: Stream, columns: readonly Column[], row: readonly DuckDBValue[]): Reading {
  const values: Record<string, Value> = {}
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]
    const value = row[index + 2]
    if (column === undefined || value === null || value === undefined) continue
    if (typeof value === 'bigint') values[column.name] = Number(value)
    else if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean')
      values[column.name] = value
    else if (value instanceof DuckDBListValue) values[column.name] = value.items.map(Number)
  }
  const received = row[columns.length + 2]
  return {
    device: String(row[1]),
    stream: stream.name,
    ts: Number(row[0]) / 1000,
    ...(typeof received === 'bigint' && { received: Number(received) }),
    values,
  }
}

const micros = (ms: number): number => Math.round(ms * 1000)
