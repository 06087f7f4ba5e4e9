/**
 * Owns what the store itself is asked, by its own query language and not by the platform's history: a second witness, which shares no code with
 * what wrote the rows.
 */

import type { StreamOfStore } from './history.ts'
import type { StoreRow } from './store-look.ts'

/** All rows of a stream and of a span of time; milliseconds since 1970, `to` is not in it. */
export interface RowsAsked {
  readonly stream: StreamOfStore
  /** The others' may be in the answer. */
  readonly devices: readonly string[]
  readonly from: number
  readonly to: number
}

export interface StoreQuery {
  /** For `Verification.asked`: `flux`, `influxql`, `export`. */
  readonly language: string
  rows(asked: RowsAsked, signal?: AbortSignal): AsyncIterable<StoreRow>
}
