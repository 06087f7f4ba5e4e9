import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { MqttClient } from 'mqtt'
import type { IConnectPacket } from 'mqtt-packet'
import type { DevicePresence } from '../../log/presence.ts'
import { add } from '../log/command-contract.ts'
import { until } from '../until.ts'
import { closed, connectAs, message, publish, RawClient } from './harness.ts'
import { type SharedBench, startBrokers } from './shared-log.ts'

const STATUS = 'devices/truck-7/status'
const TELEMETRY = 'devices/truck-7/telemetry/environment'
const ONLINE = '{"online":true}'
const WILL = { topic: STATUS, payload: Buffer.from('{"online":false,"by":"will"}'), qos: 1, retain: true } as const
const DAY_MS = 86_400_000

const statusOf = (known: DevicePresence | undefined) => Buffer.from(known?.status ?? []).toString()

/** Resolves when the broker has read and answered what its clients sent before. */
async function round(app: MqttClient): Promise<void> {
  await app.subscribeAsync('devices/none/status')
}

test('a broker that starts leaves the devices of another one online, and not those of one that is gone', async (t) => {
  const { brokers, local, start } = await startBrokers(t, 1)
  const device = await brokers[0]?.device('truck-7', { will: WILL })
  await device?.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  const lost = { online: true, since: 1, broker: 'broker-0', status: Buffer.from(ONLINE) }
  await local.presence.update('truck-8', () => lost)
  const second = await start('broker-2')
  assert.equal(local.presence.get('truck-7')?.online, true)
  assert.equal(local.presence.get('truck-7')?.broker, 'broker-1')
  assert.equal(local.presence.get('truck-8')?.online, false)
  const statuses = new Map<string, string>()
  const app = await second.app(['devices/#'])
  app.on('message', (topic, payload) => statuses.set(topic, payload.toString()))
  await app.subscribeAsync('devices/+/status')
  await until(() => statuses.size === 2)
  assert.equal(statuses.get(STATUS), ONLINE)
  assert.equal(statuses.get('devices/truck-8/status'), '{"online":false}')
})

test('the devices of a broker that is gone are offline as their wills say: kept, journaled, and told at another one', async (t) => {
  const { brokers, local } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const device = await first.device('truck-7', { will: WILL })
  await device.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  const app = await second.app(['devices/#'])
  const came: string[] = []
  app.on('message', (_topic, payload) => came.push(payload.toString()))
  await app.subscribeAsync('devices/+/status')
  await until(() => came.length === 1)
  const gone = closed(device)
  first.member.stall()
  first.member.takeForGone()
  await until(() => local.presence.get('truck-7')?.online === false)
  assert.equal(statusOf(local.presence.get('truck-7')), WILL.payload.toString())
  await until(() => came.length === 2)
  assert.deepEqual(came, [ONLINE, WILL.payload.toString()])
  await until(() => local.journal.of('truck-7')?.events.some(({ code }) => code === 'broker-gone') === true)
  // Whoever was taken for gone, and was not, has its devices come again.
  first.member.goOn()
  await gone
})

test('a device that connects at another broker is taken over at the first one, and its status does not flap', async (t) => {
  const { brokers, local, history } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const app = await first.app(['devices/#'])
  const came: string[] = []
  app.on('message', (_topic, payload) => came.push(payload.toString()))
  await app.subscribeAsync('devices/+/status')
  const before = await first.device('truck-7', { will: WILL, protocolVersion: 5 })
  await before.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  let told: number | undefined
  let isClosed = false
  before.once('disconnect', ({ reasonCode }) => {
    told = reasonCode
  })
  before.once('close', () => {
    isClosed = true
  })
  const after = await second.device('truck-7', { will: WILL, protocolVersion: 5 })
  await until(() => isClosed)
  assert.equal(told, 0x8e)
  await after.publishAsync(STATUS, '{"online":true,"by":"the second"}', { qos: 1, retain: true })
  await until(() => came.length === 2)
  await until(() => local.journal.of('truck-7')?.events.some(({ code }) => code === 'taken-over') === true)
  assert.deepEqual(came, [ONLINE, '{"online":true,"by":"the second"}'])
  assert.deepEqual([...new Set(history.map(({ online }) => online))], [true])
  assert.equal(local.presence.get('truck-7')?.broker, 'broker-2')
  assert.equal(after.connected, true)
  await after.endAsync()
  await until(() => local.presence.get('truck-7')?.online === false)
})

test('what a stalled broker says of a device that has another one since is not kept', async (t) => {
  const { brokers, local, history } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const before = await first.device('truck-7', { will: WILL })
  await before.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  first.member.stall()
  const gone = closed(before)
  before.stream.destroy()
  await gone
  const after = await second.device('truck-7', { will: WILL })
  await after.publishAsync(STATUS, '{"online":true,"by":"the second"}', { qos: 1, retain: true })
  await until(async () => (await first.metric('telltale_broker_connections')) === 0)
  const { length } = history
  first.member.goOn()
  // What comes behind it of the same broker is kept in order.
  await (await first.device('truck-8')).endAsync()
  await until(() => history.length >= length + 2)
  assert.deepEqual(
    history.slice(length).map(({ device }) => device),
    ['truck-8', 'truck-8'],
  )
  const known = local.presence.get('truck-7')
  assert.equal(known?.online, true)
  assert.equal(statusOf(known), '{"online":true,"by":"the second"}')
})

