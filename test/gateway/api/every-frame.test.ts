/**
 * Everything that docs/asyncapi.yaml describes is tried, on each server: commands and their members, frames, error codes, close codes;
 * over WebSocket and as events.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import { LIVE_COMMANDS_AT_ONCE_MAX } from '../../../gateway/live/commands.ts'
import { INGEST_READER } from '../../../log/log.ts'
import { TelltaleError } from '../../../platform/errors.ts'
import { LIVE_COMMAND_BYTES_MAX, LIVE_GROUPS_MAX, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../../platform/limits.ts'
import { PACKAGE_DIR } from '../../../platform/package.ts'
import type { HistoryQuery } from '../../../schemas/history.ts'
import { pageWith } from '../../history.ts'
import { until } from '../../until.ts'
import {
  App,
  environment,
  HOUR_MS,
  NOW,
  onEachServer,
  type ServerKind,
  startPlatform,
  type TestPlatform,
} from '../platform.ts'
import { LIVE_API } from './asyncapi.ts'
import { readEvents } from './events.ts'

const FILTER = 'devices/a/telemetry/environment'

/** What takes a test of its own, which has a file of its own, and what that names. */
const ELSEWHERE: Readonly<Record<string, readonly [file: string, text: string]>> = {
  'live closed with 4408': ['test/gateway/live/slow.test.ts', '4408'],
  'live closed with 4409': ['test/gateway/live/live.test.ts', '4409'],
}

async function tryCommands(t: TestContext, platform: TestPlatform): Promise<void> {
  const app = await App.connect(t, platform)
  const answer = async (command: object, type: string) => {
    const from = app.frames.length
    app.send(command)
    return app.next(type, from)
  }
  const first = await app.subscribe({ filter: FILTER })
  await platform.publish('a', 'environment', environment(NOW))
  const { cursor } = await app.next('readings')
  for (const start of ['now', 'latest', { last: '15m' }, { after: cursor }])
    await app.subscribe({ filter: FILTER, start })
  const wanted = { filter: [FILTER, 'devices/b/#'], fields: ['temperature'], maxDelay: '1m' }
  await app.subscribe({ ...wanted, maxRate: 2, reduce: 'mean' })
  const renamed = await answer(
    { type: 'update', id: '2', subscription: first, maxRate: 10, reduce: 'last' },
    'subscribed',
  )
  assert.equal(renamed.replaces, first)
  await answer({ type: 'update', id: '3', subscription: renamed.subscription, maxRate: null }, 'subscribed')
  const gone = await app.subscribe({ filter: '#' })
  await answer({ type: 'unsubscribe', id: '4', subscription: gone }, 'unsubscribed')
}

async function tryErrors(t: TestContext, platform: TestPlatform): Promise<void> {
  const narrow = await platform.identity.signApp(['devices/a/telemetry/#'], HOUR_MS)
  const app = await App.connect(t, platform, narrow)
  const subscribe = { type: 'subscribe', id: '1', filter: FILTER }
  const cases: [command: object | string, code: string][] = [
    ['{', 'bad-json'],
    [{ type: 'shout', id: '1' }, 'unknown-type'],
    [{ ...subscribe, more: 1 }, 'bad-command'],
    [{ ...subscribe, start: { last: '15m', after: 'x' } }, 'bad-command'],
    [{ ...subscribe, id: '' }, 'bad-command'],
    [{ ...subscribe, filter: 'devices/#/x' }, 'bad-filter'],
    [{ ...subscribe, filter: '#' }, 'forbidden'],
    [{ ...subscribe, fields: ['x'] }, 'bad-field'],
    [{ ...subscribe, start: { after: 'x' } }, 'bad-cursor'],
    [{ ...subscribe, maxRate: 0 }, 'bad-rate'],
    [{ type: 'unsubscribe', id: '1', subscription: 's0' }, 'unknown-subscription'],
  ]
  for (const [command, code] of cases) {
    const from = app.frames.length
    app.send(command)
    assert.equal((await app.next('error', from)).code, code, JSON.stringify(command))
  }
  const undecoded = await App.connect(t, platform, platform.token, 'telltale.v1.avro')
  undecoded.send({ ...subscribe, maxRate: 1 })
  assert.equal((await undecoded.next('error')).code, 'unsupported')
  await undecoded.subscribe({ filter: FILTER })
  await platform.publish('a', 'environment', platform.registry.encode('environment', environment(NOW + 1)))
  await undecoded.until(() => LIVE_API.seen.has('live undecodedReadings'))
  const protobuf = await App.connect(t, platform, platform.token, 'telltale.v1.protobuf')
  await protobuf.subscribe({ filter: FILTER, start: 'latest' })
  await protobuf.until(() => LIVE_API.seen.has('live protobufReadings'))
}

