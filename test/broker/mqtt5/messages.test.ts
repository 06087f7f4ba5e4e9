/** What subscribers of MQTT 5 are sent: properties, options of subscriptions, and no more at once than they take. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { IPublishPacket, ISubscription, Packet } from 'mqtt-packet'
import { AVRO, JSON_TEXT } from '../../../schemas/content-type.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, connected5, publish, RawClient, startBroker } from '../harness.ts'

const start = (t: TestContext) => startBroker(t, { auth: 'off' })

async function subscribe(client: RawClient, topic: string, more: Partial<ISubscription> = {}, identifier?: number) {
  const properties = identifier === undefined ? {} : { properties: { subscriptionIdentifier: identifier } }
  const subscriptions = [{ topic, qos: 2 as const, nl: false, rap: false, rh: 0, ...more }]
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions, ...properties })
  await client.next('suback')
}

/** All that came before now. */
async function received(client: RawClient): Promise<IPublishPacket[]> {
  for (let round = 0; round < 3; round++) {
    client.send({ cmd: 'pingreq' })
    await client.next('pingresp')
  }
  return client.packets.splice(0).filter((packet) => packet.cmd === 'publish')
}

async function send(bench: Bench, t: TestContext, ...packets: Packet[]): Promise<void> {
  const { client } = await connected5(t, bench, 'publisher')
  client.send(...packets, { cmd: 'pingreq' })
  await client.next('pingresp')
  for (const { cmd } of client.packets.splice(0)) assert.equal(cmd, 'puback')
  client.send({ cmd: 'disconnect', reasonCode: 0 })
  await client.untilClosed()
}

