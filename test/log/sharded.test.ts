import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Access } from '../../gateway/access.ts'
import { AlertBook } from '../../gateway/alerts/book.ts'
import { DeadLetterCounts } from '../../gateway/alerts/dead-letters.ts'
import { DeadLetters } from '../../gateway/dead-letters.ts'
import { Latest } from '../../gateway/latest.ts'
import { parseCursor } from '../../gateway/live/cursor.ts'
import { Feeds } from '../../gateway/live/feeds.ts'
import { Groups } from '../../gateway/live/groups.ts'
import { Tail } from '../../gateway/live/tail.ts'
import { GatewayMetrics } from '../../gateway/metrics.ts'
import { Query } from '../../gateway/request.ts'
import { Ingest } from '../../ingest/ingest.ts'
import { Parked } from '../../ingest/parked.ts'
import type { StoreOptions } from '../../ingest/stores.ts'
import { letterOf, numberOf } from '../../log/dead-letter-place.ts'
import { deviceHash, shardOf, writeEntry } from '../../log/entry.ts'
import { INGEST_READER } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { CurrentSchemas } from '../../schemas/current-schemas.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { pageOf } from '../history.ts'
import { append, environment, registry, settled } from '../ingest/log-fixture.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { ShardedLog } from './sharded.ts'

const T0 = Date.now() - 600_000
const DEVICES = ['a', 'c', 'd', 'e', 'g']

test('a device is in one shard for ever: by the published FNV-1a of its id, which its entries have too', () => {
  const known = { a: 0xe40c292c, b: 0xe70c2de5, foobar: 0xbf9cf968 }
  for (const [device, hash] of Object.entries(known)) {
    const bytes = Buffer.alloc(1_000)
    writeEntry(bytes, 100, { device, stream: 'environment', receivedAt: T0, flags: 0, payload: Buffer.from('x') })
    assert.equal(deviceHash(bytes, 100), hash)
    for (const shards of [1, 4, 24]) assert.equal(shardOf(device, shards), hash % shards)
  }
})

test('ingest stores what is in every shard, and a store that lost it is given it again', async (t) => {
  const directory = scratchDirectory(t)
  const log = await ShardedLog.open(t, join(directory, 'log'), 3)
  const path = join(directory, 'store.duckdb')
  const query = { selections: [{}], from: T0, to: T0 + 10_000, limit: 1_000 }
  const started = async () => {
    const store: StoreOptions = { kind: 'duckdb', path }
    const deps = { log, clock: systemClock, logger: silentLogger(), metrics: createMetrics() }
    const ingest = new Ingest(
      { workers: 1, store, schemas: new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR }) },
      deps,
    )
    t.after(() => ingest.stop())
    await ingest.start()
    return ingest
  }
  const first = await started()
  const appended: Promise<void>[] = []
  for (let n = 0; n < 300; n++) appended.push(append(log, DEVICES[n % 5] ?? '', environment(T0 + n, n)))
  appended.push(append(log, 'a', Buffer.from('zzzz')))
  await Promise.all(appended)
  const counts = {
    accepted: 301,
    stored: 300,
    deadLettered: 1,
    pending: 0,
    balanced: true,
    readings: 300,
    superseded: 0,
  }
  assert.deepEqual(await settled(log), counts)
  for (const shard of log.shards) assert.notEqual((await shard.ledger(INGEST_READER)).stored, 0)
  // Of the second shard, which has 60 messages each of "a" and "d" before it.
  const [letter, ...others] = await log.deadLetters({ limit: 10 })
  assert.deepEqual([letter?.sequence, letter?.offset, others.length], [numberOf(1, 1, 3), 120, 0])
  assert.equal((await pageOf(first.history, query)).readings.length, 300)
  await first.stop()

  await rm(path)
  const second = await started()
  await until(async () => (await pageOf(second.history, query)).readings.length === 300)
  await append(log, 'e', environment(T0 + 300, 300))
  assert.deepEqual(await settled(log), { ...counts, accepted: 302, stored: 301, readings: 301 })
  assert.equal((await pageOf(second.history, query)).readings.length, 301)
})

test('a frame lies after all readings before its cursor, in every shard, and before the others', async (t) => {
  const log = await ShardedLog.open(t, scratchDirectory(t), 3)
  for (const device of DEVICES) await append(log, device, environment(T0, 1))
  const latest = new Latest(registry)
  const sent = new Map<string, number>()
  let frames = 0
  const readingsOf = (devices: string) => [...devices].reduce((sum, device) => sum + (sent.get(device) ?? 0), 0)
  const feeds = new Feeds({
    log,
    decoder: new Decoder(registry),
    tagsOf: () => new Set(),
    seriesOf: ({ device }) => device,
  })
  const groups = new Groups((group) =>
    feeds.of(group, group.wanted, ({ data }) => {
      const frame: { readonly cursor: string; readonly readings: readonly { device: string }[] } = JSON.parse(
        String(data),
      )
      for (const { device } of frame.readings) sent.set(device, (sent.get(device) ?? 0) + 1)
      // A message a reading; those before the start were not sent.
      const { position } = parseCursor(log, frame.cursor)
      assert.deepEqual(position, [readingsOf('g') + 1, readingsOf('ad') + 2, readingsOf('ce') + 2])
      frames++
    }),
  )
  assert(groups.join({ selections: [{}] }))
  const tail = new Tail({
    log,
    decoder: new Decoder(registry),
    latest,
    groups,
    publish: () => assert.fail('there is no gap'),
    published: () => undefined,
    tagsOf: () => new Set(),
    clock: systemClock,
    logger: silentLogger(),
    metrics: new GatewayMetrics(createMetrics()),
  })
  t.after(() => tail.stop())
  await tail.start()
  assert.equal(latest.series, 2 * DEVICES.length, 'what was not stored yet is known')
  const appended: Promise<void>[] = []
  for (let n = 1; n <= 500; n++) appended.push(append(log, DEVICES[n % 5] ?? '', environment(T0 + n, n)))
  await Promise.all(appended)
  await until(() => readingsOf('acdeg') === 500)
  assert(frames >= 3)
  const end = await Promise.all(log.shards.map((shard) => shard.end()))
  assert.deepEqual(tail.place.position, end)
})

