/** MQTT 5 from outside: what a client of it is answered. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet'
import { RECEIVE_MAXIMUM } from '../../../broker/mqtt5/reader.ts'
import { CLIENT_ID_CHARS_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../../platform/limits.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, connected5, publish, RawClient, READING, startBroker } from '../harness.ts'
import { holding } from '../held-log.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

/** More than a keep alive of 2 s allows in silence. */
const HELD_MS = 5_000

async function device(t: TestContext, bench: Bench, id = 'truck-7', more: Partial<IConnectPacket> = {}) {
  const password = Buffer.from(await bench.identity.signDevice(id, 60_000))
  return connected5(t, bench, id, { username: id, password, ...more })
}

test('mqtt.js publishes by MQTT 5 at each QoS, and subscribers of both levels get it', async (t) => {
  const bench = await startBroker(t)
  const publisher = await bench.device('truck-7', { protocolVersion: 5 })
  const got: string[] = []
  for (const [clientId, protocolVersion] of [
    ['old', 4],
    ['new', 5],
  ] as const) {
    const app = await bench.app(['devices/+/telemetry/#'], { clientId, protocolVersion })
    app.on('message', (topic, payload, { qos }) => got.push(`${clientId} ${topic} ${payload} ${qos}`))
    await app.subscribeAsync('devices/+/telemetry/#', { qos: 2 })
  }
  for (const qos of [0, 1, 2] as const) await publisher.publishAsync(TOPIC, `{"qos":${qos}}`, { qos })
  await until(() => got.length === 6)
  const expected = [0, 1, 2].flatMap((qos) => ['new', 'old'].map((id) => `${id} ${TOPIC} {"qos":${qos}} ${qos}`))
  assert.deepEqual(got.toSorted(), expected.toSorted())
  const payloads = (await bench.entries()).map(({ payload }) => `${payload}`)
  assert.deepEqual(payloads, ['{"qos":0}', '{"qos":1}', '{"qos":2}'])
})

test('a CONNACK says what holds here, and gives a client id to who has none', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const { connack } = await connected5(t, bench, 'one')
  assert.equal(connack.reasonCode, 0)
  assert.deepEqual(
    { ...connack.properties },
    {
      receiveMaximum: RECEIVE_MAXIMUM,
      maximumPacketSize: FRAME_BYTES_MAX,
      topicAliasMaximum: 16,
    },
  )
  const [one, other] = [await connected5(t, bench, ''), await connected5(t, bench, '')]
  const ids = [one, other].map(({ connack }) => connack.properties?.assignedClientIdentifier)
  assert.match(ids[0] ?? '', /^assigned-/)
  assert.notEqual(ids[0], ids[1])
})

test('who may not connect is told why', async (t) => {
  const bench = await startBroker(t)
  const password = Buffer.from(await bench.identity.signDevice('truck-7', 60_000))
  const authenticationMethod = 'SCRAM-SHA-1'
  const refused: [code: number, connect: Partial<IConnectPacket>][] = [
    [0x86, { username: 'truck-7', password: Buffer.from('wrong') }],
    [0x87, { username: 'truck-7', password, clientId: 'another' }],
    [0x85, { username: 'truck-7', password, clientId: 'x'.repeat(CLIENT_ID_CHARS_MAX + 1) }],
    [0x8c, { username: 'truck-7', password, properties: { authenticationMethod } }],
  ]
  for (const [code, connect] of refused) {
    const { client, connack } = await connected5(t, bench, 'truck-7', connect)
    assert.equal(connack.reasonCode, code)
    // An identifier that is too long is refused before anything is agreed on.
    if (code !== 0x85) assert((connack.properties?.reasonString ?? '').length > 0)
    if (code === 0x8c)
      assert.match(connack.properties?.reasonString ?? '', /"SCRAM-SHA-1" is not known here: telltale-token is$/)
    await client.untilClosed()
  }
})

