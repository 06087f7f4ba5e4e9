/** A bridge to a real Mosquitto, of what it takes, what it leaves, what it drops and whom it tells. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { LogError } from '../../log/log-error.ts'
import { PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { CBOR } from '../../schemas/content-type.ts'
import { readForeign } from '../../schemas/foreign.ts'
import { appending, holding } from '../broker/held-log.ts'
import { Authority, selfSigned } from '../servers/certificate.ts'
import { type Mosquitto, startMosquitto } from '../servers/mosquitto.ts'
import { freePort, requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { type BenchOptions, client, READING, startBridge } from './harness.ts'

const TELEMETRY = 'devices/truck-7/telemetry/environment'

async function bridged(t: TestContext, options: BenchOptions = {}, extra: readonly string[] = []) {
  const mosquitto = await requireServer(t, () => startMosquitto(['max_inflight_messages 0', ...extra]))
  if (mosquitto === undefined) return undefined
  const bench = await startBridge(t, mosquitto.port, options)
  await until(async () => (await bench.metric('connected')) === 1)
  return { mosquitto, bench, publisher: await client(t, mosquitto.port) }
}

for (const protocolVersion of [4, 5] as const) {
  test(`telemetry of every QoS is in the log, bytes as sent (MQTT ${protocolVersion})`, async (t) => {
    const { bench, publisher } = (await bridged(t, { protocolVersion })) ?? {}
    if (bench === undefined || publisher === undefined) return
    for (const qos of [0, 1, 2] as const) await publisher.publishAsync(TELEMETRY, Buffer.from(`{"ts":${qos}}`), { qos })
    await publisher.publishAsync(`${TELEMETRY}/cbor`, READING, { qos: 1 })
    await until(async () => (await bench.metric('acknowledged_total')) === 3)
    const entries = await bench.entries()
    assert.deepEqual(
      entries.map(({ device, stream, payload }) => [device, stream, payload.toString()]),
      ['{"ts":0}', '{"ts":1}', '{"ts":2}', READING.toString()].map((payload) => ['truck-7', 'environment', payload]),
    )
    assert.equal(entries.at(-1)?.framing, CBOR)
    const noted = () => bench.log.journal.of('truck-7')?.events ?? []
    await until(() => noted().length > 0)
    assert.deepEqual(
      noted().map(({ kind }) => kind),
      ['bridged'],
    )
  })
}

test('the content type of MQTT 5 says how a payload is framed', async (t) => {
  const { bench, mosquitto } = (await bridged(t)) ?? {}
  if (bench === undefined || mosquitto === undefined) return
  const publisher = await client(t, mosquitto.port, { protocolVersion: 5 })
  await publisher.publishAsync(TELEMETRY, READING, { qos: 1, properties: { contentType: 'application/cbor' } })
  await until(async () => (await bench.entries()).length === 1)
  assert.equal((await bench.entries())[0]?.framing, CBOR)
})

test('a PUBACK waits for the log, many are in flight, and they are given in the order of the messages', async (t) => {
  const held: (() => void)[] = []
  const { bench, publisher } = (await bridged(t, { through: holding(held) })) ?? {}
  if (bench === undefined || publisher === undefined) return
  for (let at = 0; at < 500; at++) publisher.publish(TELEMETRY, Buffer.from(String(at)), { qos: 1 })
  await until(() => held.length === 500)
  assert.equal(await bench.metric('acknowledged_total'), 0)
  for (const durable of held.splice(1)) durable()
  assert.equal(await bench.metric('acknowledged_total'), 0)
  held[0]?.()
  await until(async () => (await bench.metric('acknowledged_total')) === 500)
})

test('what the log refuses is not acknowledged, and comes again when it takes messages', async (t) => {
  let refusing = true
  const through = appending((log) => (entry, onDurable) => {
    if (refusing) queueMicrotask(() => onDurable(new LogError('log-full', 'the log is full')))
    else log.append(entry, onDurable)
  })
  const { bench, publisher } = (await bridged(t, { through })) ?? {}
  if (bench === undefined || publisher === undefined) return
  for (let at = 0; at < 50; at++) await publisher.publishAsync(TELEMETRY, Buffer.from(String(at)), { qos: 1 })
  // More than there are: some came again.
  await until(async () => (await bench.metric('refused_total')) > 50)
  assert.match(bench.bridge.away ?? '', /is away: the log is full/)
  assert.equal(await bench.metric('acknowledged_total'), 0)
  const began = () => bench.log.journal.ofPlatform()?.events.find(({ code }) => code === 'bridge-away')
  await until(() => began() !== undefined)
  refusing = false
  await until(async () => (await bench.metric('acknowledged_total')) === 50)
  const payloads = new Set((await bench.entries()).map(({ payload }) => Number(payload.toString())))
  assert.deepEqual([...payloads], [...Array(50).keys()])
  assert.equal(bench.bridge.away, undefined)
})

test('what is wrong is acknowledged, counted, noted, and told on the errors topic of its device', async (t) => {
  const options = { tellsErrors: true, topics: ['devices/#', 'plant/#'] }
  const { bench, publisher } = (await bridged(t, options)) ?? {}
  if (bench === undefined || publisher === undefined) return
  const told: { topic: string; code: string; message: string }[] = []
  publisher.on('message', (topic, payload) => told.push({ topic, ...JSON.parse(payload.toString()) }))
  await publisher.subscribeAsync('devices/+/errors')
  await publisher.publishAsync('devices/truck-7/telemetry/Not A Stream', READING, { qos: 1 })
  await publisher.publishAsync(TELEMETRY, Buffer.alloc(PAYLOAD_BYTES_MAX + 1), { qos: 1 })
  // More than a packet of ours may have.
  await publisher.publishAsync(TELEMETRY, Buffer.alloc(3 * 2 ** 20), { qos: 1 })
  await publisher.publishAsync('plant/7/temperature', Buffer.from('21'), { qos: 1 })
  await publisher.publishAsync('devices/truck-7/commands', Buffer.from('{}'), { qos: 1 })
  await publisher.publishAsync(TELEMETRY, READING, { qos: 1 })
  await until(async () => (await bench.metric('acknowledged_total')) === 6)
  assert.equal((await bench.entries()).length, 1)
  assert.equal(await bench.metric('dropped_total{reason="publish-forbidden"}'), 2)
  assert.equal(await bench.metric('dropped_total{reason="payload-too-large"}'), 2)
  assert.deepEqual(bench.unmapped, ['devices/truck-7/telemetry/Not A Stream', 'plant/7/temperature'])
  await until(() => told.length === 3)
  assert.deepEqual(
    told.map(({ topic, code }) => [topic, code]),
    ['publish-forbidden', 'payload-too-large', 'payload-too-large'].map((code) => ['devices/truck-7/errors', code]),
  )
  const drops = () => bench.log.journal.of('truck-7')?.events.filter(({ kind }) => kind === 'dropped') ?? []
  await until(() => drops().reduce((sum, { count }) => sum + count, 0) === 3)
})

test('a dead letter of a bridged device is told there, and of another device is not', async (t) => {
  const { bench, publisher } = (await bridged(t, { tellsErrors: true })) ?? {}
  if (bench === undefined || publisher === undefined) return
  await publisher.subscribeAsync('devices/+/errors')
  await publisher.publishAsync(TELEMETRY, READING, { qos: 1 })
  await until(async () => (await bench.metric('acknowledged_total')) === 1)
  const message = new Promise<[string, Buffer]>((resolve) => {
    publisher.once('message', (topic, payload) => resolve([topic, payload]))
  })
  const entry = { stream: 'environment', receivedAt: 1, flags: 0, payload: READING }
  for (const device of ['elsewhere', 'truck-7']) {
    const why = { code: 'bad-timestamp', reason: `of ${device}` }
    bench.log.appendSetAside({ ...entry, device }, why, () => undefined)
  }
  const [topic, payload] = await message
  assert.equal(topic, 'devices/truck-7/errors')
  assert.equal(JSON.parse(String(payload)).code, 'bad-timestamp')
})

test('maps take foreign topics, to which the bridge subscribes by itself', async (t) => {
  const maps = 'topic: plant/{device}/climate\nstream: environment\nfields:\n  temperature: $.t\n'
  const { bench, publisher } = (await bridged(t, { maps, group: 'telltale' })) ?? {}
  if (bench === undefined || publisher === undefined) return
  await publisher.publishAsync('plant/press-1/climate', Buffer.from('{"t":21}'), { qos: 1 })
  await until(async () => (await bench.entries()).length === 1)
  const [entry] = await bench.entries()
  assert.deepEqual([entry?.device, entry?.stream], ['press-1', 'environment'])
  assert.equal(readForeign(entry?.payload ?? Buffer.alloc(0))?.topic, 'plant/press-1/climate')
})

test('a map that comes while it runs is subscribed to, and nobody is told that the other broker is away', async (t) => {
  const { bench, publisher } = (await bridged(t)) ?? {}
  if (bench === undefined || publisher === undefined) return
  const text = 'topic: plant/{device}/climate\nstream: environment\nfields:\n  temperature: $.t\n'
  bench.schemas.useMaps([{ file: 'test.yaml', text }])
  bench.bridge.look()
  await until(async () => (await bench.metric('connects_total')) === 2)
  await publisher.publishAsync('plant/press-1/climate', Buffer.from('{"t":21}'), { qos: 1 })
  await until(async () => (await bench.entries()).length === 1)
  const codes = bench.log.journal.ofPlatform()?.events.map(({ kind }) => kind) ?? []
  assert.deepEqual(
    codes.filter((kind) => kind === 'began'),
    [],
  )
})

for (const protocolVersion of [4, 5] as const) {
  test(`what was retained before is no telemetry, and is not there twice; a status is kept (MQTT ${protocolVersion})`, async (t) => {
    const mosquitto = await requireServer(t, () => startMosquitto())
    if (mosquitto === undefined) return
    const publisher = await client(t, mosquitto.port)
    await publisher.publishAsync(TELEMETRY, Buffer.from('old'), { qos: 1, retain: true })
    await publisher.publishAsync('devices/truck-7/status', Buffer.from('{"online":true}'), { qos: 1, retain: true })
    const first = await startBridge(t, mosquitto.port, { protocolVersion })
    await until(() => first.log.presence.get('truck-7')?.online === true)
    await publisher.publishAsync(TELEMETRY, Buffer.from('new'), { qos: 1, retain: true })
    await until(async () => (await first.entries()).length === 1)
    await first.stop()
    await publisher.publishAsync('devices/truck-7/status', Buffer.from('{"online":false}'), { qos: 1, retain: true })
    const second = await startBridge(t, mosquitto.port, { protocolVersion, log: first.log })
    await until(() => first.log.presence.get('truck-7')?.online === false)
    await publisher.publishAsync(TELEMETRY, Buffer.from('newer'), { qos: 1, retain: true })
    await until(async () => (await second.entries()).length >= 2)
    assert.deepEqual(
      (await second.entries()).map(({ payload }) => payload.toString()),
      ['new', 'newer'],
    )
  })
}

test('two bridges of one group share what comes: each message is at one of them', async (t) => {
  const mosquitto: Mosquitto | undefined = await requireServer(t, () => startMosquitto(['max_inflight_messages 0']))
  if (mosquitto === undefined) return
  const one = await startBridge(t, mosquitto.port, { clientId: 'one', group: 'telltale' })
  const two = await startBridge(t, mosquitto.port, { clientId: 'two', group: 'telltale', log: one.log })
  for (const each of [one, two]) await until(async () => (await each.metric('connected')) === 1)
  const publisher = await client(t, mosquitto.port)
  const all = Array.from({ length: 1_000 }, (_, at) => String(at))
  await Promise.all(all.map((each) => publisher.publishAsync(TELEMETRY, Buffer.from(each), { qos: 1 })))
  const taken = async () => [await one.metric('acknowledged_total'), await two.metric('acknowledged_total')] as const
  await until(async () => (await taken()).reduce((sum, each) => sum + each) === all.length)
  for (const each of await taken()) assert(each > 0, `${await taken()}`)
  const payloads = (await one.entries()).map(({ payload }) => payload.toString())
  assert.deepEqual(new Set(payloads), new Set(all))
  assert.equal(payloads.length, all.length)
})

test('a broker that lets the bridge not in says why, and it is tried again', async (t) => {
  const mosquitto = await requireServer(t, () => startMosquitto(['allow_anonymous false']))
  if (mosquitto === undefined) return
  const bench = await startBridge(t, mosquitto.port)
  await until(() => /they let us not in: .*TELLTALE_BRIDGE_USERNAME/.test(bench.bridge.away ?? ''))
})

test('over TLS, with a certificate of its own; what the authority did not sign is refused', async (t) => {
  const [server, authority] = [selfSigned(t), new Authority(t)]
  const own = authority.issue('/CN=bridge')
  const port = await freePort()
  const lines = [`cafile ${authority.cert}`, `certfile ${server.cert}`, `keyfile ${server.key}`]
  const mosquitto = await requireServer(t, () => startMosquitto([...lines, 'require_certificate true'], port))
  if (mosquitto === undefined) return
  const shown = { cert: own.cert, key: own.key }
  const strange = await startBridge(t, port, { address: { host: 'localhost', port, tls: shown } })
  await until(() => /is away: .*self.signed/.test(strange.bridge.away ?? ''))
  await strange.stop()
  const tls = { ...shown, ca: readFileSync(server.cert) }
  const bench = await startBridge(t, port, { address: { host: 'localhost', port, tls }, log: strange.log })
  await until(async () => (await bench.metric('connected')) === 1)
})
