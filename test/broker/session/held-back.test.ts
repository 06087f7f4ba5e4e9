import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { HELD_MESSAGES_PER_CLIENT_MAX } from '../../../intake/receive-window.ts'
import { until } from '../../until.ts'
import { type Bench, closed, connectAs, message, publish, RawClient, READING, startBroker } from '../harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'
const HELD_BACK = 'telltale_broker_held_back_total'
const LIMITED = 'telltale_broker_refused_total{reason="rate-limited"}'
const PER_SECOND = 5

/** A broker whose devices may publish so much, by a clock that stands still until it is told. */
async function limited(t: TestContext, deviceRate: { messagesPerSecond?: number; bytesPerSecond?: number }) {
  let now = Date.now()
  const bench = await startBroker(t, { auth: 'off', clock: { now: () => now }, listeners: { deviceRate } })
  const advance = (ms: number) => {
    now += ms
  }
  return { bench, advance }
}

async function connected(t: TestContext, bench: Bench, id = 'truck-7', more: object = {}): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  client.send({ ...connectAs(id), ...more } as Packet)
  assert.equal((await client.next('connack')).returnCode, 0)
  return client
}

const accepted = async (bench: Bench) => (await bench.entries()).length
const backlog = (count: number, qos: 0 | 1 | 2 = 1, first = 1) =>
  Array.from({ length: count }, (_, index) => publish(TOPIC, first + index, qos, Buffer.from(`{"n":${first + index}}`)))

for (const [qos, cmd] of [
  [1, 'puback'],
  [2, 'pubrec'],
] as const) {
  test(`a device that flushes its backlog at QoS ${qos} loses nothing: what is beyond its rate is acknowledged later`, async (t) => {
    const { bench, advance } = await limited(t, { messagesPerSecond: PER_SECOND })
    const device = await connected(t, bench)
    device.send(...backlog(3 * PER_SECOND, qos), { cmd: 'pingreq' })
    await device.next('pingresp')
    await until(async () => (await bench.metric(HELD_BACK)) === 2 * PER_SECOND)
    for (let second = 1; second <= 3; second++) {
      for (let count = 1; count <= PER_SECOND; count++) {
        assert.equal((await device.next(cmd)).messageId, (second - 1) * PER_SECOND + count)
      }
      device.send({ cmd: 'pingreq' })
      await device.next('pingresp')
      assert.deepEqual(device.packets, [], 'no more than its rate')
      assert.equal(await accepted(bench), second * PER_SECOND)
      advance(1_000)
    }
    assert.equal(await bench.metric(LIMITED), 0)
  })
}

test('at QoS 0 what waits is taken too, and is dropped and counted if the device does not stay for it', async (t) => {
  const { bench, advance } = await limited(t, { messagesPerSecond: PER_SECOND })
  const device = await connected(t, bench)
  device.send(...backlog(3 * PER_SECOND, 0), { cmd: 'pingreq' })
  await device.next('pingresp')
  await until(async () => (await accepted(bench)) === PER_SECOND)
  advance(1_000)
  await until(async () => (await accepted(bench)) === 2 * PER_SECOND)
  device.send({ cmd: 'disconnect' } as Packet)
  await device.untilClosed()
  await until(async () => (await bench.metric(LIMITED)) === PER_SECOND)
  advance(1_000)
  await connected(t, bench)
  assert.equal(await accepted(bench), 2 * PER_SECOND)
})

test("an app that takes a device's id for its client id uses up nothing of the device's rate", async (t) => {
  const now = Date.now()
  const listeners = { deviceRate: { bytesPerSecond: 100 } }
  const bench = await startBroker(t, { clock: { now: () => now }, listeners })
  const app = await bench.app(['devices/#'], { clientId: 'truck-7' })
  const gone = closed(app)
  await app.publishAsync(TOPIC, Buffer.alloc(1_000), { qos: 0 })
  await gone
  const device = await bench.device('truck-7')
  device.publish(TOPIC, READING, { qos: 1 })
  await until(async () => (await accepted(bench)) + (await bench.metric(HELD_BACK)) === 1)
  assert.equal(await bench.metric(HELD_BACK), 0)
})

test('the connections of one device, one after the other, share its rate; another device has its own', async (t) => {
  const { bench, advance } = await limited(t, { messagesPerSecond: PER_SECOND })
  let device = await connected(t, bench)
  device.send(...backlog(PER_SECOND))
  for (let count = 0; count < PER_SECOND; count++) await device.next('puback')
  device.socket.destroy()
  device = await connected(t, bench)
  device.send(...backlog(1), { cmd: 'pingreq' })
  await device.next('pingresp')
  assert.equal(await accepted(bench), PER_SECOND, 'a new connection is no new allowance')
  const other = await connected(t, bench, 'truck-8')
  other.send(...backlog(1))
  await other.next('puback')
  assert.equal(await accepted(bench), PER_SECOND + 1)
  advance(1_000)
  await device.next('puback')
  assert.equal(await accepted(bench), PER_SECOND + 2)
})

