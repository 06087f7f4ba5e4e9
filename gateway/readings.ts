/**
 * Owns `GET /v1/readings`: history, as JSON or CSV.
 *
 * Always true: the store works for nobody who has left, nor longer than `HISTORY_QUERY_MS_MAX`: then the query is interrupted.
 * A page that was cut says where the next begins (`history-cursor.ts`).
 * Bounds: `HistoryPlaces`; `HISTORY_ANSWER_MS_MAX` for taking the answer, then it is cut. The answer is made and sent a piece at
 * a time, so that a large one neither fills the memory nor holds up live frames.
 */

import type { Clock } from '../platform/clock.ts'
import { parseDuration } from '../platform/units.ts'
import {
  AGGREGATES,
  type Aggregate,
  HISTORY_ORDERS,
  type History,
  type HistoryPage,
  type HistoryQuery,
} from '../schemas/history.ts'
import type { Access } from './access.ts'
import type { Columns } from './columns.ts'
import { CsvTable } from './csv.ts'
import { type HistoryCursor, hashOf, readCursor, writeCursor } from './history-cursor.ts'
import type { HistoryPlaces } from './history-places.ts'
import { encodeReading } from './live/frames.ts'
import { readLimit, readSelections, readTime } from './parameters.ts'
import { badParameter, Refusal } from './refusal.ts'
import { JSON_TYPE, type Reply } from './reply.ts'
import type { Query, Request } from './request.ts'

/** Readings of one answer of history unless `limit` says otherwise, and at most. */
const HISTORY_LIMIT_DEFAULT = 10_000
export const HISTORY_LIMIT_MAX = 100_000
/** How long an app waits for the store, its turn included; then 503, and the query is interrupted. */
const HISTORY_QUERY_MS_MAX = 30_000
/** How long the whole may take, to the last byte of the answer; then the connection is cut. */
const HISTORY_ANSWER_MS_MAX = 300_000
/** Windows in one aggregate query, so that `every=1ms` over a year is refused. */
const HISTORY_WINDOWS_MAX = 1_000_000

/** Without `to`, what a device whose clock is a little ahead has just sent is shown too. */
const CLOCK_AHEAD_MS = 300_000
const HOUR_MS = 3_600_000
/** Those that make the question, of which pages are parts. */
const QUESTION = ['filter', 'from', 'to', 'every', 'fn'] as const
/** Of columns of one number. */
const NUMERIC: readonly Aggregate[] = ['mean', 'min', 'max']
const PARAMETERS = [...QUESTION, 'order', 'after', 'limit']

/** Milliseconds: until the store has answered, and until the answer is sent. */
export interface HistoryTimes {
  readonly queryMs: number
  readonly answerMs: number
}

export class Readings {
  readonly #history: History
  readonly #columns: Columns
  readonly #clock: Clock
  readonly #times: HistoryTimes
  readonly #places: HistoryPlaces

  constructor(
    dependencies: {
      readonly history: History
      readonly places: HistoryPlaces
      readonly columns: Columns
      readonly clock: Clock
    },
    times: HistoryTimes = { queryMs: HISTORY_QUERY_MS_MAX, answerMs: HISTORY_ANSWER_MS_MAX },
  ) {
    this.#history = dependencies.history
    this.#places = dependencies.places
    this.#columns = dependencies.columns
    this.#clock = dependencies.clock
    this.#times = times
  }