test('nothing of a device is appended before it is known which of its connections it is, and all of it says so then', async (t) => {
  const { brokers, appended } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const app = await first.app(['devices/#'])
  first.member.stall()
  const client = await RawClient.open(t, first.port)
  const password = Buffer.from(await first.identity.signDevice('truck-7', DAY_MS))
  const connect = { ...(connectAs('truck-7') as IConnectPacket), username: 'truck-7', password }
  client.send(connect, publish(TELEMETRY, 1))
  await client.next('connack')
  await round(app)
  assert.equal(appended.length, 0)
  first.member.goOn()
  await client.next('puback')
  // The short way, too.
  client.send(publish(TELEMETRY, 2), publish(TELEMETRY, 3))
  await client.next('puback')
  await client.next('puback')
  assert.deepEqual(
    appended.map(({ epoch }) => epoch),
    [1, 1, 1],
  )
  const after = await second.device('truck-7')
  await client.untilClosed()
  await after.publishAsync(TELEMETRY, '{}', { qos: 1 })
  assert.deepEqual(appended.at(-1), { by: 'broker-2', device: 'truck-7', epoch: 2 })
})

test('a status that is kept at one broker is retained and told at the others, and so is that it was taken away', async (t) => {
  const { brokers } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const device = await first.device('truck-7')
  const app = await second.app(['devices/#'])
  await app.subscribeAsync('devices/+/status')
  const told = message(app)
  await device.publishAsync(STATUS, ONLINE, { qos: 1, retain: true })
  assert.deepEqual(await told, [STATUS, ONLINE])
  const late = await second.app(['devices/#'], { clientId: 'late' })
  const retained = message(late)
  await late.subscribeAsync('devices/+/status')
  assert.deepEqual(await retained, [STATUS, ONLINE])
  const empty = message(app)
  await device.publishAsync(STATUS, '', { qos: 1, retain: true })
  assert.deepEqual(await empty, [STATUS, ''])
})

/** A device's connection, on which nothing is acknowledged by itself. */
async function raw(t: TestContext, bench: SharedBench, { clean = true } = {}) {
  const client = await RawClient.open(t, bench.port)
  const password = Buffer.from(await bench.identity.signDevice('truck-7', DAY_MS))
  client.send({ ...(connectAs('truck-7', clean) as IConnectPacket), username: 'truck-7', password })
  const { sessionPresent } = await client.next('connack')
  return { client, sessionPresent }
}

async function wantsCommands(client: RawClient): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/truck-7/commands', qos: 1 }] })
  await client.next('suback')
}

test('a command is sent by the broker that has the newest connection of its device, and by no other', async (t) => {
  const { brokers, local } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const { client: before } = await raw(t, first)
  await wantsCommands(before)
  first.member.stall()
  const { client: after } = await raw(t, second)
  await wantsCommands(after)
  for (const text of ['"1"', '"2"', '"3"']) {
    await add(local.commands, 'truck-7', text)
    const { messageId } = await after.next('publish')
    after.send({ cmd: 'puback', messageId: messageId ?? 0 })
  }
  await until(() => local.commands.of('truck-7').every(({ state }) => state === 'acknowledged'))
  assert.deepEqual(
    local.commands.of('truck-7').map(({ sends }) => sends),
    [1, 1, 1],
  )
  before.send({ cmd: 'pingreq' })
  await before.next('pingresp')
  assert.deepEqual(before.packets, [])
  first.member.goOn()
  await before.untilClosed()
})

test('a session that was kept ends when its device connects at another broker: what it was owed comes there', async (t) => {
  const { brokers, local } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const { client: before } = await raw(t, first, { clean: false })
  await wantsCommands(before)
  await add(local.commands, 'truck-7', '"1"')
  await before.next('publish')
  const { client: there, sessionPresent } = await raw(t, second, { clean: false })
  assert.equal(sessionPresent, false)
  await before.untilClosed()
  await wantsCommands(there)
  const { messageId } = await there.next('publish')
  there.send({ cmd: 'puback', messageId: messageId ?? 0 })
  await until(() => local.commands.of('truck-7')[0]?.state === 'acknowledged')
  const { client: back, sessionPresent: isKept } = await raw(t, first, { clean: false })
  assert.equal(isKept, false)
  await wantsCommands(back)
  await add(local.commands, 'truck-7', '"2"')
  assert.equal(String((await back.next('publish')).payload), '"2"')
})

test('what is told of a dead letter comes once to who subscribes at each broker', async (t) => {
  const { brokers, local } = await startBrokers(t, 2)
  const [first, second] = brokers
  assert(first && second)
  const came: string[] = []
  for (const [index, bench] of [first, second].entries()) {
    const app = await bench.app(['devices/#'])
    app.on('message', (_topic, payload) => came.push(`${index} ${JSON.parse(payload.toString()).message}`))
    await app.subscribeAsync('devices/+/errors')
  }
  for (const reason of ['one', 'two']) {
    const entry = { device: 'truck-7', stream: 'environment', receivedAt: 1, flags: 0, payload: Buffer.from('{') }
    await new Promise<void>((resolve) => {
      local.appendSetAside(entry, { code: 'malformed-json', reason }, () => resolve())
    })
  }
  await until(() => came.length >= 4)
  assert.deepEqual(came.sort(), ['0 one', '0 two', '1 one', '1 two'])
})