test('what breaks a rule is answered by a DISCONNECT that says so', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const string = (text: string) => [0, text.length, ...Buffer.from(text)]
  const publishing = (...properties: number[]) => {
    const body = [...string('a'), properties.length, ...properties, 1]
    return Buffer.of(0x30, body.length, ...body)
  }
  const broken: Record<string, [code: number, bytes: Buffer]> = {
    'a property that there is not': [0x81, publishing(0x7f)],
    'a property of another packet': [0x82, publishing(0x11, 0, 0, 0, 1)],
    'a property twice': [0x82, publishing(0x01, 0, 0x01, 0)],
    'a flag that is 2': [0x82, publishing(0x01, 2)],
    'a property that is cut off': [0x81, publishing(0x02, 0, 0)],
    'a string that is ill-formed': [0x81, publishing(0x03, 0, 1, 0xff)],
    'a pair without its second half': [0x81, publishing(0x26, ...string('name'))],
    'properties longer than their packet': [0x81, Buffer.of(0x30, 5, ...string('a'), 9, 1)],
    'a length of five bytes': [0x81, Buffer.of(0x30, 9, ...string('a'), 0x80, 0x80, 0x80, 0x80, 0, 0)],
    'an alias of 0': [0x94, publishing(0x23, 0, 0)],
    'an alias that is too great': [0x94, publishing(0x23, 0, 17)],
    'an alias that stands for nothing': [0x82, Buffer.of(0x30, 6, 0, 0, 3, 0x23, 0, 1)],
    'neither topic nor alias': [0x82, Buffer.of(0x30, 3, 0, 0, 0)],
    'a wildcard in a topic': [0x90, Buffer.of(0x30, 4, ...string('#'), 0)],
    'a response topic with a wildcard': [0x82, publishing(0x08, ...string('#'))],
    'a subscription identifier of 0': [0x82, Buffer.of(0x82, 9, 0, 1, 2, 0x0b, 0, ...string('a'), 0)],
    'a subscription identifier in a PUBLISH': [0x82, publishing(0x0b, 1)],
    'a second CONNECT': [0x82, Buffer.of(0x10, 14, ...string('MQTT'), 5, 2, 0, 0, 0, ...string('a'))],
    'an AUTH': [0x82, Buffer.of(0xf0, 0)],
    'a packet that is too large': [0x95, Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f)],
    'a session that lasts after all': [0x82, Buffer.of(0xe0, 7, 0, 5, 0x11, 0, 0, 0, 1)],
    'a packet that there is not': [0x81, Buffer.of(0x00, 0)],
    'QoS 0 with DUP': [0x81, Buffer.of(0x38, 4, ...string('a'), 0)],
  }
  for (const [name, [code, bytes]] of Object.entries(broken)) {
    const { client } = await connected5(t, bench, 'constructor')
    client.socket.write(bytes)
    const { reasonCode, properties } = await client.next('disconnect')
    assert.equal(reasonCode, code, `${name}: ${reasonCode?.toString(16)} ${properties?.reasonString}`)
    await client.untilClosed()
  }
})

test('properties of a CONNECT that are wrong, or leave no room for an answer, are answered by a CONNACK', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  for (const [code, ...properties] of [
    [0x82, 0x21, 0, 0],
    [0x82, 0x27, 0, 0, 0, 0],
    [0x82, 0x17, 0, 0x17, 0],
    [0x81, 0x11, 0],
    // A CONNACK is larger; the one that says so is not.
    [0x95, 0x27, 0, 0, 0, 12],
  ]) {
    const client = await RawClient.open(t, bench.port, 5)
    const body = [0, 4, ...Buffer.from('MQTT'), 5, 2, 0, 0, properties.length, ...properties, 0, 1, 0x61]
    client.socket.write(Buffer.of(0x10, body.length, ...body))
    assert.equal((await client.next('connack')).reasonCode, code)
    await client.untilClosed()
  }
})

