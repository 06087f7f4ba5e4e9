import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { connectAsync, ErrorWithReasonCode, type ErrorWithSubackPacket, type IClientOptions } from 'mqtt'
import { Identity } from '../../../identity/identity.ts'
import { systemClock } from '../../../platform/clock.ts'
import { scratchDirectory } from '../../scratch.ts'
import { closed, message, publish, RawClient, READING, startBroker } from '../harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

test('who may not connect gets return code 4 or 5, and is counted by reason', async (t) => {
  const bench = await startBroker(t)
  const { identity } = bench
  const token = await identity.signDevice('truck-7', 60_000)
  const appToken = await identity.signApp(['devices/#'], 60_000)
  const elsewhere = new Identity({ directory: join(scratchDirectory(t), 'keys') }, { clock: systemClock })
  await elsewhere.start()
  const device = { clientId: 'truck-7', username: 'truck-7' }
  const will = { topic: 'devices/truck-8/status', payload: 'x', qos: 0, retain: true } as const
  const cases: [name: string, options: IClientOptions, code: number, reason: string][] = [
    ['nothing', {}, 4, 'bad-token'],
    ['no password', device, 4, 'bad-token'],
    ['nonsense', { ...device, password: 'nonsense' }, 4, 'bad-token'],
    ['another key', { ...device, password: await elsewhere.signDevice('truck-7', 60_000) }, 4, 'bad-token'],
    ['an altered token', { ...device, password: `${token.slice(0, -4)}AAAA` }, 4, 'bad-token'],
    ["another device's user name", { ...device, username: 'truck-8', password: token }, 5, 'bad-token'],
    ["another device's client id", { ...device, clientId: 'truck-8', password: token }, 5, 'wrong-client-id'],
    ['an app token as a device', { ...device, password: appToken }, 5, 'bad-token'],
    ['a will on another topic', { ...device, password: token, will }, 5, 'wrong-will'],
  ]
  const counted = new Map<string, number>()
  for (const [name, options, code, reason] of cases) {
    const connecting = connectAsync({ host: '127.0.0.1', port: bench.port, reconnectPeriod: 0, ...options })
    await assert.rejects(connecting, (error) => error instanceof ErrorWithReasonCode && error.code === code, name)
    counted.set(reason, (counted.get(reason) ?? 0) + 1)
    const metric = `telltale_broker_refused_total{reason="${reason}"}`
    assert.equal(await bench.metric(metric), counted.get(reason), name)
  }
})

test('a token that is revoked while connected ends the connection, and lets nobody in again', async (t) => {
  const bench = await startBroker(t)
  const { identity } = bench
  const password = await identity.signDevice('truck-7', 60_000)
  const [device, other] = [await bench.device('truck-7', { password }), await bench.device('truck-8')]
  const gone = closed(device)
  const now = systemClock.now()
  identity.revocations.add({ id: 'truck-7', before: now + 1_000 }, now)
  identity.refresh()
  bench.broker.sweepTokens()
  await gone
  const again = connectAsync({
    port: bench.port,
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    reconnectPeriod: 0,
  })
  await assert.rejects(again, (error) => error instanceof ErrorWithReasonCode && error.code === 4)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="revoked-token"}'), 2)
  assert.equal(other.connected, true)
})

test('an expired token is refused, and one that expires while connected ends the connection', async (t) => {
  let now = Date.now()
  const bench = await startBroker(t, { clock: { now: () => now } })
  const password = await bench.identity.signDevice('truck-7', 1_000)
  const options = { host: '127.0.0.1', port: bench.port, reconnectPeriod: 0 }
  const device = { ...options, clientId: 'truck-7', username: 'truck-7', password }
  const client = await connectAsync(device)
  t.after(() => client.endAsync(true))
  now += 3_600_000
  await assert.rejects(connectAsync(device), (error) => error instanceof ErrorWithReasonCode && error.code === 4)
  const gone = closed(client)
  bench.broker.sweepTokens()
  await gone
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="expired-token"}'), 2)
})