async function tryBounds(t: TestContext, platform: TestPlatform): Promise<void> {
  const hasted = await App.connect(t, platform)
  for (let sent = 0; sent <= LIVE_COMMANDS_AT_ONCE_MAX; sent++)
    hasted.send({ type: 'subscribe', id: String(sent), filter: FILTER })
  await hasted.until(() => hasted.frames.some(({ code }) => code === 'too-many-commands'))
  const many = await App.connect(t, platform)
  for (let sent = 0; sent <= LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX; sent++)
    many.send({ type: 'subscribe', id: String(sent), filter: `devices/d${sent}/telemetry/#` })
  await many.until(() => many.frames.some(({ code }) => code === 'too-many-subscriptions'))
  many.socket.terminate()

  // Together they have as many as there may be.
  const apps: App[] = []
  for (let sent = 0; ; ) {
    const app = await App.connect(t, platform)
    apps.push(app)
    for (let index = 0; index < LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX; index++, sent++)
      app.send({ type: 'subscribe', id: String(index), filter: `devices/e${sent}/telemetry/#` })
    const answers = () => app.frames.filter(({ type }) => type === 'live' || type === 'error')
    await app.until(() => answers().length === LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX)
    if (answers().some(({ code }) => code === 'too-many-groups')) break
    assert(sent <= LIVE_GROUPS_MAX)
  }
  assert.equal((await platform.get('/v1/stream?filter=%23')).status, 503)
  for (const app of apps) app.socket.terminate()
  const groups = /^telltale_gateway_groups (\d+)$/m
  const held = async () => Number(groups.exec(await platform.metrics.metrics())?.[1])
  await until(async () => (await held()) <= LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX)
}

async function tryCloses(t: TestContext, platform: TestPlatform): Promise<void> {
  const { identity } = platform
  const closedBy = async (app: App, code: number) => assert.equal((await app.untilClosed()).code, code)
  const binary = await App.connect(t, platform)
  binary.socket.send(Buffer.from('{}'))
  await closedBy(binary, 4500)
  const large = await App.connect(t, platform)
  large.send(`{"type":"${'x'.repeat(LIVE_COMMAND_BYTES_MAX)}"}`)
  await closedBy(large, 4502)
  const wrong = await App.connect(t, platform)
  for (let sent = 0; sent < 200; sent++) wrong.send('{')
  await closedBy(wrong, 4503)
  const token = await identity.signApp(['#'], HOUR_MS)
  const revoked = await App.connect(t, platform, token)
  identity.revocations.add({ id: String(decodeJwt(token).jti), before: NOW + HOUR_MS }, NOW)
  identity.refresh()
  await closedBy(revoked, 4504)
  const expired = await App.connect(t, platform, await identity.signApp(['#'], 5_000))
  platform.clock.time += 6_000
  await closedBy(expired, 4501)
}

