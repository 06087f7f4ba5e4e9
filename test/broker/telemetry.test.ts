import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { INGEST_READER } from '../../log/log.ts'
import { LogError } from '../../log/log-error.ts'
import { CLIENT_ID_CHARS_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { only } from '../log/only.ts'
import { requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'
import { type Bench, closed, connectAs, message, publish, RawClient, READING, startBroker } from './harness.ts'
import { appending, holding } from './held-log.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

for (const qos of [0, 1, 2] as const) {
  test(`a QoS ${qos} reading is in the log, bytes as sent, before it is acknowledged`, async (t) => {
    const bench = await startBroker(t)
    const device = await bench.device('truck-7')
    const payload = Buffer.from([0xc3, 0x01, 0, 255, 128])
    await device.publishAsync(TOPIC, payload, { qos })
    if (qos === 0) await device.publishAsync(TOPIC, READING, { qos: 1 })
    const [entry] = await bench.entries()
    assert.equal(entry?.device, 'truck-7')
    assert.equal(entry?.stream, 'environment')
    assert.deepEqual(Buffer.from(entry?.payload ?? []), payload)
    assert.equal(await bench.metric(`telltale_broker_accepted_total{qos="${qos}"}`), 1)
  })
}

async function token(bench: Bench, device: string): Promise<Buffer> {
  return Buffer.from(await bench.identity.signDevice(device, 60_000))
}

async function connected(t: TestContext, bench: Bench, clean = true) {
  const client = await RawClient.open(t, bench.port)
  client.send({
    cmd: 'connect',
    clientId: 'truck-7',
    username: 'truck-7',
    password: await token(bench, 'truck-7'),
    clean,
    keepalive: 60,
    protocolId: 'MQTT',
    protocolVersion: 4,
  })
  assert.equal((await client.next('connack')).returnCode, 0)
  return client
}

for (const [qos, acknowledgement] of [
  [1, 'puback'],
  [2, 'pubrec'],
] as const) {
  test(`the ${acknowledgement.toUpperCase()} waits for the flush, and comes in order`, async (t) => {
    const held: (() => void)[] = []
    const bench = await startBroker(t, { through: holding(held) })
    const client = await connected(t, bench)
    client.send(publish(TOPIC, 1, qos), publish(TOPIC, 2, qos), publish(TOPIC, 3, qos))
    await until(() => held.length >= 3)
    assert.deepEqual(client.packets, [])
    for (const [index, release] of held.entries()) {
      release()
      assert.equal((await client.next(acknowledgement)).messageId, index + 1)
      assert.deepEqual(client.packets, [])
    }
  })
}

test('what the log refuses is not acknowledged: the device is disconnected and keeps it', async (t) => {
  const refusing = appending(() => (_entry, onDurable) => onDurable(new LogError('log-full', 'full')))
  const bench = await startBroker(t, { through: refusing })
  const client = await connected(t, bench)
  client.send(publish(TOPIC, 1))
  await client.untilClosed()
  assert.deepEqual(client.packets, [])
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="log-refused"}'), 1)
})

test('a QoS 2 message sent again, in one segment or later, is in the log once until its PUBREL', async (t) => {
  const bench = await startBroker(t)
  const client = await connected(t, bench, false)
  const duplicate = { ...publish(TOPIC, 7, 2), dup: true }
  client.send(publish(TOPIC, 7, 2), duplicate, duplicate)
  for (let count = 0; count < 3; count++) assert.equal((await client.next('pubrec')).messageId, 7)
  client.send(duplicate)
  await client.next('pubrec')
  client.socket.destroy()
  const again = await connected(t, bench, false)
  again.send(duplicate)
  await again.next('pubrec')
  assert.equal((await bench.entries()).length, 1)
  again.send({ cmd: 'pubrel', messageId: 7 })
  await again.next('pubcomp')
  again.send(publish(TOPIC, 7, 2))
  await again.next('pubrec')
  assert.equal((await bench.entries()).length, 2)
})

for (const [first, second] of [
  [true, true],
  [false, true],
  [true, false],
] as const) {
  test(`a QoS 2 message of a new session is no repeat of one that is still being appended (clean ${first}, then ${second})`, async (t) => {
    const held: (() => void)[] = []
    const bench = await startBroker(t, { through: holding(held) })
    const before = await connected(t, bench, first)
    before.send(publish(TOPIC, 7, 2))
    await until(() => held.length === 1)
    const after = await connected(t, bench, second)
    after.send(publish(TOPIC, 7, 2))
    await until(() => held.length === 2)
    for (const release of held) release()
    await after.next('pubrec')
    after.send({ cmd: 'pubrel', messageId: 7 })
    await after.next('pubcomp')
    assert.equal((await bench.entries()).length, 2)
  })
}

test('a QoS 2 message sent again on the next connection of its session, while it is still being appended, is in the log once', async (t) => {
  const held: (() => void)[] = []
  const bench = await startBroker(t, { through: holding(held) })
  const app = await bench.app(['devices/+/telemetry/environment'])
  await app.subscribeAsync('devices/+/telemetry/environment')
  let delivered = 0
  app.on('message', () => delivered++)
  const duplicate = { ...publish(TOPIC, 7, 2), dup: true }
  let client = await connected(t, bench, false)
  client.send(publish(TOPIC, 7, 2))
  await until(() => held.length === 1)
  client.socket.destroy()
  client = await connected(t, bench, false)
  client.send(duplicate, { cmd: 'pingreq' })
  await client.next('pingresp')
  held[0]?.()
  await client.next('pubrec')
  client.socket.destroy()
  client = await connected(t, bench, false)
  client.send(duplicate)
  await client.next('pubrec')
  client.send({ cmd: 'pubrel', messageId: 7 })
  await client.next('pubcomp')
  assert.deepEqual([held.length, delivered, (await bench.entries()).length], [1, 1, 1])
})

test('1,000 messages in one segment, and packets before CONNACK, are all acknowledged in order', async (t) => {
  const bench = await startBroker(t)
  const client = await RawClient.open(t, bench.port)
  const password = Buffer.from(await bench.identity.signDevice('truck-7', 60_000))
  const connect = {
    cmd: 'connect',
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    clean: true,
    keepalive: 60,
    protocolId: 'MQTT',
    protocolVersion: 4,
  } as const
  client.send(connect, ...Array.from({ length: 500 }, (_, index) => publish(TOPIC, index + 1)))
  client.send(...Array.from({ length: 500 }, (_, index) => publish(TOPIC, index + 501)))
  for (let id = 1; id <= 1_000; id++) assert.equal((await client.next('puback')).messageId, id)
  assert.equal((await bench.log.ledger(INGEST_READER)).accepted, 1_000)
})

test('an app over MQTT sees telemetry within its filters, as it was sent', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  const app = await bench.app(['devices/+/telemetry/environment'])
  await app.subscribeAsync('devices/+/telemetry/environment')
  const arrived = message(app)
  await device.publishAsync(TOPIC, READING, { qos: 1 })
  assert.deepEqual(await arrived, [TOPIC, READING.toString()])
})

