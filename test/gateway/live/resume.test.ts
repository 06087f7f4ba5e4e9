/** Where subscriptions begin and go on: cursors, the last minutes, updates; and what is sent to whom wants fewer readings. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { readEntries } from '../../../log/entry.ts'
import { INGEST_READER } from '../../../log/log.ts'
import type { Offset } from '../../../log/position.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'
import {
  App,
  environment,
  type Frame,
  HOUR_MS,
  NOW,
  onEachServer,
  publish,
  startPlatform,
  type TestPlatform,
  vibration,
} from '../platform.ts'

const SEED = Number(process.env.TELLTALE_TEST_SEED ?? Date.now() % 2 ** 31)

/** Publishes readings numbered `from` to `to`, exclusive, of one device, by their time. */
async function number(platform: TestPlatform, from: number, to: number, device = 'a'): Promise<void> {
  for (let each = from; each < to; each++) await platform.publish(device, 'environment', environment(NOW + each))
}

const numbers = (app: App, name?: string) => app.readings(name).map(({ ts }) => ts - NOW)
const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => from + index)
const lastCursor = (app: App) => String(app.frames.findLast(({ cursor }) => cursor !== undefined)?.cursor)

async function untilNumber(app: App, last: number): Promise<void> {
  await app.until(() => app.readings().some(({ ts }) => ts === NOW + last))
}

onEachServer('an app that comes back with its last cursor gets what it missed, then what comes', async (t, server) => {
  const platform = await startPlatform(t, server)
  const first = await App.connect(t, platform)
  await first.subscribe({ filter: 'devices/a/#' })
  await number(platform, 0, 10)
  await untilNumber(first, 9)
  first.socket.terminate()
  await number(platform, 10, 500)
  await number(platform, 0, 5, 'b')
  const second = await App.connect(t, platform)
  await second.subscribe({ filter: 'devices/a/#', start: { after: lastCursor(first) } })
  assert.deepEqual(numbers(second), upTo(500, 10), 'before it is live')
  await number(platform, 500, 510)
  await untilNumber(second, 509)
  assert.deepEqual(numbers(second), upTo(510, 10))
  assert.ok(second.readings().every(({ received }) => received === NOW))
})

onEachServer('what ingest could not decode is not sent from the past, but its replay is', async (t, server) => {
  const platform = await startPlatform(t, server)
  const [shard] = platform.log.shards
  assert(shard)
  const first = await App.connect(t, platform)
  await first.subscribe({ filter: '#' })
  const cursor = lastCursor(first)
  await number(platform, 0, 6)
  await untilNumber(first, 5)
  const batch = await shard.read(0 as Offset)
  const deadLetters = readEntries(batch ?? assert.fail())
    .slice(1, 4)
    // The first is of those that could be decoded: apps had it, and its replay is not sent.
    .map(({ flags: _, ...entry }, index) => ({ ...entry, code: 'a test', reason: 'so', decoded: index === 0 }))
  await shard.advance(INGEST_READER, { next: 4 as Offset, stored: 1, readings: 1, deadLetters })
  const had = async (start: object, last: number) => {
    const app = await App.connect(t, platform)
    await app.subscribe({ filter: '#', start })
    await untilNumber(app, last)
    return numbers(app)
  }
  // Of what ingest has not come to yet nothing is known.
  assert.deepEqual(await had({ after: cursor }, 5), [0, 1, 4, 5])
  await platform.log.replay({ sequences: [1, 3] })
  await platform.log.purge({ sequences: [2] })
  assert.deepEqual(await had({ after: cursor }, 3), [0, 1, 4, 5, 3])
  assert.deepEqual(await had({ last: '30m' }, 3), [0, 1, 4, 5, 3])
})

onEachServer('a cursor within a message of many readings goes on at the next of them', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#' })
  const batch = Array.from({ length: 5_000 }, (_, index) => environment(NOW + index))
  await platform.publish('a', 'environment', platform.registry.encode('environment', batch))
  await untilNumber(app, 4_999)
  const frames = app.frames.filter(({ type }) => type === 'readings')
  assert.ok(frames.length > 5)
  for (const [index, { cursor }] of frames.entries()) {
    const had = frames.slice(0, index + 1).reduce((sum, frame) => sum + (frame.readings as unknown[]).length, 0)
    const again = await App.connect(t, platform)
    await again.subscribe({ filter: '#', start: { after: cursor } })
    assert.deepEqual(numbers(again), upTo(5_000, had))
    again.socket.terminate()
  }
})

