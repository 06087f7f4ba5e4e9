/**
 * Owns the comparison of what a run sent with what a store has: of each series and time, what is there, and what should be. Always true:
 * each reading that was acknowledged is one of stored, superseded, missing, altered or stale, and nothing is told twice. Bound: a number for
 * each reading that is wrong.
 */

import { type Candidate, mayBeAbsent, mayBeLast } from './legal.ts'
import type { Places } from './places.ts'
import type { Sent } from './sent.ts'
import type { StoreLook } from './store-look.ts'

/** Readings by their numbers (`Sent`). */
export interface Reconciled {
  /** Of messages that were acknowledged. */
  expected: number
  stored: number
  superseded: number
  /** Acknowledged, and there is none of its series and time. */
  readonly missing: number[]
  /** There is one of its series and time, with values that nobody sent. */
  readonly altered: number[]
  /** There is one of its series and time that came before it. */
  readonly stale: number[]
  /** There more than once, or beside another of its series and time. */
  readonly twice: number[]
  /** There, and of a message that its device may not send. */
  readonly forbidden: number[]
  /** Messages. */
  readonly storedUnacknowledged: Set<number>
}

export interface ReconcileOptions {
  /** A message that was set aside: its readings are not to be there. */
  readonly isSetAside: (message: number) => boolean
  /** Their tags tell series apart, so readings of one time need not replace each other where the run does not say their tags. */
  readonly hasTags: (stream: number) => boolean
}

export function reconcile(
  { sent, places, look }: { readonly sent: Sent; readonly places: Places; readonly look: StoreLook },
  options: ReconcileOptions,
): Reconciled {
  const found: Reconciled = {
    expected: 0,
    stored: 0,
    superseded: 0,
    missing: [],
    altered: [],
    stale: [],
    twice: [],
    forbidden: [],
    storedUnacknowledged: new Set(),
  }
  const rows: number[] = []
  for (let place = 0; place < places.count; ) {
    const end = places.endOf(place)
    rows.length = 0
    for (; place < end; place++) rows.push(places.row(place))
    for (const series of seriesOf(rows, sent)) weigh(series, { sent, look, options, found })
  }
  return found
}

/** Those of one series together; where tags are not known, all. */
function seriesOf(rows: readonly number[], { rowSeries }: Sent): readonly (readonly number[])[] {
  if (rows.length === 1 || rows.some((row) => rowSeries(row) === 0)) return [rows]
  const series = new Map<number, number[]>()
  for (const row of rows) {
    const known = series.get(rowSeries(row))
    if (known === undefined) series.set(rowSeries(row), [row])
    else known.push(row)
  }
  return [...series.values()]
}

interface Weighing {
  readonly sent: Sent
  readonly look: StoreLook
  readonly options: ReconcileOptions
  readonly found: Reconciled
}

function weigh(rows: readonly number[], { sent, look, options, found }: Weighing): void {
  const candidates: Candidate[] = []
  const own: number[] = []
  for (const row of rows) {
    const message = sent.messageOf(row)
    if (look.isTwice(row) && rows.find((other) => sent.rowHash(other) === sent.rowHash(row)) === row) {
      found.twice.push(row)
    }
    if (sent.outcome(message) === 'dropped') {
      if (look.isSeen(row)) found.forbidden.push(row)
      continue
    }
    if (options.isSetAside(message)) continue
    own.push(row)
    candidates.push(candidateOf(row, sent))
  }
  const promised = own.filter((_, index) => candidates[index]?.isPromised)
  found.expected += promised.length
  const legal = mayBeLast(candidates)
  const isLegal = (_: number, index: number): boolean => legal[index] === true
  const seen = own.filter(look.isSeen)
  const right = own.filter(isLegal).filter(look.isSeen)
  const isStrange = rows.some(look.isStrange)
  for (const row of seen) {
    const isPromisedToo = promised.some((other) => sent.rowHash(other) === sent.rowHash(row))
    if (!isPromisedToo) found.storedUnacknowledged.add(sent.messageOf(row))
  }
  if (right.length > 0) {
    settle({ own, promised, right, seen, isStrange }, { sent, look, options, found })
    return
  }
  if (rows.some(look.isReplaced)) {
    found.superseded += promised.length
    return
  }
  if (mayBeAbsent(candidates) && seen.length === 0 && !isStrange) return
  const last = own.filter(isLegal).findLast((row) => promised.includes(row)) ?? own.at(-1)
  if (last === undefined) return
  found.superseded += promised.filter((row) => row !== last).length
  if (isStrange) found.altered.push(last)
  else if (seen.length > 0) found.stale.push(last)
  else found.missing.push(last)
}

interface Settled {
  readonly own: readonly number[]
  readonly promised: readonly number[]
  readonly right: readonly number[]
  readonly seen: readonly number[]
  readonly isStrange: boolean
}

/** One that may be there is there: the others were replaced, and none of them may be there as well. */
function settle({ own, promised, right, seen, isStrange }: Settled, { sent, options, found }: Weighing): void {
  const [first = -1] = right
  const isOther = (row: number) => sent.rowHash(row) !== sent.rowHash(first)
  const mayBeSeveral = own.some((row) => sent.rowSeries(row) === 0 && options.hasTags(sent.rowStream(row)))
  if (mayBeSeveral) {
    const there = promised.filter((row) => seen.includes(row)).length
    found.stored += there
    found.superseded += promised.length - there
    return
  }
  if (isStrange || seen.some(isOther)) found.twice.push(first)
  const isStored = promised.some((row) => !isOther(row))
  found.stored += isStored ? 1 : 0
  found.superseded += promised.length - (isStored ? 1 : 0)
}

/** Within a message the later reading comes later, each time it is sent. */
function candidateOf(row: number, sent: Sent): Candidate {
  const message = sent.messageOf(row)
  const within = (row - sent.firstRow(message)) / (sent.endRow(message) - sent.firstRow(message))
  const latest = sent.lastPosition(message) + within
  // Of QoS 2 a repeat is not taken again; what is doubled on purpose may be acknowledged before its double has come.
  const isCertain = sent.qos(message) === 1 && sent.fault(message) !== DUPLICATES
  const earliest = isCertain ? latest : sent.firstPosition(message) + within
  return { isPromised: sent.isPromised(message), earliest, latest }
}

const DUPLICATES = 'duplicates'
