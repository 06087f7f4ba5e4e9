/** A token that is renewed by AUTH while its connection lasts, and what becomes of a connection whose token ends. Time is the test's. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet'
import { type Bench, connect5, connected5, publish, RawClient, startBroker } from '../harness.ts'

const METHOD = 'telltale-token'
const TOPIC = 'devices/truck-7/telemetry/environment'
const MINUTE_MS = 60_000

async function start(t: TestContext, auth: 'token' | 'off' = 'token') {
  const time = { ms: Date.UTC(2026, 10, 1) }
  const bench = await startBroker(t, { auth, clock: { now: () => time.ms } })
  return { bench, time }
}

const shown = (token: string) => ({ authenticationMethod: METHOD, authenticationData: Buffer.from(token) })

function auth(token: string, method = METHOD): Packet {
  const properties = { authenticationMethod: method, authenticationData: Buffer.from(token) }
  return { cmd: 'auth', reasonCode: 0x19, properties }
}

const bytesOf = (packet: Packet) => mqttPacket.generate(packet, { protocolVersion: 5 })

async function device(t: TestContext, bench: Bench, more: Partial<IConnectPacket> = {}) {
  const properties = shown(await bench.identity.signDevice('truck-7', MINUTE_MS))
  return connected5(t, bench, 'truck-7', { username: 'truck-7', properties, ...more })
}

async function app(t: TestContext, bench: Bench, filters: string[]) {
  const properties = shown(await bench.identity.signApp(filters, MINUTE_MS))
  const { client } = await connected5(t, bench, 'app', { username: 'app', properties })
  const subscribe = async (topic: string) => {
    const subscriptions = [{ topic, qos: 0 as const, nl: false, rap: false, rh: 0 }]
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    return (await client.next('suback')).granted[0]
  }
  return { client, subscribe }
}

/** The reason and the words with which a connection ends. */
async function end(client: RawClient): Promise<[code: number | undefined, words: string]> {
  const { reasonCode, properties } = await client.next('disconnect')
  await client.untilClosed()
  return [reasonCode, properties?.reasonString ?? '']
}

test('a device renews its token, shown as authentication data or as password, and goes on until the new one ends', async (t) => {
  const { bench, time } = await start(t)
  const password = Buffer.from(await bench.identity.signDevice('truck-7', MINUTE_MS))
  for (const more of [{}, { properties: { authenticationMethod: METHOD }, password }]) {
    const { client, connack } = await device(t, bench, more)
    assert.equal(connack.reasonCode, 0)
    assert.equal(connack.properties?.authenticationMethod, METHOD)
    client.send(auth(await bench.identity.signDevice('truck-7', 3 * MINUTE_MS)))
    const { reasonCode, properties } = await client.next('auth')
    assert.deepEqual([reasonCode, { ...properties }], [0, { authenticationMethod: METHOD }])
    time.ms += 2 * MINUTE_MS
    bench.broker.sweepTokens()
    client.send(publish(TOPIC, 1))
    assert.equal((await client.next('puback')).reasonCode, 0)
    time.ms += MINUTE_MS
    bench.broker.sweepTokens()
    assert.equal((await end(client))[0], 0x87)
    time.ms -= 3 * MINUTE_MS
  }
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="expired-token"}'), 2)
})

test('who has renewed its token stays when the one before is revoked', async (t) => {
  const { bench, time } = await start(t)
  const { client } = await device(t, bench)
  const { client: other } = await connected5(t, bench, 'truck-8', {
    username: 'truck-8',
    password: Buffer.from(await bench.identity.signDevice('truck-8', MINUTE_MS)),
  })
  time.ms += 10_000
  client.send(auth(await bench.identity.signDevice('truck-7', MINUTE_MS)))
  await client.next('auth')
  for (const id of ['truck-7', 'truck-8']) bench.identity.revocations.add({ id, before: time.ms - 5_000 }, time.ms)
  bench.identity.refresh()
  bench.broker.sweepTokens()
  assert.equal((await end(other))[0], 0x87)
  client.send({ cmd: 'pingreq' })
  await client.next('pingresp')
})

test('the filters of the new token hold for an app, and it must not lose what it has subscribed to', async (t) => {
  const { bench } = await start(t)
  const [here, there] = ['devices/here/telemetry/#', 'devices/there/telemetry/#']
  const { client, subscribe } = await app(t, bench, [here])
  assert.equal(await subscribe(there), 0x87)
  client.send(auth(await bench.identity.signApp(['devices/+/telemetry/#'], MINUTE_MS)))
  await client.next('auth')
  assert.equal(await subscribe(`$share/group/${there}`), 0)
  client.send(auth(await bench.identity.signApp([there], MINUTE_MS)))
  await client.next('auth')
  assert.equal(await subscribe(here), 0x87)
  client.send(auth(await bench.identity.signApp([here], MINUTE_MS)))
  const [code, words] = await end(client)
  assert.equal(code, 0x87)
  assert.match(words, /\$share\/group\/devices\/there/)
})