onEachServer('apps that come and go at random, at any cursor, have every reading once', async (t, server) => {
  t.diagnostic(`seed ${SEED} (TELLTALE_TEST_SEED)`)
  const platform = await startPlatform(t, server)
  const steps = fc.sample(
    fc.record({
      messages: fc.integer({ min: 1, max: 30 }),
      batch: fc.integer({ min: 1, max: 700 }),
      away: fc.boolean(),
    }),
    { numRuns: 60, seed: SEED },
  )
  let sent = 0
  const had: number[] = []
  let cursor: string | undefined
  let app: App | undefined
  for (const { messages, batch, away } of steps) {
    if (app === undefined) {
      app = await App.connect(t, platform)
      app.send({ type: 'subscribe', id: '1', filter: '#', start: cursor === undefined ? 'now' : { after: cursor } })
      // Sometimes it leaves in the midst of the past.
      if (cursor === undefined || !away) await app.next('live')
    }
    for (let each = 0; each < messages; each++) {
      const readings = upTo(sent + batch, sent).map((index) => environment(NOW + index))
      platform.log.append(
        {
          device: 'a',
          stream: 'environment',
          receivedAt: NOW,
          flags: 0,
          payload: platform.registry.encode('environment', readings),
        },
        () => undefined,
      )
      sent += batch
    }
    if (!away) continue
    await app.until(() => app?.frames.some(({ type }) => type === 'readings'))
    app.socket.terminate()
    had.push(...numbers(app))
    cursor = lastCursor(app)
    app = undefined
  }
  app ??= await App.connect(t, platform)
  if (cursor !== undefined && app.frames.length === 1) {
    app.send({ type: 'subscribe', id: '1', filter: '#', start: { after: cursor } })
  }
  await untilNumber(app, sent - 1)
  had.push(...numbers(app))
  assert.deepEqual(had, upTo(sent, had[0]))
})

onEachServer(
  'a cursor is good on another gateway of the log that is not there yet, and after a restart',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const app = await App.connect(t, platform)
    await app.subscribe({ filter: '#' })
    await number(platform, 0, 20)
    await untilNumber(app, 19)
    const cursor = lastCursor(app)
    await platform.restart()
    await number(platform, 20, 30)
    const again = await App.connect(t, platform)
    await again.subscribe({ filter: '#', start: { after: cursor } })
    await untilNumber(again, 29)
    assert.deepEqual(numbers(again), upTo(30, 20))
  },
)

onEachServer('what retention removed after a cursor is told by a gap that names it', async (t, server) => {
  const platform = await startPlatform(t, server)
  const token = await platform.identity.signApp(['#'], 100 * HOUR_MS)
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: '#' })
  await number(platform, 0, 3)
  await untilNumber(app, 2)
  const cursor = lastCursor(app)
  await number(platform, 3, 10)
  const next = (await platform.log.shards[0]?.end()) ?? assert.fail()
  await platform.log.shards[0]?.advance(INGEST_READER, { next, stored: 10, readings: 10, deadLetters: [] })
  platform.clock.time += 10 * HOUR_MS
  await number(platform, 10, 12)
  await until(async () => (await platform.log.shards[0]?.first()) !== 0)
  const first = Number(await platform.log.shards[0]?.first())
  const again = await App.connect(t, platform, token)
  await again.subscribe({ filter: '#', start: { after: cursor } })
  const gap = await again.next('gap')
  assert.deepEqual([gap.reason, gap.missed, gap.after], ['retention', first - 3, cursor])
  assert.deepEqual(numbers(again), upTo(12, first))
})

onEachServer('last: what was read since, as the log has it, then what comes', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (let minute = 0; minute < 30; minute++) {
    platform.clock.time = NOW + minute * 60_000
    await platform.publish('a', 'environment', environment(NOW + minute * 60_000))
    await platform.publish('late', 'environment', environment(NOW - 3_600_000 + minute))
  }
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: 'devices/a/#', start: { last: '10m' } })
  assert.deepEqual(
    numbers(app).map((ms) => ms / 60_000),
    upTo(30, 19),
  )
  const all = await App.connect(t, platform)
  await all.subscribe({ filter: '#', start: { last: '10m' }, maxDelay: '1m' })
  await platform.publish('late', 'environment', environment(NOW))
  await platform.publish('a', 'environment', environment(NOW + 30 * 60_000))
  await all.until(() => all.readings().some(({ ts }) => ts === NOW + 30 * 60_000))
  assert.ok(
    all.readings().every(({ device }) => device === 'a'),
    'late ones are left out',
  )
})