test('a token signed by an installed public key is accepted, one without an end is not', async (t) => {
  const directory = scratchDirectory(t)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  mkdirSync(join(directory, 'keys'))
  writeFileSync(join(directory, 'keys', 'fleet.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
  const bench = await startBroker(t, { directory })
  const sign = (token: SignJWT) => token.setProtectedHeader({ alg: 'ES256' }).setAudience('telltale').sign(privateKey)
  const claims = () => new SignJWT({ role: 'device' }).setSubject('truck-7')
  await bench.device('truck-7', { password: await sign(claims().setExpirationTime('1h')) })
  const endless = bench.device('truck-7', { password: await sign(claims()) })
  await assert.rejects(endless, (error) => error instanceof ErrorWithReasonCode && error.code === 4)
})

test('subscriptions outside what a client may read are refused with 0x80 and counted', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  const app = await bench.app(['devices/+/telemetry/environment', 'devices/truck-7/#'])
  const refused = (error: ErrorWithSubackPacket) => error.packet.granted[0] === 0x80
  const forDevice = ['devices/truck-8/errors', 'devices/truck-7/#', 'devices/+/commands', '#', '$SYS/#', TOPIC]
  const forApp = [
    '#',
    'devices/#',
    'devices/+/telemetry/+',
    '+/+/telemetry/environment',
    '$SYS/#',
    '$share/a/devices/truck-7/#',
  ]
  for (const filter of forDevice) await assert.rejects(device.subscribeAsync(filter), refused, filter)
  for (const filter of forApp) await assert.rejects(app.subscribeAsync(filter), refused, filter)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="subscribe-forbidden"}'), 12)
  for (const filter of ['devices/truck-7/errors', 'devices/truck-7/commands']) await device.subscribeAsync(filter)
  for (const filter of [
    'devices/+/telemetry/environment',
    'devices/x/telemetry/environment',
    'devices/truck-7/status',
  ]) {
    await app.subscribeAsync(filter)
  }
})

test('an app that publishes is disconnected without acknowledgement, and counted', async (t) => {
  const bench = await startBroker(t)
  const app = await RawClient.open(t, bench.port)
  const password = Buffer.from(await bench.identity.signApp(['devices/#'], 60_000))
  app.send({
    cmd: 'connect',
    clientId: 'a',
    username: 'app',
    password,
    clean: true,
    keepalive: 60,
    protocolId: 'MQTT',
    protocolVersion: 4,
  })
  await app.next('connack')
  app.send(publish(TOPIC, 1))
  await app.untilClosed()
  assert.deepEqual(app.packets, [])
  assert.deepEqual(await bench.entries(), [])
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="publish-forbidden"}'), 1)
})

test('a denied subscription of a session that is not clean delivers nothing after a reconnect', async (t) => {
  const bench = await startBroker(t)
  const session = { clientId: 'app', clean: false }
  const app = await bench.app(['devices/truck-7/telemetry/#'], session)
  const granted = await app
    .subscribeAsync(['devices/truck-7/telemetry/environment', 'devices/truck-8/telemetry/environment'])
    .catch((error: ErrorWithSubackPacket) => error.packet.granted)
  assert.deepEqual(granted, [0, 128])
  await app.endAsync()
  const again = await bench.app(['devices/truck-7/telemetry/#'], session)
  const other = await bench.device('truck-8')
  const own = await bench.device('truck-7')
  const arrived = message(again)
  await other.publishAsync('devices/truck-8/telemetry/environment', READING, { qos: 1 })
  await own.publishAsync(TOPIC, READING, { qos: 1 })
  assert.equal((await arrived)[0], TOPIC)
})

test("an app's client id cannot take over a device's connection", async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  device.on('close', () => assert.fail('the device was disconnected'))
  await bench.app(['devices/#'], { clientId: 'truck-7' })
  await device.publishAsync(TOPIC, READING, { qos: 1 })
  device.removeAllListeners('close')
})

test('with authentication off anyone publishes and subscribes anything but $SYS', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const options = { host: '127.0.0.1', port: bench.port, reconnectPeriod: 0 }
  const client = await connectAsync(options)
  t.after(() => client.endAsync(true))
  await client.subscribeAsync('a/+')
  const arrived = message(client)
  await client.publishAsync('a/b', 'hello', { qos: 1 })
  assert.deepEqual(await arrived, ['a/b', 'hello'])
  await client.publishAsync(TOPIC, READING, { qos: 1 })
  assert.equal((await bench.entries()).length, 1)
  await assert.rejects(client.subscribeAsync('$SYS/#'))
})
