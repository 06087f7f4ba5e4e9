/** The short form; the long one is `npm run fuzz -- --avro 200000`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pythonWith } from '../servers/python.ts'
import { findOrSkip } from '../servers/server.ts'
import { fuzzAvro } from './avro.ts'

const MESSAGES = 5_000

test('Avro of random schemas in several versions is read as fastavro reads it, or refused', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.diagnostic(`seed ${seed}`)
  if (findOrSkip(t, () => pythonWith('fastavro', 'pip install fastavro')) === undefined) return
  const report = await fuzzAvro(MESSAGES, seed)
  t.diagnostic(JSON.stringify(report))
  assert(report.same > MESSAGES / 4)
  assert(report.bothRefused > 0)
})
