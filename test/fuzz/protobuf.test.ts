/** The short form; the long one is `npm run fuzz -- --protobuf 200000`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skipIfMissing } from '../servers/server.ts'
import type { Report } from './comparison.ts'
import { fuzzProtobuf } from './protobuf.ts'

const MESSAGES = 10_000

test('messages of random schemas are read as the library of PyPI reads them, or refused', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  let report: Report
  try {
    report = await fuzzProtobuf(MESSAGES, seed)
  } catch (error) {
    return skipIfMissing(t, error)
  }
  t.diagnostic(JSON.stringify(report))
  assert(report.same > MESSAGES / 4)
  assert(report.bothRefused > 0)
})