test('a token that does not continue the one before ends the connection, with words', async (t) => {
  const { bench, time } = await start(t)
  const { identity } = bench
  const expired = await identity.signDevice('truck-7', 1_000)
  time.ms += 2_000
  const refused: [words: RegExp, token: string][] = [
    [/device "truck-8"/, await identity.signDevice('truck-8', MINUTE_MS)],
    [/an app/, await identity.signApp(['devices/#'], MINUTE_MS)],
    [/expired/, expired],
    [/not valid/, 'nonsense'],
    [/no token/, ''],
  ]
  for (const [words, token] of refused) {
    const { client } = await device(t, bench)
    client.send(auth(token))
    const [code, told] = await end(client)
    assert.equal(code, 0x87)
    assert.match(told, words)
  }
  const { client } = await app(t, bench, ['devices/#'])
  client.send(auth(await identity.signDevice('app', MINUTE_MS)))
  assert.equal((await end(client))[0], 0x87)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="bad-token"}'), 5)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="expired-token"}'), 1)
})

test('an AUTH that breaks a rule is answered by a DISCONNECT', async (t) => {
  const { bench } = await start(t)
  const token = await bench.identity.signDevice('truck-7', MINUTE_MS)
  const password = Buffer.from(token)
  const broken: [name: string, code: number, connect: Partial<IConnectPacket>, ...packets: (Packet | Buffer)[]][] = [
    ['no method in CONNECT', 0x82, { properties: {}, password }, auth(token)],
    ['no method in AUTH', 0x82, {}, { cmd: 'auth', reasonCode: 0x19 } as Packet],
    ['nothing in AUTH', 0x82, {}, Buffer.of(0xf0, 0)],
    ['a success', 0x82, {}, { ...auth(token), reasonCode: 0 } as Packet],
    ['a continuation of nothing', 0x82, {}, { ...auth(token), reasonCode: 0x18 } as Packet],
    ['another method', 0x82, {}, auth(token, 'SCRAM-SHA-1')],
    ['two at once', 0x82, {}, auth(token), auth(token)],
    ['flags', 0x81, {}, Buffer.of(0xf1, 0)],
  ]
  for (const [name, code, connect, ...packets] of broken) {
    const { client } = await device(t, bench, connect)
    // Together: one comes before the other is answered.
    client.socket.write(Buffer.concat(packets.map((packet) => (Buffer.isBuffer(packet) ? packet : bytesOf(packet)))))
    assert.equal((await end(client))[0], code, name)
  }
})

test('who named a method sends nothing but a DISCONNECT before its CONNACK', async (t) => {
  const { bench } = await start(t)
  const token = await bench.identity.signDevice('truck-7', MINUTE_MS)
  for (const packet of [auth(token), publish(TOPIC, 1)]) {
    const client = await RawClient.open(t, bench.port, 5)
    client.send(connect5('truck-7', { username: 'truck-7', properties: shown(token) }), packet)
    assert.equal((await client.next('connack')).reasonCode, 0x82)
    await client.untilClosed()
  }
  assert.deepEqual(await bench.entries(), [])
})

test('an AUTH of MQTT 3.1.1 ends the connection without a word', async (t) => {
  const { bench } = await start(t, 'off')
  const client = await RawClient.open(t, bench.port)
  client.send({ ...(connect5('a') as IConnectPacket), protocolVersion: 4 })
  await client.next('connack')
  client.socket.write(Buffer.of(0xf0, 2, 0x19, 0))
  await client.untilClosed()
  assert.deepEqual(client.packets, [])
})

test('with authentication off every token is a good one', async (t) => {
  const { bench } = await start(t, 'off')
  const { client } = await connected5(t, bench, 'anyone', { properties: shown('whatever') })
  client.send(auth(''))
  assert.equal((await client.next('auth')).reasonCode, 0)
})

test('mqtt.js shows its token as authentication data', async (t) => {
  const bench = await startBroker(t)
  const properties = shown(await bench.identity.signDevice('truck-7', MINUTE_MS))
  const client = await bench.device('truck-7', { protocolVersion: 5, password: '', properties })
  await client.publishAsync(TOPIC, '{}', { qos: 1 })
  assert.equal((await bench.entries()).length, 1)
})

test('the will of a device whose token has expired goes out, at both levels', async (t) => {
  for (const protocolVersion of [4, 5] as const) {
    let now = Date.now()
    const bench = await startBroker(t, { clock: { now: () => now } })
    const heir = await bench.app(['devices/+/status'])
    const wills: string[] = []
    heir.on('message', (topic, payload) => wills.push(`${topic} ${payload}`))
    await heir.subscribeAsync('devices/+/status')
    const password = await bench.identity.signDevice('truck-7', 1_000)
    const will = {
      topic: 'devices/truck-7/status',
      payload: Buffer.from('{"online":false}'),
      qos: 1,
      retain: true,
    } as const
    const client = await bench.device('truck-7', { protocolVersion, password, will })
    const published = new Promise((resolve) => heir.once('message', resolve))
    now += 2_000
    bench.broker.sweepTokens()
    await published
    assert.deepEqual(wills, ['devices/truck-7/status {"online":false}'])
    await client.endAsync(true)
    await bench.stop()
  }
})
