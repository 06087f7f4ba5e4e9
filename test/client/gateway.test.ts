/** The SDK on the platform's own gateway, over real sockets. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { connect, type HistoryOptions, type Reading } from '../../client/client.ts'
import { DuckdbStore } from '../../ingest/duckdb/store.ts'
import type { Command } from '../../log/commands.ts'
import { LogError } from '../../log/log-error.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { environment, HOUR_MS, NOW, onEachServer, startPlatform, type TestPlatform } from '../gateway/platform.ts'
import { pageWith } from '../history.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'

const ENVIRONMENT = 'devices/+/telemetry/environment'

async function all<T>(given: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of given) items.push(item)
  return items
}

function app(t: TestContext, platform: TestPlatform, token: string | (() => Promise<string>) = platform.token) {
  const live = connect(platform.url, { token, random: () => 0.1 })
  t.after(() => live.close())
  return live
}

onEachServer('readings as they come, with the fields that were asked for', async (t, server) => {
  const platform = await startPlatform(t, server)
  const live = app(t, platform)
  const subscription = live.subscribe(['devices/a/telemetry/environment'], { fields: ['temperature', 'rssi'] })
  for await (const event of subscription.events()) {
    if (event.type === 'live') {
      await platform.publish('b', 'environment', environment(NOW, 1))
      await platform.publish('a', 'environment', environment(NOW, 2))
    }
    if (event.type !== 'readings') continue
    const [{ device, stream, ts, values } = assert.fail()] = event.readings
    assert.deepEqual(
      { device, stream, ts, values },
      { device: 'a', stream: 'environment', ts: NOW, values: { temperature: 2, rssi: -61 } },
    )
    break
  }
})

onEachServer('the last reading of each series, and then what comes', async (t, server) => {
  const platform = await startPlatform(t, server)
  for (const device of ['a', 'b', 'c']) await platform.publish(device, 'environment', environment(NOW, 1))
  const live = app(t, platform)
  const latest = await live.latest(ENVIRONMENT)
  assert.deepEqual(latest.map(({ device }) => device).sort(), ['a', 'b', 'c'])
  const temperatures: number[] = []
  for await (const { values } of live.subscribe(ENVIRONMENT, { start: 'latest' })) {
    temperatures.push(values.temperature)
    if (temperatures.length === 3) await platform.publish('d', 'environment', environment(NOW, 4))
    if (temperatures.length === 4) break
  }
  assert.deepEqual(temperatures, [1, 1, 1, 4])
})

onEachServer('what the token does not allow ends the loop, and says what it does', async (t, server) => {
  const platform = await startPlatform(t, server)
  const live = app(t, platform, await platform.identity.signApp(['devices/a/telemetry/#'], HOUR_MS))
  await assert.rejects(live.subscribe(ENVIRONMENT)[Symbol.asyncIterator]().next(), { code: 'forbidden' })
  await assert.rejects(live.latest('devices/a/telemetry/environment', { fields: ['wrong' as 'rssi'] }), {
    code: 'bad-field',
  })
  await assert.rejects(all(live.history(ENVIRONMENT)), { code: 'forbidden', status: 403 })
  await assert.rejects(all(app(t, platform, 'nonsense').devices()), { code: 'token-invalid', status: 401 })
})

onEachServer('a token that expires is replaced while readings come', async (t, server) => {
  const platform = await startPlatform(t, server)
  const given: string[] = []
  const live = app(t, platform, async () => {
    given.push(await platform.identity.signApp([ENVIRONMENT], HOUR_MS))
    return given.at(-1) ?? ''
  })
  let lives = 0
  for await (const event of live.subscribe(ENVIRONMENT).events()) {
    if (event.type === 'live' && lives++ === 0) platform.clock.time += 2 * HOUR_MS
    else if (event.type === 'live') await platform.publish('a', 'environment', environment(platform.clock.time))
    else break
  }
  assert.deepEqual([lives, given.length], [2, 2])
  assert.deepEqual(await live.latest(ENVIRONMENT, { fields: ['rssi'] }).then(([last]) => last?.values), { rssi: -61 })
  platform.clock.time += 2 * HOUR_MS
  await all(live.devices())
  assert.equal(given.length, 3)
})

onEachServer('history and devices, all of them, as the loop takes them', async (t, server) => {
  const readings = Array.from({ length: 25 }, (_, index): Reading => {
    return { device: 'a', stream: 'environment', ts: NOW - 25 + index, values: { temperature: index } }
  })
  let asked: object | undefined
  const history = {
    readings: async (query: object) => {
      asked = query
      return pageWith(readings)
    },
  }
  const devicesFile = '{ devices: [d7, d9], site: "depot 4", labels: { fleet: "north & south" } }'
  const platform = await startPlatform(t, server, { history, devices: devicesFile })
  const live = app(t, platform)
  const from = new Date(NOW - HOUR_MS)
  const page = await all(live.history(ENVIRONMENT, { from, to: NOW, every: '1m', fn: 'max', limit: 100 }))
  assert.deepEqual(page, readings)
  assert.deepEqual(asked, {
    ...asked,
    selections: [{ stream: 'environment' }],
    from: NOW - HOUR_MS,
    to: NOW,
    limit: 100,
    window: { everyMs: 60_000, aggregate: 'max' },
  })
  const first: number[] = []
  for await (const { values } of live.history(ENVIRONMENT, { limit: 3 })) first.push(values.temperature)
  assert.deepEqual(first.slice(0, 3), [0, 1, 2])

  for (let index = 0; index < 1_005; index++)
    await platform.publish(`d${index}`, 'environment', environment(NOW, index))
  await until(async () => (await all(live.devices())).length >= 1_005)
  const devices = await all(live.devices(ENVIRONMENT))
  assert.equal(new Set(devices.map(({ device }) => device)).size, 1_005)
  assert.deepEqual(Object.keys(devices[0]?.last ?? {}), ['environment'])
  const labels = { fleet: 'north & south' }
  const declared = await all(live.devices(ENVIRONMENT, { site: 'depot 4', labels }))
  assert.deepEqual(
    declared.map(({ device, site, labels, state, cause }) => [device, site, labels, state, cause]),
    ['d7', 'd9'].map((device) => [device, 'depot 4', labels, 'offline', 'well']),
  )
  assert.deepEqual(await all(live.devices([], { labels: { fleet: 'north' } })), [])
})

onEachServer('history of more than a page, of the embedded store: each reading once, either way', async (t, server) => {
  const { streams } = Registry.load(SHIPPED_SCHEMAS_DIR)
  const store = new DuckdbStore({ kind: 'duckdb', path: `${scratchDirectory(t)}/store.duckdb` }, { streams })
  await store.start()
  t.after(() => store.stop())
  const stream = streams.find(({ name }) => name === 'environment') ?? assert.fail()
  // Ten of each time, and a page ends amidst them.
  const written = Array.from({ length: 20_015 }, (_, index) => {
    return {
      device: `d${index % 10}`,
      stream: 'environment',
      ts: NOW + Math.floor(index / 10),
      values: { rssi: index },
    }
  })
  const entries = written.map((one, offset) => ({ stream, readings: [one], receivedAt: one.ts, offset }))
  await store.write({ entries }, new AbortController().signal)
  const platform = await startPlatform(t, server, {
    history: { readings: (...asked) => store.readings(...asked) },
  })
  const live = app(t, platform)
  const range = { from: NOW, to: NOW + HOUR_MS }
  const numbers = async (options: HistoryOptions) =>
    (await all(live.history(ENVIRONMENT, { ...range, ...options }))).map(({ values }) => values.rssi)
  const expected = [...written.keys()]
  assert.deepEqual(await numbers({}), expected)
  assert.deepEqual(await numbers({ order: 'newest' }), expected.toReversed())
  assert.deepEqual(await numbers({ limit: 10_007 }), expected.slice(0, 10_007))
})

onEachServer('a loop that is slow loses nothing, and has the gateway wait', async (t, server) => {
  const platform = await startPlatform(t, server)
  const live = app(t, platform)
  const states = new Set<string>()
  const subscription = live.subscribe(ENVIRONMENT, { buffer: 50, onState: (state) => states.add(state) })
  const temperatures: number[] = []
  for await (const event of subscription.events()) {
    if (event.type === 'live' && temperatures.length === 0) {
      const publishing = Array.from({ length: 2_000 }, (_, index) =>
        platform.publish('a', 'environment', environment(NOW + index, index)),
      )
      await Promise.all(publishing)
    }
    if (event.type === 'readings') temperatures.push(...event.readings.map(({ values }) => values.temperature))
    assert.notEqual(event.type, 'gap')
    if (temperatures.length >= 2_000) break
    await new Promise(setImmediate)
  }
  assert.deepEqual(temperatures, [...temperatures.keys()])
  assert(states.has('paused'))
})

onEachServer('a command to a device, what became of it, and taking it back', async (t, server) => {
  const platform = await startPlatform(t, server)
  const live = app(t, platform, await platform.identity.signApp(['#'], HOUR_MS, { commands: ['urn:truck:*'] }))
  const device = 'urn:truck:7'
  const id = await live.sendCommand(device, { lamp: true }, { expiresIn: '10m' })
  const [command] = await live.commands(device)
  assert.deepEqual([command?.id, command?.state, command?.payload], [id, 'waiting', { lamp: true }])
  assert.equal((await live.cancelCommand(device, id)).state, 'cancelled')
  await assert.rejects(live.cancelCommand(device, id), { code: 'command-over', status: 409 })
  await assert.rejects(live.sendCommand('pump', 1), { code: 'forbidden' })
  await assert.rejects(live.sendCommand(device, 1, { expiresIn: 'soon' }), { code: 'command-invalid' })
  await assert.rejects(live.sendCommand(device, undefined), { code: 'command-invalid' })
  await assert.rejects(live.sendCommand(device, 1, { expires: '1m' } as object), { code: 'bad-option' })
})

onEachServer(
  'a command is tried again when the gateway says that it was not taken, and else not',
  async (t, server) => {
    let attempts = 0
    const add = async () => {
      if (++attempts < 3) throw new LogError('commands-full', 'for this test')
      return { id: '0000abcd-1' } as Command
    }
    const platform = await startPlatform(t, server, { commands: { add } })
    const token = await platform.identity.signApp(['#'], HOUR_MS, { commands: ['*'] })
    const live = app(t, platform, token)
    assert.equal(await live.sendCommand('a', 1), '0000abcd-1')
    assert.equal(attempts, 3)
    await platform.gateway.stop()
    await assert.rejects(live.sendCommand('a', 1), { code: 'unreachable', retry: true })
  },
)
