/** Sparkplug B through the whole platform: births, data by alias, gaps, deaths, what is asked of edge nodes, and kill -9 in between. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { Why } from '../../gateway/devices/why.ts'
import type { Reading } from '../../schemas/reading.ts'
import { type MetricSaid, TYPE } from '../maps/sparkplug/edge.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { bdSeqMetric, EdgeNode } from './edge-node.ts'
import { type Frame, LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const plain = (readings: readonly Reading[]) => readings.map(({ received: _received, ...reading }) => reading)
const byTime = (a: Reading, b: Reading) => a.ts - b.ts || a.device.localeCompare(b.device)
const readingsOf = (frame: Frame) => plain(frame.readings as Reading[])

async function liveOf(t: TestContext, platform: RunningPlatform): Promise<LiveSocket> {
  const live = await LiveSocket.open(platform.url, await platform.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#', start: 'now' })
  await live.next('live')
  return live
}

const online = async (platform: RunningPlatform, device: string) => {
  const { devices } = await platform.get<{ devices: { device: string; online: boolean }[] }>('/v1/devices')
  return devices.find((each) => each.device === device)?.online
}

const TEMPERATURE: MetricSaid = {
  name: 'Motor/Temperature',
  alias: 11,
  datatype: TYPE.Float,
  properties: { keys: ['engUnit'], values: [{ type: TYPE.String, string_value: '°C' }] },
}
const COUNT: MetricSaid = { name: 'Count', alias: 12, datatype: TYPE.Int32 }
const STATE: MetricSaid = { name: 'State', alias: 13, datatype: TYPE.String }

for (const [name, startStore] of Object.entries(STORES)) {
  test(`${name}: without a map, births and data by alias are stored and live under the metrics' names, in their types`, async (t) => {
    const store = await startStore(t)
    if (store === undefined || store.victoria !== undefined) return
    const platform = await RunningPlatform.start(t, store.options && { store: store.options })
    const live = await liveOf(t, platform)
    const edge = await EdgeNode.connect(t, platform)
    const now = Date.now()
    await edge.birth(now, 0, [{ name: 'Uptime', alias: 1, datatype: TYPE.UInt64, long_value: 7 }])
    const expected: Reading[] = [{ device: 'plant:line4', stream: 'sparkplug', ts: now, values: { Uptime: 7 } }]
    assert.deepEqual(readingsOf(await live.next('readings')), expected)

    await edge.say(
      'DBIRTH',
      now + 1,
      [
        { ...TEMPERATURE, float_value: 21.3 },
        { ...COUNT, int_value: 0xfffffffb },
        { ...STATE, string_value: 'run' },
      ],
      'press',
    )
    const device = { device: 'plant:line4:press', stream: 'sparkplug' }
    expected.push({ ...device, ts: now + 1, values: { Motor_Temperature: 21.3, Count: -5, State: 'run' } })
    assert.deepEqual(readingsOf(await live.next('readings')), expected.slice(-1))

    await edge.say(
      'DDATA',
      now + 2,
      [
        { alias: 11, float_value: 21.5 },
        { alias: 12, int_value: 6 },
      ],
      'press',
    )
    expected.push({ ...device, ts: now + 2, values: { Motor_Temperature: 21.5, Count: 6 } })
    assert.deepEqual(readingsOf(await live.next('readings')), expected.slice(-1))
    // Within the same millisecond another metric: neither replaces the other.
    await edge.say('DDATA', now + 2, [{ alias: 13, string_value: 'stop' }], 'press')
    expected.push({ ...device, ts: now + 2 + 0.004, values: { State: 'stop' } })
    assert.deepEqual(readingsOf(await live.next('readings')), expected.slice(-1))
    // What it kept while it was away.
    await edge.say(
      'DDATA',
      now + 3,
      [
        { alias: 12, int_value: 5, timestamp: now - 60_000, is_historical: true },
        { alias: 11, float_value: 21.6 },
      ],
      'press',
    )
    // The one that is late does not shift the other.
    expected.push({ ...device, ts: now - 60_000 + 0.005, values: { Count: 5 } })
    expected.push({ ...device, ts: now + 3, values: { Motor_Temperature: 21.6 } })
    assert.deepEqual(readingsOf(await live.next('readings')), expected.slice(-2))

    const ledger = await platform.settled()
    assert.deepEqual(
      [ledger.accepted, ledger.stored, ledger.readings, ledger.superseded, ledger.deadLettered],
      [5, 5, 6, 0, 0],
    )
    assert.deepEqual(plain(await platform.readings('')).sort(byTime), expected.sort(byTime))
    const { schemas } = await platform.get<{
      schemas: { stream: string; columns: { name: string; kind: string; unit?: string }[] }[]
    }>('/v1/schemas')
    assert.deepEqual(
      schemas
        .find(({ stream }) => stream === 'sparkplug')
        ?.columns.map(({ name: column, kind, unit }) => [column, kind, unit]),
      [
        ['Uptime', 'integer', undefined],
        ['Motor_Temperature', 'float', 'Cel'],
        ['Count', 'integer', undefined],
        ['State', 'string', undefined],
      ],
    )
    assert.equal(edge.rebirths, 0)
  })
}

test('births, kill -9, and what was accepted is stored by them; an edge node that is not born again is asked to be', async (t) => {
  const platform = await RunningPlatform.start(t)
  const edge = await EdgeNode.connect(t, platform)
  const now = Date.now()
  const expected: object[] = []
  await edge.birth(now, 0)
  await edge.say('DBIRTH', now, [COUNT], 'press')
  for (let index = 1; index <= 200; index++) {
    await edge.say('DDATA', now + index, [{ alias: 12, int_value: index }], 'press')
    expected.push([now + index, index])
    if (index % 50 === 0) {
      await platform.kill()
      await platform.start()
      break
    }
  }
  // The same process of the edge node, that goes on as if nothing had been.
  const again = await EdgeNode.connect(t, platform, { bdSeq: 1 })
  again.seq = edge.seq
  await again.say('DDATA', now + 1_000, [{ alias: 12, int_value: 1_000 }], 'press')
  await until(() => again.rebirths === 1)
  await until(() => again.errors.length === 1)
  assert.deepEqual([again.errors[0]?.code, again.errors[0]?.device], ['unknown-metric', 'plant:line4:press'])
  assert.match(again.errors[0]?.message ?? '', /^no birth on this connection told what the alias 12 is/)
  await again.birth(Date.now(), 1)
  await again.say('DBIRTH', Date.now(), [COUNT], 'press')
  const later = Date.now() + 10
  await again.say('DDATA', later, [{ alias: 12, int_value: 2_000 }], 'press')
  expected.push([later, 2_000])
  const ledger = await platform.settled()
  assert.equal(ledger.accepted, 56)
  assert.deepEqual([ledger.stored, ledger.deadLettered], [55, 1])
  const stored = await platform.readings(`filter=devices/plant:line4:press/telemetry/sparkplug&to=${later + 10_000}`)
  assert.deepEqual(
    [...stored].sort(byTime).map(({ ts, values }) => [ts, values.Count]),
    expected,
  )
  assert.equal(again.rebirths, 1)
  // What it was is shown, as far as it is known.
  assert.match(await platform.telltale('deadletters', 'show', '1'), /alias 12 +1000/)
})

test('a gap in the numbers is counted and told, a rebirth is asked for once in a while, and what came is stored', async (t) => {
  const platform = await RunningPlatform.start(t)
  const edge = await EdgeNode.connect(t, platform)
  const now = Date.now()
  await edge.birth(now, 0, [{ ...COUNT, int_value: 0 }])
  for (let index = 1; index <= 300; index++) await edge.say('NDATA', now + index, [{ alias: 12, int_value: index }])
  assert.deepEqual([edge.rebirths, edge.errors.length], [0, 0], 'the numbers begin again after 255')
  edge.seq += 2
  await edge.say('NDATA', now + 400, [{ alias: 12, int_value: 400 }])
  edge.seq += 1
  await edge.say('NDATA', now + 401, [{ alias: 12, int_value: 401 }])
  await until(() => edge.errors.length === 2)
  assert.deepEqual(
    edge.errors.map(({ code }) => code),
    ['sequence-gap', 'sequence-gap'],
  )
  assert.match(edge.errors[0]?.message ?? '', /^2 messages are missing before the one of seq 47/)
  await until(() => edge.rebirths === 1)
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  assert.match(metrics, /^telltale_sparkplug_sequence_gaps_total 2$/m)
  assert.match(metrics, /^telltale_sparkplug_rebirths_total 1$/m)
  assert.match(metrics, /^telltale_sparkplug_edge_nodes 1$/m)
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.stored], [303, 303])
  // Born again, and at once something is missing again.
  await edge.birth(now + 500, 0, [{ ...COUNT, int_value: 0 }])
  edge.seq += 1
  await edge.say('NDATA', now + 501, [{ alias: 12, int_value: 501 }])
  await until(() => edge.rebirths === 2)
})

test('who is there is told by births and deaths; a death of a session before kills nobody', async (t) => {
  const platform = await RunningPlatform.start(t)
  const watcher = await connectAsync({
    port: platform.mqttPort,
    username: 'app',
    password: (await platform.telltale('token', 'app', '--filter', 'devices/+/status')).trim(),
  })
  t.after(() => watcher.end(true))
  const statuses: string[] = []
  watcher.on('message', (topic, payload) => statuses.push(`${topic} ${payload}`))
  await watcher.subscribeAsync('devices/+/status')
  const edge = await EdgeNode.connect(t, platform, { bdSeq: 3 })
  const now = Date.now()
  await edge.birth(now, 3, [{ ...COUNT, int_value: 1 }])
  await edge.say('DBIRTH', now, [{ ...COUNT, int_value: 1 }], 'press')
  await edge.say('DBIRTH', now, [{ ...COUNT, int_value: 1 }], 'saw')
  await until(() => statuses.length === 3)
  assert.deepEqual(statuses, [
    'devices/plant:line4/status {"online":true,"bdSeq":3}',
    'devices/plant:line4:press/status {"online":true}',
    'devices/plant:line4:saw/status {"online":true}',
  ])
  assert.equal(await online(platform, 'plant:line4:press'), true)
  await edge.say('DDEATH', now, [], 'saw')
  await until(() => statuses.length === 4)
  assert.equal(statuses[3], 'devices/plant:line4:saw/status {"online":false}')
  const codeOf = async (device: string) => (await platform.get<Why>(`/v1/devices/${device}/why`)).code
  assert.equal(await codeOf('plant:line4:saw'), 'not-born')
  await edge.publish('NDEATH', { metrics: [bdSeqMetric(2)] })
  assert.equal(await online(platform, 'plant:line4:press'), true)
  await edge.publish('NDEATH', { metrics: [bdSeqMetric(3)] })
  await until(() => statuses.length === 6)
  assert.deepEqual(statuses.slice(4), [
    'devices/plant:line4/status {"online":false}',
    'devices/plant:line4:press/status {"online":false}',
  ])
  assert.equal(await online(platform, 'plant:line4:press'), false)
  // Born again, and gone without a word: its will says so.
  await edge.birth(now, 3)
  await edge.say('DBIRTH', now, [COUNT], 'press')
  await until(() => statuses.length === 8)
  edge.client.stream.destroy()
  await until(async () => (await online(platform, 'plant:line4:press')) === false)
  await until(async () => (await codeOf('plant:line4:press')) === 'edge-node-gone')
  // So does a crash of the platform.
  const again = await EdgeNode.connect(t, platform, { bdSeq: 4 })
  await again.birth(now, 4)
  await again.say('DBIRTH', now, [COUNT], 'press')
  await until(async () => (await online(platform, 'plant:line4:press')) === true)
  await platform.kill()
  await platform.start()
  assert.equal(await online(platform, 'plant:line4:press'), false)
})

test('an edge node publishes on its own topics only, for all its devices; who speaks for many says so in its token', async (t) => {
  const config = scratchDirectory(t)
  mkdirSync(join(config, 'maps'))
  writeFileSync(
    join(config, 'maps', 'named.yaml'),
    'topic: spBv1.0/named/+/{node}/{device}\nformat: sparkplug\ndevice: "{device}"\nstream: named\nfields: { count: Count }\n',
  )
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_CONFIG_DIR: config } })
  const edge = await EdgeNode.connect(t, platform)
  const metrics = [{ ...COUNT, int_value: 1 }]
  const now = Date.now()
  const publish = (topic: string) => edge.client.publishAsync(topic, Buffer.from([8, 1]), { qos: 1 })
  await publish('spBv1.0/plant/NBIRTH/line5')
  await publish('spBv1.0/plant/DDATA/line5/press')
  await publish('spBv1.0/plant/NCMD/line4')
  await publish('spBv1.0/STATE/host')
  await until(() => edge.errors.length === 4)
  assert.deepEqual(new Set(edge.errors.map(({ code }) => code)), new Set(['publish-forbidden']))
  assert.match(edge.errors[0]?.message ?? '', /only the device plant:line5 may publish/)
  for (const filter of [
    'spBv1.0/plant/NCMD/line5',
    'spBv1.0/#',
    'spBv1.0/plant/DCMD/+/x',
    'spBv1.0/plant/DDATA/line4/+',
  ]) {
    await assert.rejects(edge.client.subscribeAsync(filter), /Subscribe error/, filter)
  }
  await assert.rejects(
    EdgeNode.connect(t, platform, {
      node: 'line6',
      options: { will: { topic: 'spBv1.0/plant/NDEATH/line5', payload: Buffer.from('') } },
    }),
    /Not authorized/,
  )
  assert.equal((await platform.ledger()).accepted, 0)

  // A map that names devices otherwise gives an edge node no devices of others.
  const named = await EdgeNode.connect(t, platform, { group: 'named' })
  await named.birth(now, 0)
  await named.say('DBIRTH', now, metrics, 'truck-7')
  await until(() => named.errors.length === 1)
  assert.match(named.errors[0]?.message ?? '', /by its map the message is of device truck-7/)

  const bridge = await connectAsync({
    port: platform.mqttPort,
    clientId: 'bridge',
    username: 'bridge',
    password: (await platform.telltale('token', 'device', 'bridge', '--also', 'plant:*')).trim(),
  })
  t.after(() => bridge.end(true))
  const asked: string[] = []
  bridge.on('message', (topic) => asked.push(topic))
  await bridge.subscribeAsync('spBv1.0/plant/NCMD/line9')
  await bridge.publishAsync('spBv1.0/plant/DDATA/line9/saw', Buffer.from([8, 1]), { qos: 1 })
  await until(() => asked.length === 1)
  const ledger = await platform.settled()
  assert.deepEqual([ledger.accepted, ledger.deadLettered], [2, 0])
})

test('another host application, with a token for the topics of Sparkplug, sees what was published, and commands nobody', async (t) => {
  const platform = await RunningPlatform.start(t)
  const password = (await platform.telltale('token', 'app', '--filter', 'spBv1.0/#')).trim()
  const host = await connectAsync({ port: platform.mqttPort, username: 'app', password, reconnectPeriod: 0 })
  t.after(() => host.end(true))
  host.on('error', () => undefined)
  const seen: string[] = []
  host.on('message', (topic, payload) => seen.push(`${topic} ${payload.toString('hex')}`))
  await host.subscribeAsync('spBv1.0/#')
  await assert.rejects(host.subscribeAsync('devices/+/status'), /Subscribe error/)
  const edge = await EdgeNode.connect(t, platform)
  await edge.birth(Date.now(), 0, [{ ...COUNT, int_value: 0 }])
  await edge.publish('NDATA', Buffer.from('1801', 'hex'))
  await until(() => seen.length === 2)
  assert.match(seen[0] ?? '', /^spBv1.0\/plant\/NBIRTH\/line4 /)
  assert.equal(seen[1], 'spBv1.0/plant/NDATA/line4 1801')
  const refused = await fetch(`${platform.url}/v1/readings`, { headers: { authorization: `Bearer ${password}` } })
  assert.deepEqual([refused.status, ((await refused.json()) as { readings: object[] }).readings], [200, []])
  const gone = new Promise((resolve) => host.once('close', () => resolve(undefined)))
  host.publish('spBv1.0/plant/NCMD/line4', 'x')
  await gone
  assert.deepEqual(edge.told, [])
})

test('as a primary host the platform says that it is there, and that it goes', async (t) => {
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SPARKPLUG_HOST: 'telltale' } })
  const edge = await EdgeNode.connect(t, platform)
  const states = () =>
    edge.told
      .filter(({ topic }) => topic === 'spBv1.0/STATE/telltale')
      .map(({ payload }) => JSON.parse(String(payload)))
  await until(() => states().length === 1)
  const [first] = states()
  assert.equal(first.online, true)
  assert(Math.abs(first.timestamp - Date.now()) < 120_000)
  const now = Date.now()
  await edge.birth(now, 0)
  for (let index = 0; index < 20; index++) await edge.say('DBIRTH', now, [COUNT], `d${index}`)
  assert.equal(await platform.stop(), 0)
  await until(() => states().length === 2)
  assert.deepEqual(states()[1], { online: false, timestamp: first.timestamp })
})