test('a message that is dropped is acknowledged with why, and the next one is taken', async (t) => {
  const bench = await startBroker(t)
  for (const requestProblemInformation of [true, false]) {
    const { client } = await device(t, bench, 'truck-7', { properties: { requestProblemInformation } })
    const foreign = 'devices/another/telemetry/environment'
    const large = Buffer.alloc(PAYLOAD_BYTES_MAX + 1)
    client.send(publish(foreign, 1, 1), publish(foreign, 2, 2), publish(TOPIC, 3, 1, large), publish(TOPIC, 4, 1))
    const answers: Packet[] = []
    for (const cmd of ['puback', 'puback', 'puback', 'pubrec'] as const) answers.push(await client.next(cmd))
    const told = answers.map((packet) => {
      const { cmd, messageId, reasonCode, properties } = packet as Extract<Packet, { cmd: 'puback' }>
      return [`${cmd}`, messageId, reasonCode, properties?.reasonString !== undefined]
    })
    const why = requestProblemInformation
    assert.deepEqual(told, [
      ['puback', 1, 0x87, why],
      ['puback', 3, 0x97, why],
      ['puback', 4, 0, false],
      ['pubrec', 2, 0x87, why],
    ])
    // Its id is free: what is published under it is new.
    client.send(publish(TOPIC, 2, 2))
    assert.equal((await client.next('pubrec')).reasonCode, 0)
    client.send({ cmd: 'disconnect', reasonCode: 0 })
    await client.untilClosed()
  }
  assert.equal((await bench.entries()).length, 4)
})

test('the errors topic is the same at both levels, and to those of MQTT 5 it says that it is JSON', async (t) => {
  const bench = await startBroker(t)
  const errors = 'devices/truck-7/errors'
  for (const protocolVersion of [4, 5] as const) {
    const client = await bench.device('truck-7', { protocolVersion })
    await client.subscribeAsync(errors)
    const told = new Promise<[payload: Buffer, packet: IPublishPacket]>((resolve) => {
      client.once('message', (_topic, payload, packet) => resolve([payload, packet]))
    })
    // At level 5 the acknowledgement says it, too.
    const publishing = client.publishAsync('devices/another/telemetry/environment', '{}', { qos: 1 })
    if (protocolVersion === 5) await assert.rejects(publishing, { code: 0x87 })
    else await publishing
    const [payload, { topic, properties }] = await told
    assert.deepEqual([topic, JSON.parse(`${payload}`).code], [errors, 'publish-forbidden'])
    const expected = { payloadFormatIndicator: true, contentType: 'application/json' }
    assert.deepEqual({ ...properties }, protocolVersion === 5 ? expected : {})
    await client.endAsync()
  }
})

test('a topic alias stands for its topic, on its connection', async (t) => {
  const bench = await startBroker(t)
  const { client } = await device(t, bench)
  const aliased = (topic: string, id: number, payload: string): Packet =>
    ({ ...publish(topic, id, 1, Buffer.from(payload)), properties: { topicAlias: 16 } }) as Packet
  client.send(aliased(TOPIC, 1, 'one'), aliased('', 2, 'two'), publish(TOPIC, 3, 1, Buffer.from('three')))
  for (const id of [1, 2, 3]) assert.equal((await client.next('puback')).messageId, id)
  const entries = (await bench.entries()).map(({ stream, payload }) => `${stream} ${payload}`)
  assert.deepEqual(entries, ['environment one', 'environment two', 'environment three'])
  client.send({ cmd: 'disconnect', reasonCode: 0 })
  await client.untilClosed()
  const { client: again } = await device(t, bench)
  again.send(aliased('', 1, 'one'))
  assert.equal((await again.next('disconnect')).reasonCode, 0x82)
})

test('SUBACK and UNSUBACK have a code for each filter', async (t) => {
  const bench = await startBroker(t)
  const { client } = await device(t, bench)
  const subscriptions = [
    'devices/truck-7/errors',
    'devices/+/errors',
    '$share/group/devices/+/errors',
    '$share/+/a',
  ].map((topic) => ({ topic, qos: 1 as const, nl: false, rap: false, rh: 0 }))
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [...subscriptions, ...subscriptions.slice(0, 1)] })
  assert.deepEqual((await client.next('suback')).granted, [1, 0x87, 0x87, 0x8f, 1])
  const unsubscriptions = ['devices/truck-7/errors', 'constructor', '__proto__', 'devices/truck-7/errors']
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions })
  assert.deepEqual((await client.next('unsuback')).granted, [0, 0x11, 0x11, 0x11])
})

