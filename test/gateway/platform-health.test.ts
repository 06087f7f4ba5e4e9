import assert from 'node:assert/strict'
import { REPLAYED } from '../../log/entry.ts'
import { INGEST_READER } from '../../log/log.ts'
import { until } from '../until.ts'
import { App, environment, HOUR_MS, NOW, onEachServer, publish, startPlatform, type TestPlatform } from './platform.ts'

const health = async (platform: TestPlatform, token = platform.token) =>
  (await platform.get('/v1/platform', { token })).json() as Promise<Record<string, unknown>>

onEachServer('how the platform is: books, log, disk, store, devices, apps, rates and parts', async (t, server) => {
  let reason: string | undefined
  const platform = await startPlatform(t, server, {
    ready: () => reason,
    prepare: async (log) => {
      await log.presence.update('a', () => ({ online: true, since: NOW }))
      await log.presence.update('b', () => ({ online: false, since: NOW }))
    },
    devices: 'device: c',
  })
  const { log, clock } = platform
  const before = await health(platform)
  assert.equal(before.rates, undefined)
  assert.deepEqual(before.parts, [
    { role: 'broker', state: 'unknown' },
    { role: 'ingest', state: 'unknown' },
    { role: 'gateway', state: 'unknown' },
  ])
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#' })
  for (const device of ['a', 'a', 'd']) await platform.publish(device, 'environment', environment(NOW))
  const [shard] = log.shards
  assert(shard)
  const end = await shard.end()
  const stored = (first: number) => ({
    next: (end - 3 + first) as typeof end,
    stored: first,
    readings: first,
    deadLetters: [],
  })
  await shard.advance(INGEST_READER, stored(1))
  const note = (kind: 'began' | 'ended', code: 'ingest-up' | 'broker-up' | 'store-away', text: string) =>
    log.journal.notePlatform({ kind, code, text })
  note('began', 'broker-up', 'the broker was started')
  note('ended', 'broker-up', 'the broker was stopped')
  note('began', 'ingest-up', 'ingest was started')
  clock.time += 1
  note('began', 'store-away', 'connection refused')
  await until(() => log.journal.ofPlatform()?.totals.length === 4)
  clock.time += 9_999
  reason = 'stopping'
  const { disk, log: extent, ...rest } = await health(platform)
  assert.deepEqual(rest, {
    at: NOW + 10_000,
    version: '1.2.3',
    startedAt: NOW,
    ready: false,
    reason: 'stopping',
    ledger: {
      accepted: 3,
      stored: 1,
      deadLettered: 0,
      pending: 2,
      balanced: true,
      readings: 1,
      superseded: 0,
      held: 0,
      replayed: 0,
    },
    store: {
      kind: 'duckdb',
      state: 'away',
      since: NOW + 1,
      error: 'connection refused',
      lagMessages: 2,
      lagMs: 10_000,
    },
    devices: { known: 4, online: 1 },
    apps: { connections: 2, subscriptions: 1 },
    rates: { receivedPerSecond: 0.3, storedPerSecond: 0.1, deadLetteredPerSecond: 0 },
    parts: [
      { role: 'broker', state: 'stopped', since: NOW },
      { role: 'ingest', state: 'running', since: NOW },
      { role: 'gateway', state: 'unknown' },
    ],
  })
  const { freeBytes, totalBytes } = disk as { freeBytes: number; totalBytes: number }
  assert(freeBytes > 0 && freeBytes < totalBytes)
  const { bytes, ...others } = extent as { bytes: number }
  assert(bytes > 0)
  assert.deepEqual(others, { bytesMax: 2 ** 30, oldestAt: NOW })

  note('ended', 'store-away', 'the store takes writes again')
  await until(() => log.journal.ofPlatform()?.totals.length === 5)
  await shard.advance(INGEST_READER, { ...stored(3), stored: 2, readings: 2 })
  assert.deepEqual((await health(platform)).store, { kind: 'duckdb', state: 'ok', lagMessages: 0, lagMs: 0 })
})

onEachServer(
  'how far the store is behind is the age of the oldest message that waits, whenever it is asked',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const { log, clock } = platform
    const [shard] = log.shards
    assert(shard)
    const lagMs = async () => ((await health(platform)).store as { lagMs: number }).lagMs
    const store = async (stored: number) =>
      shard.advance(INGEST_READER, { next: await shard.end(), stored, readings: stored, deadLetters: [] })
    await platform.publish('a', 'environment', environment(clock.time))
    await store(1)
    assert.equal(await lagMs(), 0)
    clock.time += 4_500
    await platform.publish('a', 'environment', environment(clock.time))
    clock.time += 200
    await publish(log, NOW - HOUR_MS, 'a', 'environment', environment(NOW), REPLAYED)
    assert.deepEqual([await lagMs(), await lagMs()], [200, 200])
    await store(2)
    await publish(log, NOW - HOUR_MS, 'a', 'environment', environment(NOW), REPLAYED)
    assert.equal(await lagMs(), 0)
    await platform.publish('a', 'environment', environment(clock.time))
    clock.time += 300
    assert.equal(await lagMs(), 300)
  },
)

onEachServer('a token of some devices gets of the platform what the ledger gives it', async (t, server) => {
  const platform = await startPlatform(t, server)
  await platform.publish('a', 'environment', environment(NOW))
  for (const filter of ['devices/a/telemetry/#', 'devices/+/status']) {
    const token = await platform.identity.signApp([filter], HOUR_MS)
    const ledger = await (await platform.get('/v1/ledger', { token })).json()
    assert.deepEqual(await health(platform, token), { at: NOW, ready: true, ledger })
  }
  const all = await platform.identity.signApp(['devices/+/telemetry/environment'], HOUR_MS)
  assert.equal((await health(platform, all)).version, '1.2.3')
})
