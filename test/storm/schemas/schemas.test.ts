/** The short form of the schema storm; the long one is `npm run storm:schemas`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReport, isCalm, schemaStorm } from './storm.ts'

const SIZE = { store: 'embedded', devices: 12, rate: 600, seconds: 6 } as const

for (const kill of [false, true]) {
  test(`three versions at once, one that is added and one that comes late${kill ? ', kill -9 after each' : ''}: none lost, none wrong`, async (t) => {
    const seed = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)
    t.diagnostic(`seed ${seed} (TELLTALE_TEST_SEED)`)
    const report = await schemaStorm({ ...SIZE, seed, kill, say: (line) => t.diagnostic(line) })
    t.diagnostic(formatReport(report))
    assert(isCalm(report), formatReport(report))
    assert(report.waited > 0)
  })
}
