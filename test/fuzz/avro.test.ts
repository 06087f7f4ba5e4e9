/** The short form; the long one is `npm run fuzz -- --avro 200000`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skipIfMissing } from '../servers/server.ts'
import { type AvroReport, fuzzAvro } from './avro.ts'

const MESSAGES = 5_000

test('Avro of random schemas in several versions is read as fastavro reads it, or refused', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  let report: AvroReport
  try {
    report = await fuzzAvro(MESSAGES, seed)
  } catch (error) {
    return skipIfMissing(t, error)
  }
  t.diagnostic(JSON.stringify(report))
  assert(report.same > MESSAGES / 4)
  assert(report.bothRefused > 0)
})
