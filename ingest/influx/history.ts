/**
 * Owns the reading of history back from InfluxDB. One request a question, with a statement for each stream; the answer
 * is bounded by `INFLUX_ANSWER_BYTES_MAX`. It comes in chunks, each a JSON of its own, `partial` where another of the same
 * statement follows. An answer that lacks something is an error, never a shorter history.
 *
 * A server that takes InfluxDB's writes but does not answer InfluxQL (VictoriaMetrics answers every statement with the one
 * series `databases`, and even names an InfluxDB version in its headers) is found by that: `history-unsupported`.
 */

import assert from 'node:assert/strict'
import { z } from 'zod'
import { TelltaleError } from '../../platform/errors.ts'
import type { History, HistoryPage, HistoryQuery, Selection } from '../../schemas/history.ts'
import { isList, type Reading, type Stream, type Value } from '../../schemas/reading.ts'
import { type AsksByTime, pageByTime, pageOfWindows } from '../history-by-time.ts'
import { HistoryOrder } from '../history-order.ts'
import { selectStreams } from '../history-page.ts'
import { StoreError } from '../store.ts'
import { AnswerTooLarge } from './answers.ts'
import type { InfluxConnection } from './connection.ts'
import { latestStatement, readingsStatement, windowsStatement } from './influxql.ts'

const cell = z.union([z.string(), z.number(), z.boolean(), z.null()])
const answerShape = z.object({
  error: z.string().optional(),
  results: z
    .array(
      z.object({
        statement_id: z.number().optional(),
        error: z.string().optional(),
        partial: z.boolean().optional(),
        series: z
          .array(
            z.object({
              name: z.string(),
              tags: z.record(z.string(), z.string()).optional(),
              columns: z.array(z.string()),
              values: z.array(z.unknown()),
              partial: z.boolean().optional(),
            }),
          )
          .optional(),
      }),
    )
    .optional(),
})

type Cell = z.infer<typeof cell>
type Result = NonNullable<z.infer<typeof answerShape>['results']>[number]
type Series = NonNullable<Result['series']>[number]

export class InfluxHistory implements History {
  readonly #connection: InfluxConnection
  #streams: readonly Stream[]

  constructor(connection: InfluxConnection, streams: readonly Stream[]) {
    this.#connection = connection
    this.#streams = streams
  }

  useStreams(streams: readonly Stream[]): void {
    this.#streams = streams
  }

  async readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage> {
    assert(query.upTo === undefined, 'InfluxDB keeps no places of the log')
    const selections = selectStreams(query.selections, this.#streams)
    const order = new HistoryOrder(query, this.#streams)
    const store: AsksByTime = {
      stretches: (stretches) => {
        const asked = stretches.map((stretch) => ({ ...stretch, statement: readingsStatement(stretch, query.order) }))
        return this.#ask(asked, false, signal)
      },
      windows: async (times) => {
        const asked = selections.flatMap(({ stream, devices }) => {
          const statement = windowsStatement({ stream, devices }, times, query)
          return statement === undefined ? [] : [{ stream, statement }]
        })
        const answers = await this.#ask(asked, query.window?.aggregate === 'count', signal)
        return answers.flatMap(({ readings }) => readings)
      },
      isTooLarge: (error) => error instanceof StoreError && error.cause instanceof AnswerTooLarge,
    }
    return query.window === undefined
      ? pageByTime(query, selections, order, store)
      : pageOfWindows(query, query.window.everyMs, order, store)
  }

  async latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]> {
    const asked = selectStreams(selections, this.#streams).map((selection) => ({
      stream: selection.stream,
      statement: latestStatement(selection, limit),
    }))
    const answers = await this.#ask(asked, false, new AbortController().signal)
    const readings = answers.flatMap((answer) => answer.readings)
    if (readings.length > limit) readings.length = limit
    return readings
  }

  /** The answers to the statements, in their order. */
  async #ask(asked: readonly Asked[], counts: boolean, signal: AbortSignal): Promise<readonly Answer[]> {
    if (asked.length === 0) return []
    const statements = asked.map(({ statement }) => statement).join(';')
    const results = parse(await this.#connection.query(statements, signal))
    const answers = asked.map((): Answer => ({ readings: [], rows: 0, lastTs: undefined }))
    const answered = new Set<number>()
    for (let index = 0; index < results.length; index++) {
      const result = results[index]
      const statement = result?.statement_id ?? index
      const stream = asked[statement]?.stream
      const answer = answers[statement]
      if (result?.error !== undefined) throw unavailable(result.error)
      let isPartial = result?.partial === true
      for (const series of result?.series ?? []) {
        if (stream === undefined || answer === undefined || series.name !== stream.name) throw unsupported()
        collect(series, stream, counts, answer)
        if (series.partial) isPartial = true
      }
      if (isPartial) answered.delete(statement)
      else answered.add(statement)
    }
    if (answered.size < asked.length) {
      throw unavailable('it left out a part of the answer (a max-row-limit?): ask for a shorter time or fewer devices')
    }
    return answers
  }
}