test('the properties of a message reach its subscribers as they were, kept ones too; those of 3.1.1 get the message', async (t) => {
  const bench = await start(t)
  const { client } = await connected5(t, bench, '__proto__')
  const old = await RawClient.open(t, bench.port)
  old.send(connectAs('old'), { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
  await old.next('suback')
  await subscribe(client, 'constructor')
  // The bytes themselves: order and repetition of user properties are the publisher's.
  const pair = (name: string, value: string) => [
    0x26,
    0,
    name.length,
    ...Buffer.from(name),
    0,
    value.length,
    ...Buffer.from(value),
  ]
  const properties = [
    ...pair('2', 'b'),
    0x09,
    0,
    2,
    0,
    0xff,
    ...pair('1', ''),
    0x01,
    1,
    ...pair('2', 'a'),
    0x08,
    0,
    1,
    0x72,
    ...pair('__proto__', 'x'),
  ]
  const topic = Buffer.from('constructor')
  const body = [0, topic.length, ...topic, properties.length, ...properties, 0x68, 0x69]
  const packet = Buffer.of(0x31, body.length, ...body)
  const { client: publisher } = await connected5(t, bench, 'publisher')
  const bytes: Buffer[] = []
  client.socket.on('data', (chunk) => bytes.push(chunk))
  publisher.socket.write(packet)
  const { payload } = await old.next('publish')
  assert.equal(`${payload}`, 'hi')
  await received(client)
  await subscribe(client, 'constructor')
  await received(client)
  const all = Buffer.concat(bytes)
  const live = all.indexOf(Buffer.of(0x30, body.length, ...body))
  assert(live >= 0)
  assert(all.indexOf(packet, live + packet.length) > 0)
})

test('what the content type of telemetry says of its payload is in the log with it, at each QoS, with an alias, and of a will', async (t) => {
  const bench = await start(t)
  const topic = 'devices/truck-7/telemetry/environment'
  const payload = Buffer.from('x')
  const will = { topic, payload, qos: 1 as const, retain: false, properties: { contentType: 'avro/binary' } }
  const { client } = await connected5(t, bench, 'one', { will })
  const typed = (id: number, qos: 0 | 1 | 2, contentType?: string, topicAlias?: number) => {
    const properties = {
      ...(contentType !== undefined && { contentType }),
      ...(topicAlias !== undefined && { topicAlias }),
    }
    return { ...publish(topicAlias === undefined || id === 5 ? topic : '', id, qos), properties } as Packet
  }
  const sent: (readonly [Packet, number | undefined])[] = [
    [typed(1, 1), undefined],
    [typed(2, 1, 'application/json'), JSON_TEXT],
    [typed(3, 1, 'application/json'), JSON_TEXT],
    [typed(4, 1, 'application/avro'), AVRO],
    [typed(5, 1, 'application/json', 1), JSON_TEXT],
    [typed(6, 1, undefined, 1), undefined],
    [typed(7, 1, 'application/json', 1), JSON_TEXT],
    [typed(8, 1, 'text/plain'), undefined],
    [typed(9, 1), undefined],
    [typed(10, 2, 'application/json'), JSON_TEXT],
    [typed(0, 0, 'application/avro'), AVRO],
  ]
  // The first on its topic goes the long way, the others may go the short one.
  client.send(sent[0]?.[0] as Packet)
  await client.next('puback')
  client.send(...sent.slice(1).map(([packet]) => packet), { cmd: 'pingreq' })
  await client.next('pubrec')
  await until(async () => (await bench.entries()).length === sent.length)
  client.socket.destroy()
  await until(async () => (await bench.entries()).length === sent.length + 1)
  assert.deepEqual(
    (await bench.entries()).map(({ framing }) => framing),
    [...sent.map(([, framing]) => framing), AVRO],
  )
})

test('No Local, Retain As Published and Retain Handling do what they say', async (t) => {
  const bench = await start(t)
  const { client } = await connected5(t, bench, 'one')
  const { client: other } = await connected5(t, bench, 'other')
  await subscribe(client, 'a', { nl: true })
  await subscribe(client, 'b', { rap: true })
  await subscribe(other, '+')
  const retained = (topic: string) => ({ ...publish(topic, 5, 0), retain: true }) as Packet
  client.send(publish('a', 1, 0), retained('b'), publish('b', 2, 0))
  const flags = (packets: IPublishPacket[]) => packets.map(({ topic, retain }) => `${topic} ${retain}`)
  assert.deepEqual(flags(await received(client)), ['b true', 'b false'])
  assert.deepEqual(flags(await received(other)), ['a false', 'b false', 'b false'])
  for (const [rh, expected] of [
    [2, 0],
    [1, 0],
    [0, 1],
  ] as const) {
    await subscribe(client, 'b', { rh })
    assert.equal((await received(client)).length, expected, `${rh}`)
  }
  await subscribe(client, '+', { rh: 1 })
  assert.equal((await received(client)).length, 1)
  // Nor is it queued for who is away.
  const { client: kept } = await connected5(t, bench, 'kept', { properties: { sessionExpiryInterval: 100 } })
  await subscribe(kept, 'c', { nl: true })
  kept.send(publish('c', 1, 1))
  await kept.next('puback')
  kept.socket.destroy()
  await send(bench, t, publish('c', 1, 1, Buffer.from('of another')))
  const { client: back } = await connected5(t, bench, 'kept', { clean: false })
  assert.deepEqual(
    (await received(back)).map(({ payload }) => `${payload}`),
    ['of another'],
  )
})

test('subscription identifiers come with each message, of all filters that match, also after a reconnect', async (t) => {
  const bench = await start(t)
  const properties = { sessionExpiryInterval: 100 }
  const { client } = await connected5(t, bench, 'one', { properties })
  await subscribe(client, 'a/#', {}, 268_435_455)
  await subscribe(client, 'a', { qos: 0 }, 2)
  await subscribe(client, 'b', {}, 3)
  await subscribe(client, 'b')
  const identifiers = (packets: IPublishPacket[]) =>
    packets.map(({ properties }) => [properties?.subscriptionIdentifier].flat())
  await send(bench, t, publish('a', 1, 1), publish('b', 2, 1), publish('a/b', 3, 1))
  assert.deepEqual(identifiers(await received(client)), [[268_435_455, 2], [undefined], [268_435_455]])
  client.socket.destroy()
  const { client: again } = await connected5(t, bench, 'one', { clean: false, properties })
  await send(bench, t, publish('a', 1, 0))
  assert.deepEqual(identifiers((await received(again)).slice(-1)), [[268_435_455, 2]])
})

for (const sessionExpiryInterval of [0, 100]) {
  test(`a client is sent no more at once than it takes, in order (session expiry ${sessionExpiryInterval})`, async (t) => {
    const bench = await start(t)
    const properties = { receiveMaximum: 2, sessionExpiryInterval }
    const { client } = await connected5(t, bench, 'one', { properties })
    await subscribe(client, 'a')
    const payload = (number: number) => Buffer.from(`${number}`)
    const messages = [1, 2, 3, 4, 5, 6].map((id) => publish('a', id, 1, payload(id)))
    await send(bench, t, ...messages, publish('a', 7, 0, payload(7)))
    // What has no acknowledgement waits for none.
    const first = await received(client)
    assert.deepEqual(first.map(({ payload }) => `${payload}`).toSorted(), ['1', '2', '7'])
    const seen = first.filter(({ qos }) => qos > 0)
    for (let acknowledged = 0; acknowledged < 6; acknowledged++) {
      client.send({
        cmd: 'puback',
        messageId: seen[acknowledged]?.messageId ?? 0,
        reasonCode: acknowledged === 2 ? 0x80 : 0,
      })
      const more = await received(client)
      assert.equal(more.length, acknowledged < 4 ? 1 : 0)
      seen.push(...more)
    }
    assert.deepEqual(
      seen.map(({ payload }) => `${payload}`),
      ['1', '2', '3', '4', '5', '6'],
    )
  })
}

test('a QoS 2 message that the client refuses is done with; so is one that is too large for it', async (t) => {
  const bench = await start(t)
  const properties = { receiveMaximum: 1, maximumPacketSize: 60, sessionExpiryInterval: 100 }
  const { client } = await connected5(t, bench, 'one', { properties })
  await subscribe(client, 'a')
  const publisher = await connected5(t, bench, 'publisher')
  const large = Buffer.alloc(60)
  publisher.client.send(publish('a', 1, 2), publish('a', 2, 2, large), publish('a', 3, 1, large), publish('a', 4, 1))
  for (const messageId of [1, 2]) publisher.client.send({ cmd: 'pubrel', messageId })
  const first = await client.next('publish')
  client.send({ cmd: 'pubrec', messageId: first.messageId ?? 0, reasonCode: 0x83 })
  const last = await client.next('publish')
  assert.equal(last.qos, 1)
  client.send({ cmd: 'puback', messageId: last.messageId ?? 0, reasonCode: 0 })
  await received(client)
  assert(!client.packets.some(({ cmd }) => cmd === 'pubrel'))
  assert.equal(await bench.metric('telltale_broker_deliveries_dropped_total{reason="packet-too-large"}'), 2)
  client.socket.destroy()
  // Nothing is owed any more.
  const { client: again } = await connected5(t, bench, 'one', { clean: false, properties })
  assert.deepEqual(await received(again), [])
})

test('topics that come again come by alias, as many as the client allows', async (t) => {
  const bench = await start(t)
  const { client } = await connected5(t, bench, 'one', { properties: { topicAliasMaximum: 2 } })
  await subscribe(client, '#')
  await send(bench, t, ...['a', 'b', 'c', 'a', 'b', 'c'].map((topic) => publish(topic, 1, 0)))
  const seen = (await received(client)).map(({ topic, properties }) => `${topic} ${properties?.topicAlias ?? ''}`)
  assert.deepEqual(seen, ['a 1', 'b 2', 'c ', ' 1', ' 2', 'c '])
})

test('those who share a subscription get each message once together, one topic one member, and what they may have', async (t) => {
  const bench = await startBroker(t)
  const open = (clientId: string, filter = 'devices/+/telemetry/#') =>
    bench.app([filter], { clientId, protocolVersion: 5 })
  const shared = '$share/constructor/devices/+/telemetry/#'
  const got = new Map<string, string[]>()
  const join = async (clientId: string) => {
    const app = await open(clientId)
    const seen: string[] = []
    got.set(clientId, seen)
    app.on('message', (topic, payload) => seen.push(`${topic} ${payload}`))
    await app.subscribeAsync(shared, { qos: 1 })
    return app
  }
  const [one, other] = [await join('one'), await join('__proto__')]
  const apart = await open('apart')
  const all: string[] = []
  apart.on('message', (topic, payload) => all.push(`${topic} ${payload}`))
  await apart.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  const device = await bench.device('truck-7')
  const streams = Array.from({ length: 20 }, (_, index) => `s${index}`)
  const send = async (payload: string) => {
    for (const stream of streams) await device.publishAsync(`devices/truck-7/telemetry/${stream}`, payload, { qos: 1 })
  }
  const total = () => [...got.values()].flat().length
  for (const payload of ['a', 'b']) await send(payload)
  await until(() => total() === 40 && all.length === 40)
  const topicsOf = (id: string) => new Set((got.get(id) ?? []).map((line) => line.split(' ')[0]))
  const [ones, others] = [topicsOf('one'), topicsOf('__proto__')]
  assert.equal(ones.size + others.size, streams.length)
  assert(ones.size > 0 && others.size > 0)
  // Who is left gets all of it; then nobody does, and the broker goes on.
  await one.endAsync()
  await send('c')
  await until(() => total() === 60)
  assert.equal((got.get('__proto__') ?? []).filter((line) => line.endsWith(' c')).length, streams.length)
  await other.unsubscribeAsync(shared)
  await send('d')
  await until(() => all.length === 80)
  assert.equal(total(), 60)
  // A token's filters bound what may be shared.
  const stranger = await open('stranger', 'devices/another/telemetry/#')
  await assert.rejects(stranger.subscribeAsync(shared))
})
