/** What a store that was written by ingest can give an app that resumes: as the thread that has it open answers. */

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Ingest } from '../../ingest/ingest.ts'
import { readEntries } from '../../log/entry.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import type { History, Place } from '../../schemas/history.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { append, environment, openLog, settled, temporaryDirectory } from './log-fixture.ts'

const T0 = Date.now() - 600_000
const START: Place = { position: [0], part: { shard: 0, readings: 0 } }
const signal = new AbortController().signal

async function ingestOf(t: TestContext, log: LocalLog, path: string): Promise<Ingest> {
  const ingest = new Ingest(
    { workers: 2, store: { kind: 'duckdb', path }, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
    { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
  )
  t.after(() => ingest.stop())
  await ingest.start()
  return ingest
}

async function logIn(t: TestContext, directory: string): Promise<LocalLog> {
  const log = await openLog(directory)
  t.after(() => log.stop())
  return log
}

/** Of everything that stood in the log. */
async function receivedOf(history: History, log: LocalLog) {
  assert(history.received)
  const before = [await (log.shards[0] as LocalLog['shards'][number]).end()]
  return history.received({ selections: [{}], log: log.id, from: START, before, limit: 1_000 }, signal)
}

test('each reading has the receipt and the offset of its entry in the log', async (t) => {
  const directory = await temporaryDirectory(t)
  const log = await logIn(t, join(directory, 'log'))
  const ingest = await ingestOf(t, log, join(directory, 'store.duckdb'))
  for (let n = 0; n < 20; n++) {
    if (n % 7 === 3) await append(log, 'bad', Buffer.from('no reading'))
    else await append(log, `d${n % 3}`, environment(T0 + n, n))
  }
  await settled(log)
  const { readings, lacking, truncated } = await receivedOf(ingest.history, log)
  assert.deepEqual([lacking, truncated], [[], false])
  const batch = await log.shards[0]?.read(await log.shards[0].first())
  assert(batch)
  const entries = readEntries(batch).filter(({ device }) => device !== 'bad')
  assert.deepEqual(
    readings.map(({ reading, offset, index }) => [offset, index, reading.device, reading.received]),
    entries.map(({ offset, device, receivedAt }) => [offset, 0, device, receivedAt]),
  )
  assert.deepEqual(
    readings.map(({ reading, offset }) => reading.values.temperature === offset),
    readings.map(() => true),
  )
  const position = [5]
  const query = { selections: [{}], from: T0, to: T0 + 100, limit: 100, upTo: { log: log.id, position } }
  const { pieces, upTo } = await ingest.history.readings(query, signal)
  assert.deepEqual(upTo, position)
  for await (const piece of pieces) assert.equal(piece.length, 4)

  const left = AbortSignal.abort()
  const asked = { selections: [{}], log: log.id, from: START, before: [1], limit: 1 }
  await assert.rejects(async () => ingest.history.received?.(asked, left), { name: 'AbortError' })
})

test('of a store that another log was written to, no row is taken for one of this', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'store.duckdb')
  const first = await logIn(t, join(directory, 'log'))
  const before = await ingestOf(t, first, path)
  for (let n = 0; n < 5; n++) await append(first, 'a', environment(T0 + n, n))
  await settled(first)
  await before.stop()

  const log = await logIn(t, join(directory, 'another log'))
  await append(log, 'b', environment(T0, 1))
  const after = await ingestOf(t, log, path)
  await settled(log)
  await append(log, 'a', environment(T0 + 1, 7))
  await settled(log)
  const { readings, lacking } = await receivedOf(after.history, log)
  assert.deepEqual(lacking, [])
  assert.deepEqual(
    readings.map(({ reading, offset }) => [offset, reading.device, reading.values.temperature]),
    [
      [0, 'b', 1],
      [1, 'a', 7],
    ],
  )
  const old = await receivedOf(after.history, first)
  assert.deepEqual([old.readings, old.lacking], [[], [{ shard: 0, first: 0, next: 5 }]])
})

test('when an older copy of the log is put back, what the store had of later messages has no place in it', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'store.duckdb')
  let log = await logIn(t, join(directory, 'log'))
  await append(log, 'a', environment(T0, 0))
  await append(log, 'a', environment(T0 + 1, 1))
  await log.stop()
  await cp(join(directory, 'log'), join(directory, 'copy'), { recursive: true })
  log = await logIn(t, join(directory, 'log'))
  let ingest = await ingestOf(t, log, path)
  for (let n = 2; n < 9; n++) await append(log, 'a', environment(T0 + n, n))
  await settled(log)
  await ingest.stop()

  log = await logIn(t, join(directory, 'copy'))
  ingest = await ingestOf(t, log, path)
  await append(log, 'b', environment(T0 + 50, 50))
  await settled(log)
  const { readings, lacking } = await receivedOf(ingest.history, log)
  assert.deepEqual(
    readings.map(({ reading, offset }) => [offset, reading.device, reading.values.temperature]),
    [
      [0, 'a', 0],
      [1, 'a', 1],
      [2, 'b', 50],
    ],
  )
  assert.deepEqual(lacking, [])
})