interface Asked {
  readonly stream: Stream
  readonly statement: string
}

/** As `StretchAnswer`, being made. */
interface Answer {
  readonly readings: Reading[]
  rows: number
  lastTs: number | undefined
}

/** The results of all chunks; a line each, and no line feed stands within JSON as InfluxDB writes it. */
function parse(text: string): readonly Result[] {
  return text
    .split('\n')
    .filter((chunk) => chunk !== '')
    .flatMap(parseChunk)
}

function parseChunk(text: string): readonly Result[] {
  let answer: z.infer<typeof answerShape>
  try {
    answer = answerShape.parse(JSON.parse(text))
  } catch (cause) {
    throw new TelltaleError('history-unsupported', 'the server does not answer InfluxQL as InfluxDB does', { cause })
  }
  if (answer.error !== undefined) throw unavailable(answer.error)
  return answer.results ?? []
}

/** Adds the rows of one series of an answer, with the values in the order of the stream's columns. */
function collect(series: Series, stream: Stream, counts: boolean, into: Answer): void {
  const timeAt = series.columns.indexOf('time')
  const deviceAt = series.columns.indexOf('device')
  const sources = stream.columns.map((column) => ({ column, at: series.columns.indexOf(column.name) }))
  for (const row of series.values as readonly (readonly Cell[])[]) {
    const device = series.tags?.device ?? row[deviceAt]
    const micros = row[timeAt]
    if (typeof micros !== 'number') continue
    const ts = micros / 1000
    into.rows++
    into.lastTs = ts
    if (typeof device !== 'string') continue
    const values: Record<string, Value> = {}
    let fields = 0
    for (const { column, at } of sources) {
      const value = at === -1 ? series.tags?.[column.name] : row[at]
      // An absent tag comes back as an empty one; a window that counts nothing of a column as 0.
      if (value === undefined || value === null) continue
      if ((column.tag && value === '') || (counts && value === 0)) continue
      values[column.name] = isList(column.kind) ? listIn(value) : value
      if (!column.tag) fields++
    }
    if (fields > 0) into.readings.push({ device, stream: stream.name, ts, values })
  }
}

/** A list was written as JSON; a count of lists is a number. */
function listIn(cell: Exclude<Cell, null>): Value {
  if (typeof cell !== 'string' || !cell.startsWith('[')) return cell
  try {
    return JSON.parse(cell) as readonly number[]
  } catch {
    return cell // Not ours.
  }
}

function unavailable(reason: string): TelltaleError {
  return new TelltaleError('store-unavailable', `InfluxDB could not answer a history query: ${reason}`)
}

function unsupported(): TelltaleError {
  return new TelltaleError(
    'history-unsupported',
    'the server at INFLUX_URL takes writes but does not answer InfluxQL queries: history needs InfluxDB 1.x or 2.x, or the duckdb store',
  )
}
