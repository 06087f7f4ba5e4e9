/** The short form of the kill storm; the long one is `npm run storm`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MissingServer } from '../servers/server.ts'
import { formatReport, isCalm, type StormReport, storm } from './storm.ts'

const CYCLES = 3

test('killed again and again, with or without its store: lost 0, duplicated 0, balanced after each', async (t) => {
  const seed = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)
  t.diagnostic(`seed ${seed} (TELLTALE_TEST_SEED)`)
  const size = { cycles: CYCLES, durationMs: Number.POSITIVE_INFINITY, devices: 10, rate: 40 }
  let report: StormReport
  try {
    report = await storm({ seed, ...size, say: (line) => t.diagnostic(line) })
  } catch (error) {
    if (!(error instanceof MissingServer) || process.env.CI === 'true') throw error
    t.skip(error.message)
    return
  }
  t.diagnostic(formatReport(report))
  assert(isCalm(report), formatReport(report))
})