test('a QoS 2 message that waited when its connection ended is taken once, from the next', async (t) => {
  const { bench, advance } = await limited(t, { messagesPerSecond: 1 })
  const before = await connected(t, bench, 'truck-7', { clean: false })
  before.send(...backlog(2, 2), { cmd: 'pingreq' })
  await before.next('pubrec')
  await before.next('pingresp')
  const after = await connected(t, bench, 'truck-7', { clean: false })
  await before.untilClosed()
  after.send({ ...publish(TOPIC, 2, 2, Buffer.from('{"n":2}')), dup: true } as Packet)
  await until(async () => (await bench.metric(HELD_BACK)) === 2)
  advance(1_000)
  assert.equal((await after.next('pubrec')).messageId, 2)
  advance(60_000)
  after.send(publish(TOPIC, 3, 2))
  await after.next('pubrec')
  assert.equal(await accepted(bench), 3)
})

test('bytes are limited likewise, and a payload larger than a second of them is paid for afterwards', async (t) => {
  const { bench, advance } = await limited(t, { bytesPerSecond: 1_000 })
  const device = await connected(t, bench)
  device.send(publish(TOPIC, 1, 1, Buffer.alloc(1_500)), publish(TOPIC, 2), { cmd: 'pingreq' })
  assert.equal((await device.next('puback')).messageId, 1)
  await device.next('pingresp')
  advance(400)
  device.send({ cmd: 'pingreq' })
  await device.next('pingresp')
  assert.deepEqual(device.packets, [])
  advance(200)
  assert.equal((await device.next('puback')).messageId, 2)
})

test('a device that is held back far beyond what is read of it does not time out, and others are served', async (t) => {
  const { bench, advance } = await limited(t, { messagesPerSecond: 1_000 })
  const keepalive = 1
  const device = await connected(t, bench, 'truck-7', { keepalive })
  const count = 12 * HELD_MESSAGES_PER_CLIENT_MAX
  const all = Buffer.concat(backlog(count).map((packet) => mqttPacket.generate(packet)))
  device.socket.write(Buffer.concat([all, mqttPacket.generate({ cmd: 'pingreq' })]))
  await until(async () => (await bench.metric(HELD_BACK)) >= HELD_MESSAGES_PER_CLIENT_MAX)
  for (let round = 0; round < 2; round++) {
    const silent = await connected(t, bench, 'silent', { keepalive })
    await silent.untilClosed()
  }
  const other = await connected(t, bench, 'truck-8')
  other.send(publish(TOPIC, 1))
  await other.next('puback')
  assert(!device.closed, 'it was ended for its silence while the broker did not read from it')
  assert((await bench.metric(HELD_BACK)) < count, 'all of it was read')
  for (let id = 1; id <= count; id++) {
    if (id % 1_000 === 1) advance(1_000)
    assert.equal((await device.next('puback')).messageId, id)
  }
  await device.next('pingresp')
})

test('the will of a device over its rate comes at once, and is counted', async (t) => {
  const { bench } = await limited(t, { messagesPerSecond: 2 })
  const app = await bench.app(['devices/#'])
  await app.subscribeAsync('devices/+/status')
  const told = message(app)
  const will = { topic: 'devices/truck-7/status', payload: Buffer.from('{"online":false}'), qos: 1, retain: true }
  const device = await connected(t, bench, 'truck-7', { will })
  device.send(publish(TOPIC, 1))
  await device.next('puback')
  device.socket.destroy()
  assert.deepEqual(await told, ['devices/truck-7/status', '{"online":false}'])
  const again = await connected(t, bench)
  again.send(publish(TOPIC, 1, 1, READING), { cmd: 'pingreq' })
  await again.next('pingresp')
  assert.deepEqual(again.packets, [], 'it paid for its will')
})

test('repeats of a QoS 2 message that is held back are bounded as messages are, and go with their connection', async (t) => {
  const { bench, advance } = await limited(t, { messagesPerSecond: 1 })
  const device = await connected(t, bench, 'truck-7', { clean: false })
  device.send(...backlog(2, 2))
  await device.next('pubrec')
  const repeat = mqttPacket.generate(backlog(1, 2, 2)[0] ?? assert.fail())
  const count = 12 * HELD_MESSAGES_PER_CLIENT_MAX
  device.socket.write(Buffer.concat(Array.from({ length: count }, () => repeat)))
  device.send({ cmd: 'pingreq' })
  const silent = await connected(t, bench, 'silent', { keepalive: 1 })
  await silent.untilClosed()
  assert.deepEqual(device.packets, [], 'all repeats were read')
  device.socket.destroy()
  const again = await connected(t, bench, 'truck-7', { clean: false })
  again.send(...backlog(1, 2, 2))
  advance(1_000)
  assert.equal((await again.next('pubrec')).messageId, 2)
  assert.equal(await accepted(bench), 2)
})
