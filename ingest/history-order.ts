/**
 * Owns the order of history as `HistoryKey` says it, for one query: which of two readings comes first, and which come behind the
 * query's `after`. Stores that sort by themselves do it alike (`duckdb/history.ts`).
 */

import type { HistoryKey, HistoryQuery } from '../schemas/history.ts'
import { type Reading, type Stream, valueIn } from '../schemas/reading.ts'

/** No reading's time lies between the two, milliseconds: a store has times in microseconds. */
export const timeAfter = (ts: number): number => (Math.round(ts * 1000) + 1) / 1000

type Place = Pick<Reading, 'ts' | 'device' | 'stream'>

export class HistoryOrder {
  readonly #tags: ReadonlyMap<string, readonly string[]>
  readonly #sign: 1 | -1
  readonly #after: HistoryKey | undefined

  constructor(query: Pick<HistoryQuery, 'order' | 'after'>, streams: readonly Stream[]) {
    this.#tags = new Map(streams.map((stream) => [stream.name, tagsOf(stream)]))
    this.#sign = query.order === 'newest' ? -1 : 1
    this.#after = query.after
  }

  /** Negative if `a` comes first. */
  readonly compare = (a: Reading, b: Reading): number => {
    const place = comparePlaces(a, b)
    return this.#sign * (place === 0 ? this.#compareTags(a.stream, a.values, b.values) : place)
  }

  /** Whether the reading is one of those that the query asks for, as far as its `after` goes. */
  readonly isBehind = (reading: Reading): boolean => {
    const after = this.#after
    if (after === undefined) return true
    const place = comparePlaces(reading, after)
    return this.#sign * (place === 0 ? this.#compareTags(reading.stream, reading.values, after.tags) : place) > 0
  }

  keyOf({ ts, device, stream, values }: Reading): HistoryKey {
    const tags = (this.#tags.get(stream) ?? []).map((name) => [name, textIn(values, name)] as const)
    return { ts, device, stream, tags: Object.fromEntries(tags.filter(([, value]) => value !== '')) }
  }

  #compareTags(stream: string, a: Reading['values'], b: Reading['values']): number {
    for (const name of this.#tags.get(stream) ?? []) {
      const order = compareTexts(textIn(a, name), textIn(b, name))
      if (order !== 0) return order
    }
    return 0
  }
}

/** The names of the tags by which the stream's readings are ordered. */
export function tagsOf(stream: Stream): readonly string[] {
  return stream.columns.filter(({ tag }) => tag).map(({ name }) => name)
}

/** The tag's value in readings or in a `HistoryKey`. */
export function textIn(values: Reading['values'], name: string): string {
  return String(valueIn(values, name) ?? '')
}

/** From when until when there can be something that stands behind the query's `after`; nothing if they are the same. */
export function timesBehind({ from, to, order, after, window }: HistoryQuery): { from: number; to: number } {
  if (after === undefined) return { from, to }
  if (order !== 'newest') return { from: Math.min(Math.max(from, after.ts), to), to }
  const end = window === undefined ? timeAfter(after.ts) : after.ts + window.everyMs
  return { from, to: Math.max(Math.min(to, end), from) }
}

function comparePlaces(a: Place, b: Place): number {
  if (a.ts !== b.ts) return a.ts - b.ts
  // Neither has a character beyond ASCII.
  if (a.device !== b.device) return a.device < b.device ? -1 : 1
  return a.stream === b.stream ? 0 : a.stream < b.stream ? -1 : 1
}

/** By code points, as UTF-8 is ordered by its bytes; JavaScript compares UTF-16, in which what is beyond U+FFFF is less than U+E000. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const one = a.charCodeAt(at)
    const other = b.charCodeAt(at)
    if (one === other) continue
    return isSurrogate(one) === isSurrogate(other) ? one - other : isSurrogate(one) ? 1 : -1
  }
  return a.length - b.length
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff
