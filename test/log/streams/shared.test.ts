/** Several processes on one log: each test has its own engine in memory, and a directory for each process. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { OWN, readEntries, shardOf } from '../../../log/entry.ts'
import { INGEST_READER, type NewDeadLetter } from '../../../log/log.ts'
import type { StreamsLog } from '../../../log/streams/streams-log.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { append, entry } from '../contract.ts'
import { at } from '../only.ts'
import { MemoryEngine, MemoryStreams } from './memory-streams.ts'
import { openOn } from './open-streams.ts'

const SHARDS = 4

async function two(t: TestContext): Promise<{ engine: MemoryEngine; one: StreamsLog; other: StreamsLog }> {
  const engine = new MemoryEngine(SHARDS)
  const open = () => openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  return { engine, one: await open(), other: await open() }
}

/** The shard of a device. */
function shardFor(log: StreamsLog, device: string) {
  return log.shards[shardOf(device, SHARDS)] ?? assert.fail('there is no such shard')
}

const device = (number: number) => `device-${number % 3}`

const letterOf = (offset: number, of: string): NewDeadLetter => ({
  offset: at(offset),
  device: of,
  stream: 'environment',
  receivedAt: 1_000,
  code: 'malformed-avro',
  reason: 'cut short',
  payload: Buffer.from('payload'),
})

test('what is pending is told of each shard, by metrics', async (t) => {
  const metrics = createMetrics()
  const options = { directory: scratchDirectory(t), metrics }
  const log = await openOn(t, new MemoryStreams(new MemoryEngine(SHARDS)), options)
  await append(log, ...Array.from({ length: 6 }, (_, number) => entry(number)))
  const expected = Array<number>(SHARDS).fill(0)
  for (let number = 0; number < 6; number++) {
    const shard = shardOf(device(number), SHARDS)
    expected[shard] = (expected[shard] ?? 0) + 1
  }
  const pending = async () => {
    const { values = [] } = (await metrics.getSingleMetric('telltale_log_shard_pending_messages')?.get()) ?? {}
    return values.map(({ value }) => value)
  }
  await until(async () => {
    await metrics.metrics()
    return String(await pending()) === String(expected)
  })
})

test('both append, both have the same shards, and each sees all; what is its own is flagged for who follows', async (t) => {
  const { one, other } = await two(t)
  assert.equal(one.id, other.id)
  await Promise.all([one, other].map((log) => append(log, ...Array.from({ length: 60 }, (_, number) => entry(number)))))
  for (const log of [one, other]) {
    const { accepted, pending, balanced } = await log.ledger(INGEST_READER)
    assert.deepEqual([accepted, pending, balanced], [120, 120, true])
  }
  const shard = shardFor(one, 'device-1')
  const end = await shard.end()
  const stopping = new AbortController()
  let own = 0
  let all = 0
  for await (const batch of shard.follow(at(0), stopping.signal)) {
    for (const { flags } of readEntries(batch)) {
      all++
      if ((flags & OWN) !== 0) own++
    }
    if (batch.next === end) stopping.abort()
  }
  assert.equal(own * 2, all)
})

test('of two that pass the same entries one counts, and the other learns that it was late', async (t) => {
  const { one, other } = await two(t)
  await append(one, entry(0), entry(0), entry(0))
  const [mine, theirs] = [shardFor(one, device(0)), shardFor(other, device(0))]
  const progress = { from: at(0), next: at(3), stored: 2, readings: 2 }
  await mine.advance(INGEST_READER, { ...progress, deadLetters: [letterOf(1, device(0))] })
  await assert.rejects(theirs.advance(INGEST_READER, { ...progress, deadLetters: [letterOf(1, device(0))] }), {
    code: 'log-passed',
  })
  assert.equal(await theirs.checkpoint(INGEST_READER), 3)
  for (const log of [one, other]) {
    const { stored, deadLettered, balanced } = await log.ledger(INGEST_READER)
    assert.deepEqual([stored, deadLettered, balanced], [2, 1, true])
    assert.equal((await log.deadLetters({ limit: 9 })).length, 1)
  }
})

test('changes to presence of one device by both are in one order, none is lost, and each hears of the other', async (t) => {
  const { one, other } = await two(t)
  const stopping = new AbortController()
  const heard: string[] = []
  const following = (async () => {
    for await (const { status } of other.presence.follow(stopping.signal)) heard.push(String(status))
  })()
  const addOne = (log: StreamsLog, name: string) =>
    log.presence.update('truck', (known) => ({
      online: true,
      since: 1,
      status: Buffer.from(`${known?.status ?? ''}${name}`),
    }))
  const epochs = await Promise.all([...'aaaaa'].flatMap((name) => [addOne(one, name), addOne(other, 'b')]))
  assert.equal(new Set(epochs).size, epochs.length)
  for (const log of [one, other]) {
    await until(() => log.presence.get('truck')?.status?.length === 10)
    const status = String(log.presence.get('truck')?.status)
    assert.equal([...status].sort().join(''), 'aaaaabbbbb')
  }
  await until(() => heard.at(-1)?.length === 10 || heard.length >= 5)
  stopping.abort()
  await following
  assert.deepEqual([...one.presence.all()].length, 1)
})

