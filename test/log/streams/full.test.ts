/** A log on streams that is as large as it may be, or whose engine does not answer for one stream: on the engine in memory. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INGEST_READER } from '../../../log/log.ts'
import { LogError } from '../../../log/log-error.ts'
import { changeBytes } from '../../../log/streams/change.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { append, entry } from '../contract.ts'
import { at, only } from '../only.ts'
import { MemoryEngine, MemoryStreams } from './memory-streams.ts'
import { openOn } from './open-streams.ts'

const MAX_BYTES = 100_000
const large = (number: number) => entry(number, { payload: Buffer.alloc(1_000, number) })

test('a log that is full of what is not stored refuses, removes nothing, and takes again when it is stored', async (t) => {
  const engine = new MemoryEngine(1)
  const log = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t), maxBytes: MAX_BYTES })
  let accepted = 0
  for (let refused: LogError | undefined; refused === undefined; ) {
    refused = await append(log, large(accepted)).then(
      () => undefined,
      (error: LogError) => error,
    )
    if (refused === undefined) accepted++
    else assert.equal(refused.code, 'log-full')
  }
  assert.equal(log.full?.code, 'log-full')
  assert.equal(await only(log).first(), 0)
  assert.equal((await log.ledger(INGEST_READER)).pending, accepted)
  await only(log).advance(INGEST_READER, { next: at(accepted), stored: accepted, readings: 0, deadLetters: [] })
  await until(() => log.full === undefined)
  await append(log, large(accepted))
  assert((await only(log).first()) > 0)
  const { accepted: all, stored, pending, balanced } = await log.ledger(INGEST_READER)
  assert.deepEqual([all, stored, pending, balanced], [accepted + 1, accepted, 1, true])
})

test('one stream that is not answered keeps the log from being told as there, though the others are', async (t) => {
  const engine = new MemoryEngine(2)
  const log = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  const row = engine.rows.log[0] ?? assert.fail()
  row.isAway = true
  const devices = Array.from({ length: 8 }, (_, number) => `device-${number}`)
  const appended = Promise.all(devices.map((device) => append(log, entry(0, { device }))))
  await until(() => log.full !== undefined)
  // Others are answered meanwhile.
  await log.presence.update('device-0', () => ({ online: true, since: 1 }))
  await log.presence.update('device-1', () => ({ online: true, since: 1 }))
  assert.equal(log.full?.code, 'log-unreachable')
  row.isAway = false
  await appended
  await until(() => log.full === undefined)
})

test('a change of a newer version ends the process instead of being passed over; what is no change at all is', async (t) => {
  const engine = new MemoryEngine(1)
  const log = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  const other = new MemoryStreams(engine)
  await other.start()
  const books = other.stream('books', 0)
  await books.append([{ key: '0', value: Buffer.from('nobody knows what this is') }])
  await log.presence.update('truck', () => ({ online: true, since: 1 }))
  const change = { kind: 'merge', device: 'truck' } as never
  await books.append([{ key: '0', value: changeBytes({ id: 'newer-1', at: 1, change }) }])
  await assert.rejects(
    log.failed,
    (error) => error instanceof LogError && /newer version \(merge\)/.test(error.message),
  )
})

test('a start that fails leaves nothing open: the next one has the same place', async (t) => {
  const engine = new MemoryEngine(1)
  const directory = scratchDirectory(t)
  await (await openOn(t, new MemoryStreams(engine), { directory })).stop()
  const books = engine.rows.books[0] ?? assert.fail()
  const change = { kind: 'merge', device: 'truck' } as never
  const value = changeBytes({ id: 'newer-1', at: 1, change })
  books.records.push({ offset: books.records.length, at: 1, value })
  for (let time = 0; time < 20; time++)
    await assert.rejects(openOn(t, new MemoryStreams(engine), { directory }), { code: 'log-failed' })
})

test('a log is closed though its engine goes away while it is', async (t) => {
  const engine = new MemoryEngine(1)
  const log = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  const books = engine.rows.books[0] ?? assert.fail()
  books.isAway = true
  const asked = log.presence.update('truck', () => ({ online: true, since: 1 }))
  const [refused] = await Promise.allSettled([asked, log.stop()])
  assert.equal(refused?.status, 'rejected')
})