  async answer(reply: Reply, request: Request, access: Access): Promise<void> {
    const question = readQuestion(request.query, access, this.#clock.now())
    const { query } = question
    const csv = wantsCsv(request.accept)
    this.#checkAggregate(query)
    if (query.selections.length === 0) return this.#write(reply, question, NOTHING, csv)
    this.#places.take(access)
    const asked = new AbortController()
    reply.whenGone(() => asked.abort(new Refusal('store-unavailable', 'the app has left')))
    const late = setTimeout(() => {
      asked.abort(lateRefusal(this.#times.answerMs))
      reply.cut()
    }, this.#times.answerMs)
    try {
      await this.#write(reply, question, await this.#ask(query, access, asked), csv)
    } catch (error) {
      if (!reply.over || !asked.signal.aborted) throw error
    } finally {
      clearTimeout(late)
      asked.abort()
      this.#places.leave(access)
    }
  }

  /** Of lists and texts alone there is nothing to be said: an empty page would look as if nothing had come. */
  #checkAggregate({ window, selections }: HistoryQuery): void {
    if (window === undefined || !NUMERIC.includes(window.aggregate)) return
    const isKnown = selections.some((selection) => this.#columns.streamsOf(selection).length > 0)
    if (!isKnown || this.#columns.hasNumbers(selections)) return
    throw badParameter('fn', window.aggregate, 'first, last or count, for no column here is of one number')
  }

  /** Rejects with a `Refusal` `store-unavailable` if the store takes too long. */
  async #ask(query: HistoryQuery, access: Access, asked: AbortController): Promise<HistoryPage> {
    const { signal } = asked
    const late = setTimeout(() => asked.abort(lateRefusal(this.#times.queryMs)), this.#times.queryMs)
    try {
      await this.#places.turn(access, signal)
      const page = this.#history.readings(query, signal)
      // One that is interrupted still burdens the store until it has ended.
      const done = () => this.#places.done(access)
      page.then(done, done)
      return await unlessAborted(page, signal)
    } finally {
      clearTimeout(late)
    }
  }

  #write(reply: Reply, { query, hash }: Question, page: HistoryPage, csv: boolean): Promise<void> {
    const { from, to, order = 'oldest' } = query
    const next = page.next && writeCursor({ order, hash, from, to, after: page.next })
    if (!csv) return reply.stream(JSON_TYPE, jsonChunks(page, next))
    const named = new Set(page.streams)
    for (const { stream } of query.selections) if (stream !== undefined) named.add(stream)
    const streams = this.#columns.streamsOf({}).filter((stream) => named.has(stream.name))
    const headers = {
      'Content-Type': 'text/csv; charset=utf-8; header=present',
      'X-Telltale-Truncated': String(page.truncated),
      ...(next !== undefined && { 'X-Telltale-Next': next }),
      Vary: 'Accept',
    }
    return reply.stream(headers, csvChunks(new CsvTable(streams), page))
  }
}

const NOTHING: HistoryPage = { truncated: false, streams: [], pieces: (async function* () {})() }

const lateRefusal = (ms: number) =>
  new Refusal('store-unavailable', `the store has not answered within ${ms / 1000} s: ask for less`)

/** As `page`, but rejects with the signal's reason when that comes first. */
function unlessAborted<T>(page: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    page.then(resolve, reject)
  })
}

/** A query, and the hash of the parameters that make it, by which the `after` of another is known. */
interface Question {
  readonly query: HistoryQuery
  readonly hash: string
}

/** The query's parameters, by default the last hour up to now; of a page that goes on, the times that the first was asked for. */
function readQuestion(query: Query, access: Access, now: number): Question {
  query.allow(PARAMETERS)
  const selections = readSelections(query, access)
  const order = readOrder(query)
  const hash = hashOf(QUESTION.map((name) => query.all(name).sort()))
  const afterText = query.one('after')
  const cursor = afterText === undefined ? undefined : readCursor(afterText, order, hash)
  const { from, to } = cursor ?? readTimes(query, now)
  const window = readWindow(query, to - from)
  const limit = readLimit(query, HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX)
  const more = {
    ...(window && { window }),
    ...(order !== 'oldest' && { order }),
    ...(cursor && { after: cursor.after }),
  }
  return { query: { selections, from, to, limit, ...more }, hash }
}

function readTimes(query: Query, now: number): Pick<HistoryCursor, 'from' | 'to'> {
  const toText = query.one('to')
  const to = toText === undefined ? now + CLOCK_AHEAD_MS : readTime('to', toText, now)
  const fromText = query.one('from')
  const from = fromText === undefined ? Math.min(now, to) - HOUR_MS : readTime('from', fromText, now)
  if (from < to) return { from, to }
  throw badParameter('from', fromText ?? String(from), `a time before to, ${new Date(to).toISOString()}`)
}

function readOrder(query: Query): (typeof HISTORY_ORDERS)[number] {
  const text = query.one('order')
  const order = HISTORY_ORDERS.find((name) => name === (text ?? 'oldest'))
  if (order === undefined) throw badParameter('order', text ?? '', `${HISTORY_ORDERS.join(' or ')} (first)`)
  return order
}

function readWindow(query: Query, rangeMs: number): HistoryQuery['window'] {
  const every = query.one('every')
  const fn = query.one('fn')
  if (every === undefined) {
    if (fn === undefined) return undefined
    throw new Refusal(
      'bad-parameter',
      `fn is ${JSON.stringify(fn)} without every: add the length of a window, every=1m`,
    )
  }
  const aggregate = AGGREGATES.find((name) => name === (fn ?? 'mean'))
  if (aggregate === undefined) throw badParameter('fn', fn ?? '', AGGREGATES.join(', '))
  const everyMs = parseDuration(every)
  if (everyMs === undefined || !Number.isInteger(everyMs) || everyMs < 1) {
    throw badParameter('every', every, 'a duration of whole milliseconds such as 500ms, 10s, 1m, 1h, 1d')
  }
  if (rangeMs / everyMs > HISTORY_WINDOWS_MAX) {
    throw badParameter('every', every, `a duration that divides from-to into at most ${HISTORY_WINDOWS_MAX} windows`)
  }
  return { everyMs, aggregate }
}

/** CSV if it is named before JSON; anything else is answered as JSON. */
function wantsCsv(accept: string): boolean {
  const types = accept.split(',').map((type) => type.split(';')[0]?.trim().toLowerCase())
  const csv = types.indexOf('text/csv')
  const json = types.indexOf('application/json')
  return csv >= 0 && (json < 0 || csv < json)
}

async function* jsonChunks({ pieces, truncated }: HistoryPage, next?: string): AsyncGenerator<string> {
  let before = '{"readings":['
  for await (const readings of pieces) {
    yield `${before}${readings.map((reading) => encodeReading(reading, reading.received)).join(',\n')}`
    before = ',\n'
  }
  yield `${before === ',\n' ? '' : before}],"truncated":${truncated}${next === undefined ? '' : `,"next":"${next}"`}}\n`
}

async function* csvChunks(table: CsvTable, { pieces }: HistoryPage): AsyncGenerator<string> {
  yield table.header()
  for await (const readings of pieces) yield readings.map((reading) => table.row(reading)).join('')
}
