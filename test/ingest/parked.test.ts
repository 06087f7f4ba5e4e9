/** Which dead letters are put through again by themselves. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Parked } from '../../ingest/parked.ts'
import { INGEST_READER, type NewDeadLetter } from '../../log/log.ts'
import { silentLogger } from '../../platform/logger.ts'
import { at, only } from '../log/only.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { append, environment, openLog, registry } from './log-fixture.ts'

const T0 = Date.now() - 600_000

test('what waits for its schema is put through, also when the newest dead letters are there no more', async (t) => {
  const log = await openLog(join(scratchDirectory(t), 'log'))
  t.after(() => log.stop())
  const codes = ['unknown-schema', 'malformed-avro', 'unknown-schema', 'malformed-avro']
  const letters: NewDeadLetter[] = []
  for (const [number, code] of codes.entries()) {
    const payload = environment(T0 + number, number)
    await append(log, 'a', payload)
    letters.push({
      offset: at(number),
      device: 'a',
      stream: 'environment',
      receivedAt: T0,
      code,
      reason: 'so',
      payload,
    })
  }
  await only(log).advance(INGEST_READER, { next: at(4), stored: 0, readings: 0, deadLetters: letters })
  await log.purge({ sequences: [4] })
  const replayed: number[] = []
  const parked = new Parked({ log, logger: silentLogger(), replayed: (messages) => replayed.push(messages) })
  t.after(() => parked.stop())
  parked.look(registry)
  await until(async () => (await log.deadLetterCounts()).replayed === 2)
  assert.deepEqual(
    (await log.deadLetters({ limit: 10 })).map(({ sequence }) => sequence),
    [2],
  )
  // And what is set aside while nothing is looked through.
  const payload = environment(T0, 0)
  const late = { device: 'a', stream: 'environment', receivedAt: T0, code: 'no-map', reason: 'so', payload }
  const end = await only(log).end()
  await append(log, 'a', payload)
  await only(log).advance(INGEST_READER, {
    next: at(end + 1),
    stored: 2,
    readings: 2,
    deadLetters: [{ ...late, offset: end }],
  })
  await until(async () => (await log.deadLetterCounts()).replayed === 3)
  await until(() => replayed.length === 2)
  assert.deepEqual(replayed, [2, 1])
})
