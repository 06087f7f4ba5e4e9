/** Owns the embedded store's row in the table of stores: what is known of it before its file is open. */

import { join } from 'node:path'
import type { StoreKind } from '../store.ts'
import { DuckdbStore } from './store.ts'

export interface DuckdbOptions {
  readonly kind: 'duckdb'
  /** The database file. */
  readonly path: string
}

export const DUCKDB: StoreKind<DuckdbOptions> = {
  isEmbedded: true,
  writersMax: 1,
  optionsFrom: ({ dataDir }) => ({ kind: 'duckdb', path: join(dataDir, 'telemetry.duckdb') }),
  describe: ({ dataDir }) => `embedded, in ${dataDir}`,
  create: (options, deps) => new DuckdbStore(options, deps),
}
