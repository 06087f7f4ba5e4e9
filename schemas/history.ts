/**
 * Owns the question "what was read in the past?" as the gateway asks it and a store answers it, so that neither
 * knows the other.
 */

import type { Reading } from './reading.ts'

/**
 * A place in the log, as a cursor names it: of each shard an offset, and how many readings of the message at the offset of one
 * shard lie before it.
 */
export interface Place {
  readonly position: readonly number[]
  readonly part: { readonly shard: number; readonly readings: number }
}

/** The messages of `shard` from the offset `first` on, before the offset `next`. */
export interface LogStretch {
  readonly shard: number
  readonly first: number
  readonly next: number
}

/** A position of the log that has this id. */
export interface LogPosition {
  readonly log: string
  readonly position: readonly number[]
}

/** Which readings: an absent `device` or `stream` means any. */
export interface Selection {
  readonly device?: string
  readonly stream?: string
}

export const AGGREGATES = ['mean', 'min', 'max', 'first', 'last', 'count'] as const
export type Aggregate = (typeof AGGREGATES)[number]

/** `newest` is `oldest` from its end to its beginning. */
export const HISTORY_ORDERS = ['oldest', 'newest'] as const
export type HistoryOrderName = (typeof HISTORY_ORDERS)[number]

/**
 * The place of a reading in the order of history: by time, then device, then stream, then the tags as the stream has its columns;
 * texts by code points. No two readings of a store have the same place, nor two windows of a page.
 */
export interface HistoryKey {
  /** Milliseconds with up to three decimals; of a window, its start. */
  readonly ts: number
  readonly device: string
  readonly stream: string
  /** By name; an absent tag and an empty one are the same. */
  readonly tags: Readonly<Record<string, string>>
}

export interface HistoryQuery {
  /** The union of these; at least one. */
  readonly selections: readonly Selection[]
  /** Inclusive, milliseconds since 1970-01-01T00:00Z, with up to three decimals. */
  readonly from: number
  /** Exclusive, likewise. */
  readonly to: number
  /**
   * One reading a series (device and tags) and window of `everyMs`, windows aligned to 1970-01-01T00:00Z. `first` and `last` go by
   * time, whatever the `order`.
   */
  readonly window?: { readonly everyMs: number; readonly aggregate: Aggregate }
  /** `oldest` comes first, unless told. */
  readonly order?: HistoryOrderName
  /** Only what stands behind it in that order; of a window, in the order of windows. */
  readonly after?: HistoryKey
  /** At most so many readings, the first in that order. */
  readonly limit: number
  /**
   * Only of messages that stood in the log before this position, and before what the store has not taken yet: the page says
   * where the log goes on from it. For a store that can answer `received` only.
   */
  readonly upTo?: LogPosition
}

/**
 * In the query's order (`HistoryKey`). In a windowed page `ts` is the window's start and `values` holds the tags
 * and the aggregated columns: `mean`, `min`, `max` of numbers only; `first`, `last`, `count` of every column.
 */
export interface HistoryPage {
  /** The limit cut the page: there is more. */
  readonly truncated: boolean
  /** Of a page that is truncated, the place of its last reading: the `after` of the next page. */
  readonly next?: HistoryKey
  /** The names of the streams that have readings in the page, or would have but for the limit. */
  readonly streams: readonly string[]
  /** In order, to be taken once; a piece is made when it is asked for. Rejects as `readings` does. */
  readonly pieces: AsyncIterable<readonly Reading[]>
  /** Of a query that had it: every message before this position is in the page, as far as it was selected, and none after it. */
  readonly upTo?: readonly number[]
}

/** What was received at or after one place of the log and before another. */
export interface ReceivedQuery {
  /** The union of these; at least one. */
  readonly selections: readonly Selection[]
  /** The id of the log. */
  readonly log: string
  readonly from: Place
  readonly before: readonly number[]
  /** At most so many readings, the first of the log's order. A store may take much longer for more than some thousands. */
  readonly limit: number
}

/** In which order the shards of a page follow one another: that of `from.part` is first, for a place has only one part. */
export const turnOf = ({ part }: Place, shard: number): number => (shard === part.shard ? -1 : shard)

/** Where what was asked for goes on behind one of its readings. */
export function placeAfter({ from, before }: ReceivedQuery, { shard, offset, index }: PlacedReading): Place {
  const turn = turnOf(from, shard)
  const position = from.position.map((first, other) => (turnOf(from, other) < turn ? (before[other] ?? first) : first))
  return { position: position.with(shard, offset), part: { shard, readings: index + 1 } }
}

/** A reading, and the message that it came in. */
export interface PlacedReading {
  readonly reading: Reading
  readonly shard: number
  readonly offset: number
  /** Which of its message's readings it is, from 0. */
  readonly index: number
}

export interface ReceivedPage {
  /** By shard (`turnOf`), then offset, then index. One that another of its series and time has replaced is not among them. */
  readonly readings: readonly PlacedReading[]
  /** The limit cut the page: there is more behind its last reading. */
  readonly truncated: boolean
  /**
   * In the order of the readings: messages between the places that were asked for, of which the store cannot tell. It was not
   * given them, or has kept no places of that time. Of all others, each reading that was stored and not replaced can be had.
   */
  readonly lacking: readonly LogStretch[]
}

export interface History {
  /**
   * Rejects with a `TelltaleError` of code `store-unavailable` or `history-unsupported`. When `signal` is aborted the query is
   * interrupted, and what is kept for the page is let go of: whoever does not take a page to its end aborts.
   */
  readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage>
  /** The last reading of each series (device, stream, tags) the store holds; at most `limit` of them. */
  latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]>
  /** Of a store that knows of each row where its message stood in the log. Rejects, and is interrupted, as `readings` is. */
  received?(query: ReceivedQuery, signal: AbortSignal): Promise<ReceivedPage>
}
