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

export interface HistoryQuery {
  /** The union of these; at least one. */
  readonly selections: readonly Selection[]
  /** Inclusive, milliseconds since 1970-01-01T00:00Z. */
  readonly from: number
  /** Exclusive, milliseconds. */
  readonly to: number
  /** One reading a series (device and tags) and window of `everyMs`, windows aligned to 1970-01-01T00:00Z. */
  readonly window?: { readonly everyMs: number; readonly aggregate: Aggregate }
  /** At most so many readings, the earliest first. */
  readonly limit: number
}

/**
 * Ordered by `ts`, then device, then stream. In a windowed page `ts` is the window's start and `values` holds the tags
 * and the aggregated columns: `mean`, `min`, `max` of numbers only; `first`, `last`, `count` of every column.
 */
export interface HistoryPage {
  /** The limit cut the page: there is more. */
  readonly truncated: boolean
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
