/**
 * Owns the reading of history from DuckDB: one query a stream, merged into a page. Device ids are bound; names are quoted;
 * times are integers computed here.
 *
 * Bounds: of a page, `ROWS_PER_PIECE` rows of each stream are in memory as readings; the others wait in the `Question`. How many
 * questions there are at once is bounded by whoever asks.
 */

import type { DuckDBInstance, DuckDBValue } from '@duckdb/node-api'
import { TelltaleError } from '../../platform/errors.ts'
import type { Aggregate, History, HistoryPage, HistoryQuery, Selection } from '../../schemas/history.ts'
import type { Column, Reading, Stream, Value } from '../../schemas/reading.ts'
import { aggregatedColumns, merged, type StreamSelection, selectStreams } from '../history-page.ts'
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

/** What one query answered: the rows of a table of its `question`. */
interface Answer {
  readonly stream: Stream
  readonly columns: readonly Column[]
  readonly table: string
  readonly rows: number
}

export class DuckdbHistory implements History {
  readonly #instance: DuckDBInstance
  readonly #streams: readonly Stream[]
  readonly #closing = new AbortController()
  readonly #questions = new Set<Question>()

  constructor(instance: DuckDBInstance, streams: readonly Stream[]) {
    this.#instance = instance
    this.#streams = streams
  }

  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    const selections = selectStreams(query.selections, this.#streams)
    const { question, answers } = await this.#ask(
      signal,
      selections,
      (stream, where) => readingsQuery(stream, where, query),
      query,
    )
    // Each stream was asked for one more than the limit, so the sum tells whether there is more.
    const rows = answers.reduce((sum, answer) => sum + answer.rows, 0)
    return {
      truncated: rows > query.limit,
      streams: answers.map(({ stream }) => stream.name),
      pieces: piecesOf(question, answers, query.limit),
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

  /** Ends the questions under way and refuses more; then the database may be closed. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#questions].map((question) => question.closed))
  }

  async #ask(
    signal: AbortSignal,
    selections: readonly StreamSelection[],
    sql: (stream: Stream, where: string) => { text: string; columns: readonly Column[] },
    range?: { readonly from: number; readonly to: number },
  ): Promise<{ question: Question; answers: readonly Answer[] }> {
    const answers: Answer[] = []
    try {
      const question = await Question.begin(this.#instance, AbortSignal.any([signal, this.#closing.signal]))
      this.#questions.add(question)
      void question.closed.then(() => this.#questions.delete(question))
      for (const [index, { stream, devices }] of selections.entries()) {
        const { text, columns } = sql(stream, conditionsOf(devices, range))
        const table = `answer ${index}`
        const rows = await question.keep(table, text, devices ?? [])
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

async function* piecesOf(question: Question, answers: readonly Answer[], limit: number) {
  const sources = answers.map((answer) => readingsOf(question, answer))
  try {
    yield* merged(sources, limit)
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
export function readingOf(stream: Stream, columns: readonly Column[], row: readonly DuckDBValue[]): Reading {
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