for (const version of ['mqttv311', 'mqttv5']) {
  test(`mosquitto_sub with an app token sees what mosquitto_pub with a device token sends (${version})`, async (t) => {
    if (requireProgram(t, 'mosquitto_pub', 'apt install mosquitto-clients') === undefined) return
    const bench = await startBroker(t)
    const appToken = await bench.identity.signApp(['devices/#'], 60_000)
    const deviceToken = await bench.identity.signDevice('truck-7', 60_000)
    const run = promisify(execFile)
    const to = ['-V', version, '-h', '127.0.0.1', '-p', String(bench.port)]
    const subscribing = run('mosquitto_sub', [
      ...to,
      '-u',
      'app',
      '-P',
      appToken,
      '-t',
      'devices/#',
      '-C',
      '1',
      '-v',
      '-W',
      '20',
    ])
    await until(async () => (await bench.metric('telltale_broker_connections')) !== 0)
    const device = ['-i', 'truck-7', '-u', 'truck-7', '-P', deviceToken, '-t', TOPIC]
    const { stdout } = await Promise.race([
      subscribing,
      (async () => {
        for (;;) await run('mosquitto_pub', [...to, ...device, '-q', '1', '-m', READING.toString()])
      })(),
    ])
    assert.equal(stdout, `${TOPIC} ${READING}\n`)
  })
}

