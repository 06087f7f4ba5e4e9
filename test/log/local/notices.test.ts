import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INGEST_READER, type NewNotice } from '../../../log/log.ts'
import { openEnvironment } from '../../../log/tables/environment.ts'
import { scratchDirectory } from '../../scratch.ts'
import { append, entry } from '../contract.ts'
import { at, only } from '../only.ts'
import { openLocal } from './open-local.ts'

const notice = (number: number): NewNotice => ({
  device: `d${number}`,
  stream: 'environment',
  code: 'superseded',
  message: 'so',
})

test('notices are followed in another process too, in order, and only the newest are kept', async (t) => {
  const directory = scratchDirectory(t)
  const log = await openLocal(t, { directory })
  const reader = await openLocal(t, { directory, writer: false })
  const say = (...notices: NewNotice[]) =>
    only(log).advance(INGEST_READER, { next: at(0), stored: 0, readings: 0, deadLetters: [], notices })
  await say(notice(0))
  const stop = new AbortController()
  const following = [log, reader].map(async (each) => {
    const told: string[] = []
    for await (const { device } of each.followNotices(stop.signal)) {
      told.push(device)
      if (told.length === 3) return told
    }
    return told
  })
  await say(notice(1))
  await say(notice(2), notice(3))
  assert.deepEqual(await Promise.all(following), [
    ['d1', 'd2', 'd3'],
    ['d1', 'd2', 'd3'],
  ])
  await say(...Array.from({ length: 1_500 }, (_, number) => notice(number)))
  await log.stop()
  await reader.stop()
  const environment = await openEnvironment(directory)
  t.after(() => environment.root.close())
  const kept = [...environment.notices.getKeys()]
  assert.deepEqual([kept.length, kept.at(-1)], [1_000, 1_504])
})

test('whoever follows notices is let go by its signal, and by a log that is closed', async (t) => {
  const log = await openLocal(t, { directory: scratchDirectory(t) })
  const stop = new AbortController()
  const aborted = log.followNotices(stop.signal)[Symbol.asyncIterator]().next()
  const closed = log.followNotices(new AbortController().signal)[Symbol.asyncIterator]().next()
  stop.abort()
  assert.equal((await aborted).done, true)
  await log.stop()
  assert.equal((await closed).done, true)
})

test('ledgers that an earlier version wrote are read, and count on', async (t) => {
  const directory = scratchDirectory(t)
  const first = await openLocal(t, { directory })
  await append(first, entry(0), entry(1), entry(2))
  await first.stop()
  const environment = await openEnvironment(directory)
  await environment.ledgers.put(INGEST_READER, { next: 2, stored: 2, deadLettered: 0, readings: 7 })
  const device = Buffer.alloc(24)
  for (const [index, count] of [2, 0, 7].entries()) device.writeDoubleLE(count, index * 8)
  await environment.deviceLedgers.put(`${INGEST_READER}/device-2`, device)
  await environment.root.close()

  const log = await openLocal(t, { directory })
  const { readings, superseded } = await log.ledger(INGEST_READER)
  assert.deepEqual([readings, superseded], [7, 0])
  const counts = { stored: 1, readings: 5, superseded: 3 }
  const devices = [{ device: 'device-2', ...counts }]
  await only(log).advance(INGEST_READER, { next: at(3), ...counts, deadLetters: [], devices })
  const whole = await log.ledger(INGEST_READER)
  const own = await log.deviceLedger(INGEST_READER, 'device-2')
  for (const ledger of [whole, own]) {
    assert.deepEqual([ledger.stored, ledger.readings, ledger.superseded, ledger.balanced], [3, 12, 3, true])
  }
})
