/** Owns the choice of a store by its settings. */

import type { Stream } from '../schemas/reading.ts'
import { DuckdbStore } from './duckdb/store.ts'
import { InfluxStore } from './influx/store.ts'
import { isEmbedded, type PointStore, type StoreOptions } from './store.ts'

/** How many threads may write to it at once. DuckDB has one writer, in one thread. */
export const writersOf = (options: StoreOptions): number => (isEmbedded(options) ? 1 : Number.POSITIVE_INFINITY)

export function createStore(options: StoreOptions, deps: { readonly streams: readonly Stream[] }): PointStore {
  return options.kind === 'duckdb' ? new DuckdbStore(options, deps) : new InfluxStore(options, deps)
}