test('what a device may not send is acknowledged, dropped, counted, and told on its errors topic', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  await device.subscribeAsync('devices/truck-7/errors')
  const cases = [
    'devices/truck-8/telemetry/environment',
    'devices/truck-7/telemetry/Environment',
    'devices/truck-7/telemetry/environment/more',
    'devices/truck-7/errors',
    'devices/truck-7/other',
    'elsewhere',
    '$SYS/broker',
  ]
  for (const topic of cases) {
    const told = message(device)
    await device.publishAsync(topic, READING, { qos: 1 })
    const [errorsTopic, payload] = await told
    assert.equal(errorsTopic, 'devices/truck-7/errors')
    const report = JSON.parse(payload)
    assert.equal(report.code, 'publish-forbidden')
    assert(report.message.includes(topic), report.message)
    assert.equal(typeof report.at, 'number')
  }
  const told = message(device)
  await device.publishAsync(TOPIC, Buffer.alloc(PAYLOAD_BYTES_MAX + 1), { qos: 1 })
  const report = JSON.parse((await told)[1])
  assert.deepEqual([report.code, report.stream], ['payload-too-large', 'environment'])
  assert.deepEqual(await bench.entries(), [])
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="publish-forbidden"}'), cases.length)
})

test('what ingest has to say besides is told on the errors topic of the device', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  await device.subscribeAsync('devices/truck-7/errors')
  const told = message(device)
  const notice = { device: 'truck-7', stream: 'environment', code: 'superseded', message: 'so' }
  const nothing = { next: await only(bench.log).end(), stored: 0, readings: 0, deadLetters: [] }
  await only(bench.log).advance(INGEST_READER, { ...nothing, notices: [notice] })
  const [topic, payload] = await told
  assert.equal(topic, 'devices/truck-7/errors')
  const { at, ...report } = JSON.parse(payload)
  assert.deepEqual(report, { code: 'superseded', message: 'so', stream: 'environment' })
  assert.equal(typeof at, 'number')
})

test('what ingest sets aside is told on the errors topic of its sender, of nobody else', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  const other = await bench.device('truck-8')
  await device.subscribeAsync('devices/truck-7/errors')
  await other.subscribeAsync('devices/truck-8/errors')
  other.on('message', () => assert.fail('another device was told'))
  const app = await bench.app(['#'])
  await app.subscribeAsync('devices/+/errors')
  await device.publishAsync(TOPIC, 'nonsense', { qos: 1 })
  await device.publishAsync(TOPIC, 'more of it', { qos: 1 })
  const topics: string[] = []
  app.on('message', (topic) => topics.push(topic))
  const [told, seen] = [message(device), new Promise((resolve) => app.once('message', resolve))]
  const letters = (await bench.entries()).map((entry) => ({ ...entry, code: 'unknown-framing', reason: 'what it was' }))
  const [first, second] = letters
  assert(first && second)
  const deadLetters = [{ ...first, device: '', stream: '' }, second]
  await only(bench.log).advance(INGEST_READER, {
    next: await only(bench.log).end(),
    stored: 0,
    readings: 0,
    deadLetters,
  })
  const { at, ...report } = JSON.parse((await told)[1])
  assert.deepEqual(report, { code: 'unknown-framing', message: 'what it was', stream: 'environment' })
  assert(at > 0)
  await seen
  assert.deepEqual(topics, ['devices/truck-7/errors'])
})

test('a packet that announces more than is allowed ends the connection, before and after CONNECT', async (t) => {
  const bench = await startBroker(t)
  const before = await RawClient.open(t, bench.port)
  before.socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4]))
  await before.untilClosed()
  const after = await connected(t, bench)
  after.socket.write(Buffer.from([0x82, 0xff, 0xff, 0xff, 0x7f, 0, 4]))
  await after.untilClosed()
})

test('an unknown level of MQTT is answered by return code 1, a client id that is too long by 2', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const refused: [connect: Buffer, returnCode: number][] = [
    [mqttPacket.generate(connectAs('any')).fill(6, 8, 9), 1],
    [mqttPacket.generate(connectAs('x'.repeat(CLIENT_ID_CHARS_MAX + 1))), 2],
  ]
  for (const [connect, returnCode] of refused) {
    const client = await RawClient.open(t, bench.port)
    client.socket.write(connect)
    assert.equal((await client.next('connack')).returnCode, returnCode)
    await client.untilClosed()
  }
  const longest = await RawClient.open(t, bench.port)
  longest.send(connectAs('x'.repeat(CLIENT_ID_CHARS_MAX)))
  assert.equal((await longest.next('connack')).returnCode, 0)
})