test('a claim is had by one; who leaves lets it go, and the others hear of it', async (t) => {
  const { one, other } = await two(t)
  assert.deepEqual(await Promise.all([one.claim('alerts'), other.claim('alerts')]).then((all) => all.filter(Boolean)), [
    true,
  ])
  const holder = (await one.claim('alerts')) ? one : other
  const standby = holder === one ? other : one
  assert.equal(await standby.claim('alerts'), false)
  await holder.roles.begin('broker')
  await until(() => standby.roles.all().some(({ role, isRunning }) => role === 'broker' && isRunning))
  const { self } = holder.members
  assert.equal(standby.members.isThere(self), true)
  const stopping = new AbortController()
  const gone = standby.members.followGone(stopping.signal)[Symbol.asyncIterator]().next()
  await holder.stop()
  assert.deepEqual(await gone, { done: false, value: self })
  stopping.abort()
  assert.equal(standby.members.isThere(self), false)
  assert.equal(await standby.claim('alerts'), true)
})

test('while the engine is away nothing is acknowledged and nothing refused; all comes when it is back, and the books balance', async (t) => {
  const { engine, one, other } = await two(t)
  await append(one, entry(0))
  engine.isAway = true
  let acknowledged = 0
  const appended = Promise.all(
    Array.from({ length: 20 }, (_, number) => append(one, entry(number)).then(() => acknowledged++)),
  )
  const updated = one.presence.update('truck', () => ({ online: true, since: 1 }))
  await until(() => one.full?.code === 'log-unreachable')
  assert.equal(acknowledged, 0)
  engine.isAway = false
  await appended
  assert(Number(await updated) > 0)
  await until(() => one.full === undefined)
  const { accepted, balanced } = await other.ledger(INGEST_READER)
  assert(accepted >= 21, `${accepted} of 21 are there; some may be twice`)
  assert.equal(balanced, true)
})

test('a replay that ends between appending and taking out is finished by who passes the messages: held or replayed, never both', async (t) => {
  const { engine, one, other } = await two(t)
  await append(one, entry(0))
  const shard = shardFor(one, device(0))
  await shard.advance(INGEST_READER, { next: at(1), stored: 0, readings: 0, deadLetters: [letterOf(0, device(0))] })
  await until(async () => (await other.deadLetterCounts()).held === 1)
  // The messages of the replay come into the log, and what takes the letters out is lost with its process.
  const books = engine.rows.books[shardOf(device(0), SHARDS)] ?? assert.fail()
  const before = books.records.length
  const replaying = other.replay({})
  await until(async () => (await shard.end()) === 2)
  await replaying
  books.records.length = before
  const third = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  assert.equal((await third.deadLetterCounts()).held, 1)
  const devices = [{ device: device(0), stored: 1, readings: 1, replayed: 1 }]
  await shardFor(third, device(0)).advance(INGEST_READER, {
    from: at(1),
    next: at(2),
    stored: 1,
    readings: 1,
    deadLetters: [],
    devices,
  })
  const { held, replayed } = await third.deadLetterCounts()
  assert.deepEqual([held, replayed], [0, 1])
  const { accepted, stored, deadLettered, balanced } = await third.ledger(INGEST_READER)
  assert.deepEqual([accepted, stored, deadLettered, balanced], [2, 1, 1, true])
})

test('a process that begins has all that is known from the books, and a log of another number of shards is refused', async (t) => {
  const { engine, one } = await two(t)
  await append(one, entry(0), entry(1), entry(2))
  await one.commands.add({ device: 'truck', payload: Buffer.from('{}'), expiresAt: Date.now() + 60_000 })
  await one.presence.update('truck', () => ({ online: true, since: 1 }))
  const third = await openOn(t, new MemoryStreams(engine), { directory: scratchDirectory(t) })
  assert.equal(third.commands.of('truck').length, 1)
  assert.equal(third.presence.get('truck')?.online, true)
  const fewer = new MemoryEngine(2)
  fewer.rows.books[0]?.records.push(...(engine.rows.books[0]?.records ?? []))
  await assert.rejects(openOn(t, new MemoryStreams(fewer), { directory: scratchDirectory(t) }), { code: 'log-unsafe' })
})
