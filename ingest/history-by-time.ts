/**
 * Owns a page of history from a store that sorts by time alone, and can cut what it answers nowhere else: InfluxQL has no second
 * key to sort by, and at one time it answers in an order of its own.
 *
 * So a cut is made at a time: of an answer that the store cut, what has the last time in it may be a part, and is asked for again
 * as a whole. Of readings with one time the page takes those behind `after` by their place, whatever their number.
 * Always true: of the times that are not in `rest` all is found, and each round takes at least one time from it.
 * Bounds: of a stream a page and the readings of one time are asked for in a round, and there is a second only where the cut falls
 * among readings with one time. How many those may be, the store's own bound says (`INFLUX_ANSWER_BYTES_MAX`).
 */

import type { HistoryPage, HistoryQuery } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'
import { type HistoryOrder, timeAfter } from './history-order.ts'
import { type StreamSelection, wholePage } from './history-page.ts'

/** Rows asked for beyond what the page lacks, at most. */
const ROWS_AHEAD_MAX = 10_000

/** What the store is asked for: of one stream the readings of a time. */
export interface Stretch extends StreamSelection {
  /** Inclusive, milliseconds; `to` is exclusive. */
  readonly from: number
  readonly to: number
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

/** Answers the stretches in their order. */
export type Ask = (stretches: readonly Stretch[]) => Promise<readonly StretchAnswer[]>

export async function pageByTime(
  query: HistoryQuery,
  selections: readonly StreamSelection[],
  order: HistoryOrder,
  ask: Ask,
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
  for (let round = 0; ; round++) {
    // Ever more, so that a crowd of rows of which no reading can be made (somebody else's, without a device) is soon passed.
    const lacking = limit + 1 - found.length
    const rowsMax = Math.max(lacking, Math.min(lacking * 4 ** round, ROWS_AHEAD_MAX))
    const asked = [...whole.map((times) => ({ times })), ...(isSome(rest) ? [{ times: rest, rowsMax }] : [])]
    const stretches = asked.flatMap(({ times: { from, to }, ...cut }) =>
      selections.map((selection) => ({ ...selection, from, to, ...cut })),
    )
    const answers = stretches.length === 0 ? [] : await ask(stretches)
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

interface Times {
  readonly from: number
  readonly to: number
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
