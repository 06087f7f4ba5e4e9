/** Owns the embedded store's row in the table of stores: what is known of it before its file is open. */

import { join } from 'node:path'
import type { StoreKind } from '../store.ts'
import type { DuckdbOptions } from './store.ts'

export const DUCKDB: StoreKind<DuckdbOptions> = {
  isEmbedded: true,
  writersMax: 1,
  optionsFrom: ({ dataDir }) => ({ kind: 'duckdb', path: join(dataDir, 'telemetry.duckdb') }),
  describe: ({ dataDir }) => `embedded, in ${dataDir}`,
  // DuckDB's library is loaded by the thread that opens a file: no command waits 0.3 s for it, or holds 30 MB.
  create: async (options, deps) => new (await import('./store.ts')).DuckdbStore(options, deps),
}
