/**
 * Owns `GET /v1/readings`: history, as JSON or CSV.
 *
 * Bound: `HISTORY_QUERIES_MAX` queries at once, each until the store has answered and the answer is sent; one more is
 * refused with 503. The answer is written in pieces, so that a large one does not hold up live frames.
 */

import type { Clock } from '../platform/clock.ts'
import { parseDuration } from '../platform/units.ts'
import { AGGREGATES, type History, type HistoryPage, type HistoryQuery } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'
import type { Access } from './access.ts'
import type { Columns } from './columns.ts'
import { CsvTable } from './csv.ts'
import { encodeReading } from './frames.ts'
import { readLimit, readSelections, readTime } from './parameters.ts'
import { badParameter, Refusal } from './refusal.ts'
import { JSON_TYPE, type Reply } from './reply.ts'
import type { Query, Request } from './request.ts'

/** Readings of one answer of history unless `limit` says otherwise, and at most. */
const HISTORY_LIMIT_DEFAULT = 10_000
const HISTORY_LIMIT_MAX = 100_000
/** History queries at once; one more is refused with 503. */
export const HISTORY_QUERIES_MAX = 8
/** How long an app waits for history; then 503, though the query holds its place until the store is done. */
const HISTORY_QUERY_MS_MAX = 30_000
/** Windows in one aggregate query, so that `every=1ms` over a year is refused. */
const HISTORY_WINDOWS_MAX = 1_000_000
/** Readings written to an answer before other work gets its turn. */
const HISTORY_READINGS_PER_TURN = 1_000

/** Without `to`, what a device whose clock is a little ahead has just sent is shown too. */
const CLOCK_AHEAD_MS = 300_000
const HOUR_MS = 3_600_000
const PARAMETERS = ['filter', 'from', 'to', 'every', 'fn', 'limit']

export class Readings {
  readonly #history: History
  readonly #columns: Columns
  readonly #clock: Clock
  #underWay = 0

  constructor(dependencies: { readonly history: History; readonly columns: Columns; readonly clock: Clock }) {
    this.#history = dependencies.history
    this.#columns = dependencies.columns
    this.#clock = dependencies.clock
  }

  async answer(reply: Reply, request: Request, access: Access): Promise<void> {
    const query = readHistoryQuery(request.query, access, this.#clock.now())
    const csv = wantsCsv(request.accept)
    if (query.selections.length === 0) return this.#write(reply, query, { readings: [], truncated: false }, csv)
    if (this.#underWay >= HISTORY_QUERIES_MAX) {
      throw new Refusal('too-busy', `${HISTORY_QUERIES_MAX} history queries are under way: try again in a moment`)
    }
    this.#underWay++
    const page = this.#history.readings(query)
    try {
      await this.#write(reply, query, await inTime(page), csv)
    } finally {
      const leave = () => {
        this.#underWay--
      }
      // A query that took too long still burdens the store, so it keeps its place until it is done.
      page.then(leave, leave)
    }
  }

  #write(reply: Reply, query: HistoryQuery, page: HistoryPage, csv: boolean): Promise<void> {
    if (!csv) return reply.stream(JSON_TYPE, jsonChunks(page))
    const named = new Set(page.readings.map((reading) => reading.stream))
    for (const { stream } of query.selections) if (stream !== undefined) named.add(stream)
    const streams = this.#columns.streamsOf({}).filter((stream) => named.has(stream.name))
    const headers = {
      'Content-Type': 'text/csv; charset=utf-8; header=present',
      'X-Telltale-Truncated': String(page.truncated),
      Vary: 'Accept',
    }
    return reply.stream(headers, csvChunks(new CsvTable(streams, page.readings), page.readings))
  }
}

/** The query's parameters, by default the last hour up to now. */
function readHistoryQuery(query: Query, access: Access, now: number): HistoryQuery {
  query.allow(PARAMETERS)
  const selections = readSelections(query, access)
  const toText = query.one('to')
  const to = toText === undefined ? now + CLOCK_AHEAD_MS : readTime('to', toText, now)
  const fromText = query.one('from')
  const from = fromText === undefined ? Math.min(now, to) - HOUR_MS : readTime('from', fromText, now)
  if (from >= to)
    throw badParameter('from', fromText ?? String(from), `a time before to, ${new Date(to).toISOString()}`)
  const window = readWindow(query, to - from)
  const limit = readLimit(query, HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX)
  return { selections, from, to, limit, ...(window && { window }) }
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

/** Rejects with a `Refusal` `store-unavailable` if the store takes too long. */
async function inTime(page: Promise<HistoryPage>): Promise<HistoryPage> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const message = `the store has not answered within ${HISTORY_QUERY_MS_MAX / 1000} s: ask for less`
    timer = setTimeout(() => reject(new Refusal('store-unavailable', message)), HISTORY_QUERY_MS_MAX)
  })
  try {
    return await Promise.race([page, late])
  } finally {
    clearTimeout(timer)
  }
}

function* jsonChunks(page: HistoryPage): Generator<string> {
  let before = '{"readings":['
  for (const readings of turns(page.readings)) {
    yield `${before}${readings.map(encodeReading).join(',\n')}`
    before = ',\n'
  }
  yield `${page.readings.length === 0 ? before : ''}],"truncated":${page.truncated}}\n`
}

function* csvChunks(table: CsvTable, readings: readonly Reading[]): Generator<string> {
  yield table.header()
  for (const some of turns(readings)) yield some.map((reading) => table.row(reading)).join('')
}

function* turns(readings: readonly Reading[]): Generator<readonly Reading[]> {
  for (let at = 0; at < readings.length; at += HISTORY_READINGS_PER_TURN) {
    yield readings.slice(at, at + HISTORY_READINGS_PER_TURN)
  }
}
