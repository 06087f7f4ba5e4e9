import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MqttClient } from 'mqtt'
import type { DevicePresence } from '../../log/presence.ts'
import { until } from '../until.ts'
import { closed, message, publish, RawClient } from './harness.ts'
import { type Member, startBrokers } from './shared-log.ts'

const STATUS = 'devices/truck-7/status'
const TELEMETRY = 'devices/truck-7/telemetry/environment'
const ONLINE = '{"online":true}'
const WILL = { topic: STATUS, payload: Buffer.from('{"online":false,"by":"will"}'), qos: 1, retain: true } as const
const DAY_MS = 86_400_000

const statusOf = (known: DevicePresence | undefined) => Buffer.from(known?.status ?? []).toString()

/** What the broker keeps, and what it hears of others, waits until it is told to go on. */
function stall(member: Member): () => void {
  let goOn: () => void = () => undefined
  member.stalled = new Promise((resolve) => {
    goOn = resolve
  })
  return () => {
    member.stalled = undefined
    goOn()
  }
}

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
  const goOn = stall(first.member)
  first.member.takeForGone()
  await until(() => local.presence.get('truck-7')?.online === false)
  assert.equal(statusOf(local.presence.get('truck-7')), WILL.payload.toString())
  await until(() => came.length === 2)
  assert.deepEqual(came, [ONLINE, WILL.payload.toString()])
  await until(() => local.journal.of('truck-7')?.events.some(({ code }) => code === 'broker-gone') === true)
  // Whoever was taken for gone, and was not, has its devices come again.
  goOn()
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
  const told = new Promise<number | undefined>((resolve) => {
    before.once('disconnect', ({ reasonCode }) => resolve(reasonCode))
  })
  const ended = closed(before)
  const after = await second.device('truck-7', { will: WILL, protocolVersion: 5 })
  assert.equal(await told, 0x8e)
  await ended
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
  const goOn = stall(first.member)
  const gone = closed(before)
  before.stream.destroy()
  await gone
  const after = await second.device('truck-7', { will: WILL })
  await after.publishAsync(STATUS, '{"online":true,"by":"the second"}', { qos: 1, retain: true })
  await until(async () => (await first.metric('telltale_broker_connections')) === 0)
  const { length } = history
  goOn()
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
  const goOn = stall(first.member)
  const token = await first.identity.signDevice('truck-7', DAY_MS)
  const connect = { cmd: 'connect', clientId: 'truck-7', username: 'truck-7', password: Buffer.from(token) } as const
  const raw = await RawClient.open(t, first.port)
  raw.send({ ...connect, clean: true, keepalive: 0, protocolId: 'MQTT', protocolVersion: 4 }, publish(TELEMETRY, 1))
  await raw.next('connack')
  await round(app)
  assert.equal(appended.length, 0)
  goOn()
  await raw.next('puback')
  // The short way, too.
  raw.send(publish(TELEMETRY, 2), publish(TELEMETRY, 3))
  await raw.next('puback')
  await raw.next('puback')
  assert.deepEqual(
    appended.map(({ epoch }) => epoch),
    [1, 1, 1],
  )
  const after = await second.device('truck-7')
  await raw.untilClosed()
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
