/** The short form of the resume storm; the long one is `npm run storm:resume`, with either store. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReport, resumeStorm } from './storm.ts'

const SIZE = { resumes: 600, apps: 24, speed: 1 }

test('cut off again and again, on two gateways, apps have every reading once, or it is named by a gap', async (t) => {
  const seed = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)
  t.diagnostic(`seed ${seed} (TELLTALE_TEST_SEED)`)
  const report = await resumeStorm({ seed, store: 'embedded', ...SIZE, say: (line) => t.diagnostic(line) })
  t.diagnostic(formatReport(report))
  assert.deepEqual(report.findings, [])
  assert(report.resumes >= SIZE.resumes && report.resumesBeforeLog > 0, formatReport(report))
})
