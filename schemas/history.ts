/**
 * Owns the question "what was read in the past?" as the gateway asks it and a store answers it, so that neither
 * knows the other.
 */

import type { Reading } from './reading.ts'

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
}

export interface History {
  /**
   * Rejects with a `TelltaleError` of code `store-unavailable` or `history-unsupported`. When `signal` is aborted the query is
   * interrupted, and what is kept for the page is let go of: whoever does not take a page to its end aborts.
   */
  readings(query: HistoryQuery, signal: AbortSignal): Promise<HistoryPage>
  /** The last reading of each series (device, stream, tags) the store holds; at most `limit` of them. */
  latest(selections: readonly Selection[], limit: number): Promise<readonly Reading[]>
}