test('a PUBLISH larger than a packet may be is acknowledged, dropped and told, and what is behind it arrives', async (t) => {
  const bench = await startBroker(t)
  const errors = await bench.device('truck-7')
  const told: { code: string; message: string; stream: string }[] = []
  errors.on('message', (_topic, payload) => told.push(JSON.parse(payload.toString())))
  await errors.subscribeAsync('devices/truck-7/errors')
  const large = Buffer.alloc(FRAME_BYTES_MAX + 100_000, 0x7b)
  for (const qos of [0, 1, 2] as const) await errors.publishAsync(TOPIC, large, { qos })
  await errors.publishAsync(TOPIC, READING, { qos: 1 })
  assert.equal((await bench.entries()).length, 1)
  await errors.subscribeAsync('devices/truck-7/commands')
  assert.deepEqual(
    told.map(({ code, stream }) => [code, stream]),
    Array.from({ length: 3 }, () => ['payload-too-large', 'environment']),
  )
  assert.match(told[0]?.message ?? '', new RegExp(`has ${FRAME_BYTES_MAX + 100_000 + 2 + TOPIC.length} bytes`))
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="payload-too-large"}'), 3)
})

test('a PUBLISH larger than a packet may be whose topic is no good string closes the connection', async (t) => {
  const bench = await startBroker(t)
  const client = await connected(t, bench)
  client.socket.write(Buffer.concat([Buffer.of(0x32, 0x82, 0x80, 0x40, 0, 2, 0x61, 0, 0, 1), Buffer.alloc(2 ** 20)]))
  await client.untilClosed()
})

test('what a client sends right behind its CONNECT is taken, though it ends its side at once', async (t) => {
  const bench = await startBroker(t)
  const password = await token(bench, 'truck-7')
  const connect: Packet = {
    ...connectAs('truck-7'),
    cmd: 'connect',
    clientId: 'truck-7',
    username: 'truck-7',
    password,
  }
  for (let round = 0; round < 20; round++) {
    const client = await RawClient.open(t, bench.port)
    client.send(connect, publish(TOPIC, 1, round % 2 === 0 ? 0 : 1))
    client.socket.end()
    await client.untilClosed()
  }
  await until(async () => (await bench.entries()).length >= 20)
})

test('acknowledgements come in the order of the messages, whatever becomes of each', async (t) => {
  const bench = await startBroker(t)
  for (const qos of [1, 2] as const) {
    const id = `truck-${qos}`
    const client = await RawClient.open(t, bench.port)
    client.send({ ...connectAs(id), cmd: 'connect', clientId: id, username: id, password: await token(bench, id) })
    await client.next('connack')
    const own = `devices/truck-${qos}`
    const topics = [`${own}/telemetry/environment`, `${own}/status`, 'elsewhere', `${own}/telemetry/environment`]
    const ids = Array.from({ length: 200 }, (_, index) => index + 1)
    client.send(...ids.map((id) => publish(topics[id % topics.length] ?? '', id, qos)))
    for (const id of ids) assert.equal((await client.next(qos === 1 ? 'puback' : 'pubrec')).messageId, id)
  }
})

test('a client that has gone before its acknowledgement is no protocol error', async (t) => {
  const held: (() => void)[] = []
  const bench = await startBroker(t, { auth: 'off', through: holding(held) })
  const client = await RawClient.open(t, bench.port)
  client.send(connectAs('truck-7'))
  await client.next('connack')
  client.send(publish(TOPIC, 1), publish(TOPIC, 2))
  client.socket.end()
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0 && held.length >= 2)
  for (const release of held) release()
  await until(async () => (await bench.metric('telltale_broker_protocol_errors_total')) !== 0)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="protocol-error"}'), 0)
  assert.equal(await bench.metric('telltale_broker_protocol_errors_total'), 1)
})

test('with authentication off the device of the topic is told what was dropped', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const device = await RawClient.open(t, bench.port)
  device.send(connectAs('any'))
  await device.next('connack')
  device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/truck-7/errors', qos: 0 }] })
  await device.next('suback')
  device.send(publish(TOPIC, 1, 1, Buffer.alloc(PAYLOAD_BYTES_MAX + 1)))
  const { code } = JSON.parse((await device.next('publish')).payload.toString())
  assert.equal(code, 'payload-too-large')
})

test('stopping flushes what is held and closes the clients', async (t) => {
  const bench = await startBroker(t)
  const device = await bench.device('truck-7')
  const gone = closed(device)
  await bench.broker.stop()
  await gone
})
