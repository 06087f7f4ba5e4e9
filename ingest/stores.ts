/**
 * Owns the table of stores, a row for each kind that the settings allow. A new store is a folder, whose `kind.ts` has its row,
 * and a line here. What follows from a kind is asked of its row: nobody compares kinds.
 */

import assert from 'node:assert/strict'
import type { Settings } from '../platform/settings.ts'
import { DUCKDB } from './duckdb/kind.ts'
import { INFLUX } from './influx/kind.ts'
import type { PointStore, StoreDependencies, StoreKind } from './store.ts'

/** A reading is in `/v1/readings` within a second: half of it, at most, for waiting, and the rest for the write. */
const WRITE_INTERVAL_MS_MAX = 500

export const STORES = {
  duckdb: DUCKDB,
  influx: INFLUX,
} as const satisfies { readonly [Kind in Settings['store']]: StoreKind<{ readonly kind: Kind }> }

for (const { writes } of Object.values(STORES))
  assert(writes.intervalMs <= WRITE_INTERVAL_MS_MAX, 'a reading must be found within a second')

/** What a store is opened with: plain data, for it is handed to the worker threads. */
export type StoreOptions = ReturnType<(typeof STORES)[Settings['store']]['optionsFrom']>

export function createStore(options: StoreOptions, deps: StoreDependencies): Promise<PointStore> {
  const kind: StoreKind<StoreOptions> = STORES[options.kind]
  return kind.create(options, deps)
}