/** What the log has let go of, with a store that has a page of it and then no more; and a log that fails. */
async function tryWithout(t: TestContext, server: ServerKind): Promise<void> {
  const old = { device: 'a', stream: 'environment', ts: NOW, values: { temperature: 1 } }
  const next = { ts: NOW, device: 'a', stream: 'environment', tags: {} }
  const readings = async ({ after }: HistoryQuery) => {
    if (after !== undefined) throw new TelltaleError('store-unavailable', 'for this test')
    return { ...pageWith([old], true), next }
  }
  const platform = await startPlatform(t, server, { history: { readings } })
  const token = await platform.identity.signApp(['#'], 100 * HOUR_MS)
  const app = await App.connect(t, platform, token)
  await app.subscribe({ filter: '#' })
  await platform.publish('a', 'environment', environment(NOW))
  const { cursor } = await app.next('readings')
  await platform.publish('a', 'environment', environment(NOW + 1))
  const [shard] = platform.log.shards
  assert(shard)
  const done = { next: await shard.end(), stored: 2, readings: 2, deadLetters: [] }
  await shard.advance(INGEST_READER, done)
  platform.clock.time += 10 * HOUR_MS
  await platform.publish('a', 'environment', environment(NOW + 2))
  await until(async () => (await shard.first()) !== 0)
  app.send({ type: 'subscribe', id: '2', filter: FILTER, start: { after: cursor } })
  await app.next('gap')
  const events = await readEvents(t, `${platform.url}/v1/stream?filter=${FILTER}`, token, {
    'last-event-id': String(cursor),
  })
  await events.next('gap')
  await tryTheStore(t, platform, token)
  await platform.log.stop()
  app.send({ type: 'subscribe', id: '3', filter: FILTER, start: { last: '1h' } })
  assert.equal((await app.untilClosed()).code, 4002)
}

/** A store that ends in the midst of what it is asked for: the subscription has ended, and the connection goes on. */
async function tryTheStore(t: TestContext, platform: TestPlatform, token: string): Promise<void> {
  const app = await App.connect(t, platform, token)
  let start: object = { last: '11h' }
  for (const id of ['1', '2']) {
    const from = app.frames.length
    app.send({ type: 'subscribe', id, filter: FILTER, start })
    const { subscription } = await app.next('subscribed', from)
    // Given on the way, a cursor goes on there.
    if (id === '1') start = { after: (await app.next('readings', from)).cursor }
    const error = await app.next('error', from)
    assert.deepEqual([error.id, error.code, error.retry], [id, 'store-unavailable', true])
    app.send({ type: 'unsubscribe', id: `${id}u`, subscription })
    const gone = await app.next('error', app.frames.length)
    assert.deepEqual([gone.id, gone.code], [`${id}u`, 'unknown-subscription'])
  }
  const events = await readEvents(t, `${platform.url}/v1/stream?filter=${FILTER}&last=11h`, token)
  await events.next('readings')
  const { code } = JSON.parse((await events.next('closing')).data) as { code: number }
  assert.equal(code, 4002)
  await events.untilEnd()
}

onEachServer('everything that docs/asyncapi.yaml describes is seen', async (t, server) => {
  LIVE_API.seen.clear()
  const platform = await startPlatform(t, server)
  const last = await App.connect(t, platform)
  await tryCommands(t, platform)
  await tryErrors(t, platform)
  await tryCloses(t, platform)
  await tryBounds(t, platform)
  await tryWithout(t, server)
  const events = await readEvents(t, `${platform.url}/v1/stream?filter=%23&start=latest`, platform.token)
  for (const name of ['welcome', 'subscribed', 'readings', 'live']) await events.next(name)
  await platform.gateway.stop()
  await events.next('closing')
  assert((events.retryMs ?? -1) >= 0)
  await events.untilEnd()
  assert.equal((await last.untilClosed()).code, 4001)
  for (const [unit, [file, text]] of Object.entries(ELSEWHERE)) {
    const isTried = readFileSync(join(PACKAGE_DIR, file), 'utf8').includes(text)
    assert(isTried, `${file} tries what shows "${unit}"`)
  }
  const unseen = LIVE_API.described().filter((unit) => !LIVE_API.seen.has(unit))
  assert.deepEqual(unseen, Object.keys(ELSEWHERE))
})
