import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reasonOf } from '../planted/second-try.ts'
import { sitesOf } from './sites.ts'
import { tryMutant, tryUnchanged } from './trials.ts'

/** Long enough for a kill in the middle, and rows behind it. */
const SECONDS = 6
const TABLE = 'ingest/duckdb/table.ts'

test('rows that are never appended to the store kill a mutant, and the build as it is survives', async () => {
  const site = sitesOf([TABLE])
    .get(TABLE)
    ?.find(({ before }) => before === 'await this.#append(rows)')
  assert(site)
  const { isKilled, by } = await tryMutant(site, SECONDS)
  assert(isKilled)
  assert.match(by, /lost at (ingest|store)/)
  const unchanged = await tryUnchanged(SECONDS)
  assert.equal(unchanged.end, 'nothing-found', JSON.stringify(reasonOf(unchanged)))
})
