/**
 * Everything that docs/asyncapi.yaml describes is tried, on each server: commands and their members, frames, error codes, close codes;
 * over WebSocket and as events.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import { TelltaleError } from '../../../platform/errors.ts'
import { LIVE_COMMAND_BYTES_MAX, LIVE_GROUPS_MAX, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../../platform/limits.ts'
import { PACKAGE_DIR } from '../../../platform/package.ts'
import { App, environment, HOUR_MS, NOW, onEachServer, startPlatform, type TestPlatform } from '../platform.ts'
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
}

async function tryBounds(t: TestContext, platform: TestPlatform): Promise<void> {
  const codesOf = (app: App) => new Set(app.frames.map(({ code }) => code))
  const apps: App[] = []
  for (let sent = 0; sent <= LIVE_GROUPS_MAX; ) {
    const app = await App.connect(t, platform)
    apps.push(app)
    for (let index = 0; index < LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX; index++, sent++)
      app.send({ type: 'subscribe', id: String(index), filter: `devices/d${sent}/telemetry/#` })
    await app.until(() => codesOf(app).has('too-many-groups') || countOf(app, 'live') === index(app))
  }
  const full = apps[0]
  assert(full)
  full.send({ type: 'subscribe', id: 'one more', filter: FILTER })
  await full.until(() => codesOf(full).has('too-many-subscriptions'))
  for (let index = 0; index < 300; index++) full.send({ type: 'unsubscribe', id: String(index), subscription: 's0' })
  await full.until(() => codesOf(full).has('too-many-commands') || full.close)
}

const index = (_app: App) => LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX
const countOf = (app: App, type: string) => app.frames.filter((frame) => frame.type === type).length

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

onEachServer('everything that docs/asyncapi.yaml describes is seen', async (t, server) => {
  LIVE_API.seen.clear()
  let isAway = false
  const platform = await startPlatform(t, server, {
    history: {
      readings: () => Promise.reject(new TelltaleError('store-unavailable', isAway ? 'away' : 'for this test')),
    },
  })
  const probe = await App.connect(t, platform)
  if (!('maxRate' in Object(probe.frames[0]?.limits))) return t.skip('this gateway has a part of it')
  isAway = true
  await tryCommands(t, platform)
  await tryErrors(t, platform)
  await tryCloses(t, platform)
  await tryBounds(t, platform)
  const events = await readEvents(t, `${platform.url}/v1/stream?filter=%23&start=latest`, platform.token)
  await events.until('live')
  await platform.gateway.stop()
  await events.until('closing')
  assert.equal((await probe.untilClosed()).code, 4001)
  for (const [unit, [file, text]] of Object.entries(ELSEWHERE))
    assert(readFileSync(join(PACKAGE_DIR, file), 'utf8').includes(text), `${file} tries "${unit}"`)
  assert.deepEqual(
    LIVE_API.described().filter((unit) => !LIVE_API.seen.has(unit) && !(unit in ELSEWHERE)),
    [],
  )
})