test('a client that is taken over, and one whose broker stops, are told', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const { client: first } = await connected5(t, bench, '__proto__')
  const { client: second } = await connected5(t, bench, '__proto__')
  assert.equal((await first.next('disconnect')).reasonCode, 0x8e)
  await bench.stop()
  assert.equal((await second.next('disconnect')).reasonCode, 0x8b)
})

test('who has no place here is told another server, where one is known', async (t) => {
  const serverReference = 'two.example:1883 [::1]'
  for (const [mqtt5, full, stopping] of [
    [{ serverReference: undefined }, 0x89, 0x8b],
    [{ serverReference }, 0x9c, 0x9c],
  ] as const) {
    const bench = await startBroker(t, { auth: 'off', listeners: { mqtt5, clientsMax: 2 } })
    const { client: first } = await connected5(t, bench, 'constructor')
    // Whoever takes little is told the code alone.
    const { client: brief } = await connected5(t, bench, 'brief', { properties: { maximumPacketSize: 20 } })
    const { client: refused, connack } = await connected5(t, bench, 'refused')
    assert.equal(connack.reasonCode, full)
    assert.equal(connack.properties?.serverReference, mqtt5.serverReference)
    assert.match(connack.properties?.reasonString ?? '', /as many clients/)
    await refused.untilClosed()
    const old = await RawClient.open(t, bench.port)
    old.send(connectAs('old'))
    assert.equal((await old.next('connack')).returnCode, 3)
    await old.untilClosed()
    const { client: again, connack: own } = await connected5(t, bench, 'constructor')
    assert.equal(own.reasonCode, 0)
    await first.untilClosed()
    await bench.stop()
    const [told, toldBriefly] = [await again.next('disconnect'), await brief.next('disconnect')]
    assert.deepEqual([told.reasonCode, toldBriefly.reasonCode], [stopping, stopping])
    assert.equal(told.properties?.serverReference, mqtt5.serverReference)
    assert.equal(toldBriefly.properties, undefined)
  }
})

test('a reading with properties is in the log as one without', async (t) => {
  const bench = await startBroker(t)
  const { client } = await device(t, bench)
  const properties = { contentType: 'application/json', userProperties: { __proto__: 'a', constructor: ['b', 'c'] } }
  client.send({ ...publish(TOPIC, 1), properties } as Packet)
  await client.next('puback')
  const [entry] = await bench.entries()
  assert.deepEqual(Buffer.from(entry?.payload ?? []), READING)
})

test('while the log is held for 5 s, a client with 1,500 messages and a keep alive of 2 s stays by Receive Maximum, and loses none', async (t) => {
  const held: (() => void)[] = []
  const bench = await startBroker(t, { through: holding(held) })
  const { client, connack } = await device(t, bench, 'truck-7', { keepalive: 2 })
  const { receiveMaximum = 0 } = connack.properties ?? {}
  const count = 1_500
  let sent = 0
  const sendUntil = (until: number) => {
    for (; sent < until; sent++) client.send(publish(TOPIC, sent + 1, 1))
  }
  sendUntil(receiveMaximum)
  await until(() => held.length === receiveMaximum)
  for (const since = performance.now(); performance.now() - since < HELD_MS; await pause(HELD_MS / 20)) {
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
  }
  // Each acknowledgement lets it send one more.
  const acknowledged = () => client.packets.length
  while (acknowledged() < count) {
    for (const release of held.splice(0)) release()
    const before = acknowledged()
    await until(() => held.length > 0 || acknowledged() > before || acknowledged() === count)
    sendUntil(Math.min(count, acknowledged() + receiveMaximum))
  }
  const ids = client.packets.map(({ messageId }) => messageId)
  assert.deepEqual(
    ids,
    Array.from({ length: count }, (_, index) => index + 1),
  )
  assert.equal(await bench.metric('telltale_broker_accepted_total{qos="1"}'), count)
})
