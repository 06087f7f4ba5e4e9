import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckdbStore } from '../../../ingest/duckdb/store.ts'
import { storeContract } from '../store-contract.ts'

storeContract('duckdb', async (t, streams) => {
  const directory = await mkdtemp(join(tmpdir(), 'telltale-duckdb-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return new DuckdbStore({ kind: 'duckdb', path: join(directory, 'store.duckdb') }, { streams })
})
