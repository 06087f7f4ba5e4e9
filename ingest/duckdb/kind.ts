/** Owns the embedded store's row in the table of stores: what is known of it before its file is open. */

import { join } from 'node:path'
import type { StoreKind } from '../store.ts'
import type { DuckdbOptions } from './store.ts'

export const DUCKDB: StoreKind<DuckdbOptions> = {
  isEmbedded: true,
  writersMax: 1,
  // A transaction costs 4 to 7 ms of CPU beside its rows: 5,000 messages a second took ingest 75 us each when a write began every
  // 25 ms, and take 18 now.
  writes: { entriesMax: 20_000, intervalMs: 400 },
  optionsFrom: ({ dataDir }) => ({ kind: 'duckdb', path: join(dataDir, 'telemetry.duckdb') }),
  describe: ({ dataDir }) => `embedded, in ${dataDir}`,
  // DuckDB's library is loaded by the thread that opens a file: no command waits 0.3 s for it, or holds 30 MB.
  create: async (options, deps) => new (await import('./store.ts')).DuckdbStore(options, deps),
}