onEachServer(
  'maxRate: one reading a series and window, what it stands for adds up, whoever comes when',
  async (t, server) => {
    const platform = await startPlatform(t, server)
    const apps: Record<string, App> = {}
    for (const reduce of ['last', 'first', 'mean', 'min', 'max', 'count']) {
      const app = await App.connect(t, platform)
      app.send({ type: 'subscribe', id: '1', filter: '#', maxRate: 2, reduce })
      const subscribed = await app.next('subscribed')
      assert.deepEqual([subscribed.maxRate, subscribed.reduce], [2, reduce])
      await app.next('live')
      apps[reduce] = app
    }
    const begin = Math.ceil(platform.clock.time / 500) * 500
    for (let step = 0; step < 40; step++) {
      platform.clock.time = begin + step * 50
      await platform.publish('a', 'environment', environment(NOW + step, step))
      await platform.publish('b', 'environment', environment(NOW + step, step))
    }
    platform.clock.time = begin + 2_000
    const sum = (app: App) =>
      app.readings().length + app.frames.reduce((all, { merged }) => all + Number(merged ?? 0), 0)
    const values = (reduce: string) =>
      apps[reduce]
        ?.readings()
        .filter(({ device }) => device === 'a')
        .map(({ values }) => values.temperature)
    for (const app of Object.values(apps)) await app.until(() => sum(app) === 80)
    assert.deepEqual(values('last'), [9, 19, 29, 39])
    assert.deepEqual(values('first'), [0, 10, 20, 30])
    assert.deepEqual(values('mean'), [4.5, 14.5, 24.5, 34.5])
    assert.deepEqual(values('min'), [0, 10, 20, 30])
    assert.deepEqual(values('max'), [9, 19, 29, 39])
    assert.deepEqual(values('count'), [10, 10, 10, 10])
    // The past comes out as the present did.
    const late = await App.connect(t, platform)
    await late.subscribe({ filter: 'devices/a/#', maxRate: 2, reduce: 'mean', start: { last: '1h' } })
    assert.deepEqual(
      late.readings().map(({ values }) => values.temperature),
      [4.5, 14.5, 24.5, 34.5],
    )
  },
)

onEachServer('maxRate: what comes when its window was sent counts to the next one', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#', maxRate: 1, reduce: 'count' })
  const begin = Math.ceil(platform.clock.time / 1_000) * 1_000
  const receivedAt = (time: number) => publish(platform.log, time, 'a', 'environment', environment(time))
  await receivedAt(begin)
  platform.clock.time = begin + 1_000
  await app.until(() => app.readings().length === 1)
  await receivedAt(begin + 999)
  await receivedAt(begin + 1_000)
  await until(async () => (await platform.metrics.metrics()).includes('log_entries_total 3\n'))
  platform.clock.time = begin + 2_000
  await app.until(() => app.readings().length === 2)
  assert.deepEqual(
    app.readings().map(({ values }) => values.temperature),
    [1, 2],
  )
})

onEachServer('update goes on where it was, at another rate, under another name', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const name = await app.subscribe({ filter: '#', maxRate: 1, reduce: 'last' })
  await number(platform, 0, 10)
  app.send({ type: 'update', id: '2', subscription: name, maxRate: null })
  await app.until(() => app.frames.some(({ id }) => id === '2'))
  const answer = app.frames.find(({ id }) => id === '2')
  assert.deepEqual([answer?.type, answer?.replaces, answer?.maxRate], ['subscribed', name, undefined])
  await untilNumber(app, 9)
  assert.deepEqual(numbers(app, String(answer?.subscription)), upTo(10), 'what was waiting is sent at the new rate')
  app.send({ type: 'update', id: '3', subscription: answer?.subscription, maxRate: 1, reduce: 'count' })
  await app.until(() => app.frames.some(({ id }) => id === '3'))
  await number(platform, 10, 14)
  platform.clock.time += 1_000
  await app.until(() => app.readings().length === 11)
  assert.equal(app.readings().at(-1)?.values.temperature, 4)
  app.send({ type: 'unsubscribe', id: '4', subscription: name })
  assert.equal((await app.next('error')).code, 'unknown-subscription')
})

onEachServer('an app that is closed between windows goes on with neither loss nor repeat', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  const stays = await App.connect(t, platform)
  await app.subscribe({ filter: '#', maxRate: 1, reduce: 'count' })
  await stays.subscribe({ filter: '#', maxRate: 1, reduce: 'count' })
  const count = (...of: App[]) =>
    of.flatMap((each) => each.readings()).reduce((sum, { values }) => sum + Number(values.temperature), 0)
  await number(platform, 0, 7)
  platform.clock.time += 1_000
  await app.until(() => count(app) === 7)
  await number(platform, 7, 12)
  app.socket.terminate()
  const again = await App.connect(t, platform)
  again.send({
    type: 'subscribe',
    id: '1',
    filter: '#',
    maxRate: 1,
    reduce: 'count',
    start: { after: lastCursor(app) },
  })
  await again.next('subscribed')
  await number(platform, 12, 15)
  platform.clock.time += 1_000
  await again.until(() => count(app, again) === 15)
  await stays.until(() => count(stays) === 15)
})

