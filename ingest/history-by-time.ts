/**
 * Owns a page of history from a store that sorts by time alone, and can cut what it answers nowhere else: InfluxQL has no second
 * key to sort by, and at one time it answers in an order of its own; of windows it cuts each series for itself.
 *
 * So a cut is made at a time. Of an answer that the store cut, what has the last time in it may be a part, and is asked for again
 * as a whole; of readings with one time the page takes those behind `after` by their place, whatever their number. Windows are asked
 * for a stretch of time after the other.
 * Always true: of the times that are not in `rest` all is found, and each round takes at least one time from it.
 * Bounds: of a stream a page and the readings of one time are asked for in a round, and there is a second only where the cut falls
 * among readings with one time; of windows those of `WINDOWS_FIRST` at first. An answer that is too large for the store's own bound
 * (`INFLUX_ANSWER_BYTES_MAX`) is asked for in parts, down to those of one time.
 */

import type { HistoryPage, HistoryQuery } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'
import { type HistoryOrder, timeAfter, timesBehind } from './history-order.ts'
import { type StreamSelection, wholePage } from './history-page.ts'

/** Rows of a stream asked for beyond what the page lacks, at most. */
const ROWS_AHEAD_MAX = 10_000
const SHARE_GROWTH = 4
/** Windows of each series that are asked for at first, and how fast that grows where there are few series. */
const WINDOWS_FIRST = 64
const WINDOWS_GROWTH = 8
/** What was too large is asked for in so many parts. */
const PARTS = 8

/** What the store is asked for: the readings of one stream and a stretch of time. */
export interface Stretch extends StreamSelection, Times {
  /** At most so many rows, the first in the query's order of time; all if undefined. */
  readonly rowsMax?: number
}

export interface StretchAnswer {
  readonly readings: readonly Reading[]
  /** With those of which no reading could be made. */
  readonly rows: number
  /** The time of the last of them. */
  readonly lastTs: number | undefined
}

/** What the store does. */
export interface AsksByTime {
  /** Answers the stretches in their order. */
  stretches(stretches: readonly Stretch[]): Promise<readonly StretchAnswer[]>
  /** The windows of the query's streams that begin in the times; of each series at least the first `limit + 1`, if there are as many. */
  windows(times: Times): Promise<readonly Reading[]>
  /** Whether an error of these says that less is to be asked for. */
  isTooLarge(error: unknown): boolean
}

export interface Times {
  /** Inclusive, milliseconds; `to` is exclusive. */
  readonly from: number
  readonly to: number
}

export async function pageByTime(
  query: HistoryQuery,
  selections: readonly StreamSelection[],
  order: HistoryOrder,
  store: AsksByTime,
): Promise<HistoryPage> {
  const { limit, after } = query
  const newest = query.order === 'newest'
  const found: Reading[] = []
  let rest: Times = query
  let whole: Times[] = []
  if (after !== undefined) {
    if (after.ts >= rest.from && after.ts < rest.to) whole = [timesAt(after.ts)]
    rest = timesBeyond(after.ts, rest, newest)
  }
  for (let share = 1; ; share *= SHARE_GROWTH) {
    // Ever more, so that a crowd of rows of which no reading can be made (somebody else's, without a device) is soon passed.
    const lacking = limit + 1 - found.length
    const rowsMax = Math.min(Math.ceil(lacking * share), Math.max(lacking, ROWS_AHEAD_MAX))
    const asked = [...whole.map((times) => ({ times })), ...(isSome(rest) ? [{ times: rest, rowsMax }] : [])]
    const stretches = asked.flatMap(({ times: { from, to }, ...cut }) =>
      selections.map((selection) => ({ ...selection, from, to, ...cut })),
    )
    let answers: readonly StretchAnswer[]
    try {
      answers = stretches.length === 0 ? [] : await store.stretches(stretches)
    } catch (error) {
      if (rowsMax === 1 || !isSome(rest) || !store.isTooLarge(error)) throw error
      // Of one time there are no parts: then as little as possible besides.
      share = (whole.length > 0 ? 1 : rowsMax / PARTS) / lacking / SHARE_GROWTH
      continue
    }
    const edge = edgeOf(stretches, answers, newest)
    const isBefore = (ts: number) => edge === undefined || (newest ? ts > edge : ts < edge)
    for (const { readings } of answers) {
      for (const reading of readings) if (isBefore(reading.ts) && order.isBehind(reading)) found.push(reading)
    }
    if (edge === undefined || found.length >= limit) return wholePage(found, limit, order, edge !== undefined)
    whole = [timesAt(edge)]
    rest = timesBeyond(edge, rest, newest)
  }
}

/** As `pageByTime`, of a query with windows. */
export async function pageOfWindows(
  query: HistoryQuery,
  everyMs: number,
  order: HistoryOrder,
  store: AsksByTime,
): Promise<HistoryPage> {
  const found: Reading[] = []
  let rest: Times = timesBehind(query)
  let count = WINDOWS_FIRST
  while (isSome(rest) && found.length <= query.limit) {
    const times = firstWindows(rest, count, everyMs, query.order === 'newest')
    let windows: readonly Reading[]
    try {
      windows = await store.windows(times)
    } catch (error) {
      if (count === 1 || !store.isTooLarge(error)) throw error
      count = Math.ceil(count / PARTS)
      continue
    }
    for (const window of windows) if (order.isBehind(window)) found.push(window)
    rest = query.order === 'newest' ? { from: rest.from, to: times.from } : { from: times.to, to: rest.to }
    const wanted = ((query.limit + 1 - found.length) / windows.length) * count
    count = Math.max(1, Math.min(Math.ceil(wanted), count * WINDOWS_GROWTH))
  }
  return wholePage(found, query.limit, order)
}

/** The times of the first `count` windows of `rest`; the first of them may be a part already. */
function firstWindows({ from, to }: Times, count: number, everyMs: number, newest: boolean): Times {
  return newest
    ? { from: Math.max(from, (Math.ceil(to / everyMs) - count) * everyMs), to }
    : { from, to: Math.min(to, (Math.floor(from / everyMs) + count) * everyMs) }
}

const isSome = ({ from, to }: Times): boolean => from < to
const timesAt = (ts: number): Times => ({ from: ts, to: timeAfter(ts) })

/** What of `times` comes after `ts` in the order. */
function timesBeyond(ts: number, { from, to }: Times, newest: boolean): Times {
  return newest ? { from, to: Math.min(to, ts) } : { from: Math.max(from, timeAfter(ts)), to }
}

/** The first time of which an answer may have a part only; undefined if all are whole. */
function edgeOf(stretches: readonly Stretch[], answers: readonly StretchAnswer[], newest: boolean): number | undefined {
  let edge: number | undefined
  for (const [index, { rows, lastTs }] of answers.entries()) {
    const rowsMax = stretches[index]?.rowsMax
    if (rowsMax === undefined || rows < rowsMax || lastTs === undefined) continue
    if (edge === undefined || (newest ? lastTs > edge : lastTs < edge)) edge = lastTs
  }
  return edge
}