test('dead letters of all shards are told apart, listed by page, followed, and put through by themselves', async (t) => {
  const log = await ShardedLog.open(t, scratchDirectory(t), 4)
  const clock = systemClock
  const logger = silentLogger()
  /** Sets aside what comes next of each of these devices, of whose shards each has one. */
  const setAside = async (devices: string, code = 'unknown-schema') => {
    for (const device of devices) {
      const { [shardOf(device, 4)]: shard } = log.shards
      assert(shard)
      const offset = await shard.end()
      const payload = environment(T0 + offset, offset)
      await append(log, device, payload)
      const letter = { offset, device, stream: 'environment', receivedAt: T0, code, reason: 'so', payload }
      const next = await shard.end()
      const stored = offset - ((await shard.checkpoint(INGEST_READER)) ?? 0)
      await shard.advance(INGEST_READER, { next, stored, readings: stored, deadLetters: [letter] })
    }
  }
  await setAside('abcdaaab')
  const all = await log.deadLetters({ limit: 100 })
  assert.equal(new Set(all.map(({ sequence }) => sequence)).size, 8)
  for (const { sequence, device } of all) assert.equal(letterOf(sequence, 4).shard, shardOf(device, 4))

  const schemas = new CurrentSchemas({ directory: SHIPPED_SCHEMAS_DIR })
  const letters = new DeadLetters({ log, schemas, clock })
  const access = new Access({ kind: 'app', filters: ['#'], expiresAt: Number.POSITIVE_INFINITY })
  const listed: { readonly id: string; readonly device: string }[] = []
  for (let after: string | undefined = ''; after !== undefined; ) {
    const query = new Query(new URLSearchParams({ limit: '3', ...(after !== '' && { after }) }).toString())
    const page: Awaited<ReturnType<DeadLetters['page']>> = await letters.page(query, access)
    listed.push(...page.deadLetters)
    after = page.next
  }
  const times = listed.map(({ id }) => all.find(({ sequence }) => String(sequence) === id)?.setAsideAt)
  assert.deepEqual(times, all.map(({ setAsideAt }) => setAsideAt).reverse(), 'the newest first, whatever its shard')
  assert.equal(new Set(listed.map(({ id }) => id)).size, 8)
  for (const { id, device } of listed) assert.equal((await letters.one(id, new Query(''), access)).device, device)

  // Of shards that have had few, and of those that have had many, each is told.
  const told: string[] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const { device } of log.followDeadLetters(await log.lastDeadLetter(), stop.signal)) told.push(device)
  })()
  await nextTurn()
  await setAside('dacb', 'malformed-avro')
  await until(() => told.length === 4)
  stop.abort()
  await following
  assert.deepEqual(told.sort(), ['a', 'b', 'c', 'd'])

  const parked = new Parked({ log, logger, replayed: () => undefined })
  t.after(() => parked.stop())
  parked.look(registry)
  await until(async () => (await log.deadLetterCounts()).replayed === 8)
  assert.equal((await log.deadLetterCounts()).held, 4)
  await setAside('c')
  await until(async () => (await log.deadLetterCounts()).replayed === 9)
})

test('a rule about dead letters counts those of a shard that has had few, and none twice after a restart', () => {
  const book = new AlertBook({ clock: systemClock, logger: silentLogger() })
  const countsOf = (shards = 4) => new DeadLetterCounts({ book, declared: { get: () => undefined }, shards })
  const before = countsOf()
  assert.deepEqual(before.restore([], [400, 0, 0, 0], T0), [400, 0, 0, 0])
  const letter = { offset: 0 as Offset, device: 'd', stream: '', receivedAt: T0, reason: '', payload: Buffer.alloc(0) }
  for (const sequence of [numberOf(1, 3, 4), numberOf(101, 0, 4)])
    before.take({ ...letter, sequence, code: 'empty', setAsideAt: T0 })
  assert.deepEqual(before.marks.at(-1)?.place, [404, 0, 0, 7])
  const saved = JSON.parse(JSON.stringify(before.marks))
  assert.deepEqual(countsOf().restore(saved, [404, 5, 0, 7], T0 + 1), [404, 0, 0, 7])
  // Of another log, and of a version that knew one shard.
  assert.deepEqual(countsOf().restore(saved, [404, 5, 0, 3], T0 + 1), [404, 5, 0, 3])
  assert.deepEqual(countsOf(1).restore([{ sequence: 17, at: T0 }], [18], T0 + 1), [17])
})