onEachServer('several filters are one subscription; a message that several select comes once', async (t, server) => {
  const platform = await startPlatform(t, server)
  await platform.publish('a', 'environment', environment(NOW - 1))
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: ['devices/a/#', '+/+/+/environment', 'devices/b/#'], start: 'latest' })
  await platform.publish('a', 'environment', environment(NOW))
  await platform.publish('b', 'vibration', vibration(NOW))
  await platform.publish('c', 'vibration', vibration(NOW))
  await platform.publish('c', 'environment', environment(NOW))
  await app.until(() => app.readings().at(-1)?.device === 'c')
  assert.deepEqual(
    app.readings().map(({ device, stream }) => `${device} ${stream}`),
    ['a environment', 'a environment', 'b vibration', 'c environment'],
  )
})

onEachServer('a quiet subscription is told where it has come to', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: 'devices/quiet/#' })
  await number(platform, 0, 5)
  platform.clock.time += 30_000
  const frame = await app.next('readings')
  assert.deepEqual([frame.readings, frame.merged], [[], 0])
  const again = await App.connect(t, platform)
  await again.subscribe({ filter: '#', start: { after: frame.cursor } })
  await number(platform, 5, 6)
  await untilNumber(again, 5)
  assert.deepEqual(numbers(again), [5])
})

onEachServer('a cursor from beyond the end of the log is refused', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform)
  await app.subscribe({ filter: '#' })
  await number(platform, 0, 1)
  await untilNumber(app, 0)
  const beyond = lastCursor(app).replace(/-[^~]*/, '-zzz')
  app.send({ type: 'subscribe', id: '2', filter: '#', start: { after: beyond } })
  const error = await app.next('error')
  assert.deepEqual([error.id, error.code, error.retry], ['2', 'bad-cursor', false])
})

onEachServer('undecoded: messages come as they were sent, live and from the log', async (t, server) => {
  const platform = await startPlatform(t, server)
  const app = await App.connect(t, platform, platform.token, 'telltale.v1.avro')
  assert.equal(app.socket.protocol, 'telltale.v1.avro')
  const name = await app.subscribe({ filter: '#' })
  const avro = platform.registry.encode('environment', environment(NOW))
  await platform.publish('truck-7', 'environment', avro)
  await app.until(() => app.frames.some(({ type }) => type === 'raw'))
  const frame = app.frames.find(({ type }) => type === 'raw') as Frame & { messages: unknown[] }
  assert.equal(frame.subscription, name)
  assert.deepEqual(frame.messages, [
    { received: NOW, skip: 0, device: 'truck-7', stream: 'environment', payload: avro },
  ])
  const json = Buffer.from(JSON.stringify(environment(NOW + 1)))
  await platform.publish('truck-7', 'environment', json)
  await publish(platform.log, NOW, 'truck-7', 'environment', Buffer.from('nonsense'))
  const again = await App.connect(t, platform, platform.token, 'telltale.v1.avro')
  await again.subscribe({ filter: 'devices/+/telemetry/environment', start: { after: frame.cursor } })
  const raw = again.frames
    .filter(({ type }) => type === 'raw')
    .flatMap(({ messages }) => messages as { payload: Buffer }[])
  assert.deepEqual(
    raw.map(({ payload }) => String(payload)),
    [String(json)],
  )
  again.send({ type: 'subscribe', id: '9', filter: '#', maxRate: 1 })
  assert.equal((await again.next('error')).code, 'unsupported')
})

onEachServer(
  'apps that come back while the gateway still warms up wait for it, and miss nothing',
  async (t, server) => {
    const port = await freePort()
    const padding = ' '.repeat(200_000)
    const platform = await startPlatform(t, server, { options: { port } })
    const before = await App.connect(t, platform)
    await before.subscribe({ filter: 'devices/a/#' })
    const cursor = lastCursor(before)
    await number(platform, 0, 10)
    // Nothing of it is stored, so all of it is looked at before the gateway is live.
    for (let each = 0; each < 200; each++) {
      await platform.publish('b', 'environment', Buffer.from(JSON.stringify(environment(NOW + each)) + padding))
    }
    const restarted = platform.restart(port)
    const came = async () => {
      let app: App | undefined
      await until(async () => {
        app = await App.connect(t, platform).catch(() => undefined)
        return app !== undefined
      })
      return app ?? assert.fail()
    }
    const [first, second] = [await came(), await came()]
    const events = fetch(
      `${platform.url}/v1/stream?filter=devices/a/%23&after=${cursor}&access_token=${platform.token}`,
    )
    await first.subscribe({ filter: 'devices/a/#', start: { after: cursor } })
    await second.subscribe({ filter: 'devices/a/#', start: 'latest' })
    assert.deepEqual(numbers(first), upTo(10))
    assert.deepEqual(numbers(second), [9])
    assert.equal((await events).status, 200)
    await (await events).body?.cancel()
    await restarted
  },
)
