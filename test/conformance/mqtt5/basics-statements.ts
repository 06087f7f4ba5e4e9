/** Owns the statements about strings, numbers, flags and packet ids, PING and AUTH, errors and transports of MQTT 5.0. */

import assert from 'node:assert/strict'
import type { Statement } from '../statement.ts'
import { firstBytes, openWebSocket, textFrameCloses } from '../web-socket.ts'
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packet,
  SUBACK,
  SUBSCRIBE,
  text,
  UNSUBACK,
  UNSUBSCRIBE,
  u16,
} from '../wire.ts'
import { both, client, duty, endsWith, publishAcknowledged, received, server, untried } from './bed5.ts'
import {
  AUTH,
  AUTHENTICATION_METHOD,
  answer5,
  connect5,
  properties,
  publish5,
  readAnswer,
  readCodes,
  readPublish5,
  subscribe5,
  USER_PROPERTY,
  unsubscribe5,
} from './wire5.ts'

const NO_METHOD = 'Mosquitto has no method of authentication; ours is tried in `test/broker/mqtt5/renewal.test.ts`'
const ILL_FORMED = [[0xed, 0xa0, 0x80], [0xff], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]

/** Each is to end the connection. */
const WRONG_FLAGS = {
  PINGREQ: packet(PINGREQ, 1),
  PUBACK: packet(PUBACK, 2, u16(1)),
  PUBREC: packet(PUBREC, 1, u16(1)),
  PUBREL: packet(PUBREL, 3, u16(1)),
  PUBCOMP: packet(PUBCOMP, 4, u16(1)),
  DISCONNECT: packet(DISCONNECT, 8),
  SUBSCRIBE: packet(SUBSCRIBE, 1, u16(1), properties(), text('a'), Buffer.of(0)),
  UNSUBSCRIBE: packet(UNSUBSCRIBE, 3, u16(1), properties(), text('a')),
}

const MALFORMED = {
  'a packet of type 0': packet(0, 0),
  'a CONNACK': packet(CONNACK, 0, Buffer.of(0, 0), properties()),
  'a SUBACK': packet(SUBACK, 0, u16(1), properties(), Buffer.of(0)),
  'a PINGREQ with a body': packet(PINGREQ, 0, Buffer.of(0)),
  'a PUBACK without id': packet(PUBACK, 0),
  'a PUBREL that is cut off': packet(PUBREL, 2, Buffer.of(1)),
  'bytes behind a PUBACK': packet(PUBACK, 0, u16(1), Buffer.of(0), properties(), Buffer.of(0)),
  'a PUBLISH without id': packet(PUBLISH, 2, text('a')),
  'a topic longer than its packet': packet(PUBLISH, 0, u16(9), Buffer.from('a')),
  'a SUBSCRIBE without options': packet(SUBSCRIBE, 2, u16(1), properties(), text('a')),
  'a remaining length of five bytes': Buffer.of(0xc0, 0x80, 0x80, 0x80, 0x80, 0x01),
  'properties longer than their packet': packet(PUBLISH, 0, text('a'), Buffer.of(9, 1)),
  'a property that there is not': packet(PUBLISH, 0, text('a'), Buffer.of(2, 0x7f, 0)),
  'a property of another packet': packet(PUBLISH, 0, text('a'), Buffer.of(5, 0x11, 0, 0, 0, 1)),
  'a property twice': packet(PUBLISH, 0, text('a'), Buffer.of(4, 1, 0, 1, 0)),
  'a payload format of 2': packet(PUBLISH, 0, text('a'), Buffer.of(2, 1, 2)),
}

export const basicsStatements: readonly Statement[] = [
  both('1.5.4-1', 'ill-formed UTF-8, surrogates among it, ends the connection', async (bed) => {
    const topics = ILL_FORMED.map((bytes) => [`${bytes}`, publish5(Buffer.from([0x61, ...bytes]), 'x')] as const)
    await bed.violations(Object.fromEntries(topics))
  }),
  both('1.5.4-2', 'U+0000 in a string ends the connection', async (bed) => {
    await bed.violations({
      'in a topic': publish5('a\0', 'x'),
      'in a property': publish5('a', 'x', { properties: [[USER_PROPERTY, 'a\0', 'b']] }),
    })
    await bed.refusals({ 'in a client id': connect5('a\0b') })
  }),
  both('1.5.4-3', 'EF BB BF is U+FEFF wherever it stands, and is kept', async (bed) => {
    const topic = `\ufeff${bed.name('t')}`
    const subscriber = await bed.subscriber(topic)
    await bed.post(bed.name('t'), 'without')
    await bed.post(topic, 'with', { properties: [[USER_PROPERTY, '\ufeffname', '\ufeff']] })
    const { payload, topic: arrived, properties } = await received(subscriber)
    assert.deepEqual([payload, arrived, properties.pairs], ['with', topic, [['\ufeffname', '\ufeff']]])
  }),
  both('1.5.5-1', 'a variable byte integer that is longer than it need be is malformed', async (bed) => {
    await bed.violations({
      'a length of properties': packet(PUBLISH, 0, text('a'), Buffer.of(0x80, 0)),
      'a subscription identifier': packet(SUBSCRIBE, 2, u16(1), Buffer.of(3, 0x0b, 0x81, 0), text('a'), Buffer.of(0)),
    })
  }),
  both('1.5.7-1', 'both strings of a pair are well-formed UTF-8', async (bed) => {
    const [ill = []] = ILL_FORMED
    await bed.violations({
      'the name': publish5('a', 'x', { properties: [[USER_PROPERTY, Buffer.from(ill), 'b']] }),
      'the value': publish5('a', 'x', { properties: [[USER_PROPERTY, 'a', Buffer.from(ill)]] }),
    })
  }),
  both('2.1.3-1', 'reserved flags have the listed values, in what the server sends too', async (bed) => {
    await bed.violations(WRONG_FLAGS)
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    publisher.send(publish5(bed.name('t'), 'x', { qos: 2, id: 1 }))
    assert.equal((await publisher.next(PUBREC)).flags, 0)
    publisher.send(answer5(PUBREL, 1))
    assert.equal((await publisher.next(PUBCOMP)).flags, 0)
    const { id } = await received(subscriber)
    subscriber.send(answer5(PUBREC, id))
    assert.equal((await subscriber.next(PUBREL)).flags, 2)
    publisher.send(publish5(bed.name('t'), 'x', { qos: 1, id: 2 }))
    assert.equal((await publisher.next(PUBACK)).flags, 0)
    publisher.send(subscribe5(3, [[bed.name('u'), 0]]), unsubscribe5(4, bed.name('u')))
    assert.deepEqual([(await publisher.next(SUBACK)).flags, (await publisher.next(UNSUBACK)).flags], [0, 0])
  }),
  both('2.2.1-2', 'a PUBLISH of QoS 0 has no packet id', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    await bed.post(bed.name('t'), 'x', { qos: 0 })
    const { qos, payload } = await received(subscriber)
    assert.deepEqual([qos, payload], [0, 'x'])
  }),
  client('2.2.1-3', "a client's new packets have an id that is not 0; one of 0 ends the connection", async (bed) => {
    await bed.violations({
      PUBLISH: publish5('a', 'x', { qos: 1, id: 0 }),
      SUBSCRIBE: subscribe5(0, [['a', 0]]),
      UNSUBSCRIBE: unsubscribe5(0, 'a'),
    })
  }),
  server('2.2.1-4', "the server's PUBLISHes have ids that are not 0 and not in use", async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    for (let id = 1; id <= 6; id++) {
      await publishAcknowledged(publisher, bed.name('t'), 'x', { id, qos: 1 + (id % 2) })
    }
    const ids = new Set<number>()
    for (let count = 0; count < 6; count++) ids.add((await received(subscriber)).id)
    assert(ids.size === 6 && !ids.has(0), `${[...ids]}`)
  }),
  both('2.2.1-5', 'PUBACK, PUBREC, PUBREL and PUBCOMP carry the id of the PUBLISH', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    await publishAcknowledged(publisher, bed.name('t'), 'x', { id: 0x1234 })
    await publishAcknowledged(publisher, bed.name('t'), 'x', { id: 0xffff, qos: 2 })
    await received(subscriber)
    const { id } = await received(subscriber)
    subscriber.send(answer5(PUBREC, id))
    assert.equal(readAnswer(await subscriber.next(PUBREL)).id, id)
  }),
  server('2.2.1-6', 'SUBACK and UNSUBACK carry the id of their request', async (bed) => {
    const asking = await bed.client()
    asking.send(subscribe5(0xabcd, [[bed.name('t'), 0]]), unsubscribe5(0xdcba, bed.name('t')))
    const ids = [readCodes(await asking.next(SUBACK)).id, readCodes(await asking.next(UNSUBACK)).id]
    assert.deepEqual(ids, [0xabcd, 0xdcba])
  }),
  both('2.2.2-1', 'a packet without properties says so by a length of 0', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'))
    await bed.post(bed.name('t'), 'x')
    const frame = await subscriber.next(PUBLISH)
    assert.deepEqual([readPublish5(frame).payload, frame.body.at(-2)], ['x', 0])
    await bed.violations({
      PUBLISH: packet(PUBLISH, 0, text('a')),
      SUBSCRIBE: packet(SUBSCRIBE, 2, u16(1), text('a'), Buffer.of(0)),
      UNSUBSCRIBE: packet(UNSUBSCRIBE, 2, u16(1), text('a')),
    })
  }),
  server('3.12.4-1', 'a PINGREQ is answered by a PINGRESP', async (bed) => {
    const pinging = await bed.client()
    pinging.send(packet(PINGREQ, 0))
    const { flags, body } = await pinging.next(PINGRESP)
    assert.deepEqual([flags, body.length], [0, 0])
  }),
  both('3.15.1-1', "AUTH's flags are 0, or the connection is closed", async (bed) => {
    await bed.violations({ AUTH: packet(AUTH, 1, Buffer.of(0x18), properties([[AUTHENTICATION_METHOD, 'a']])) })
  }),
  untried('3.15.2-1', 'both', 'an AUTH has one of the reason codes for it', NO_METHOD),
  untried('3.15.2-2', 'both', 'an AUTH has a Reason String only if it fits', NO_METHOD),
  untried('3.15.2-3', 'both', 'an AUTH has user properties only if they fit', NO_METHOD),
  untried('4.2-1', 'both', 'the transport is ordered and lossless', 'TCP, TLS and WebSocket, all through these tests'),
  server('4.12.0-1', 'an authentication method that the server does not know ends the connection', async (bed) => {
    const list = [[AUTHENTICATION_METHOD, 'none-such']] as const
    const [told] = (await bed.refusals({ method: connect5(bed.name('c'), { properties: list }) })).values()
    assert(told === undefined || told.code === 0x8c || told.code === 0x87, `reason code ${told?.code}`)
  }),
  untried('4.12.0-2', 'server', 'an AUTH before the CONNACK has reason code 0x18', NO_METHOD),
  duty('4.12.0-3', 'a client answers an AUTH by one with reason code 0x18'),
  untried('4.12.0-4', 'server', 'an authentication that fails ends the connection', NO_METHOD),
  untried('4.12.0-5', 'server', 'AUTH and CONNACK name the method of the CONNECT', NO_METHOD),
  server('4.12.0-6', 'without a method in the CONNECT there is none in the CONNACK, and no AUTH', async (bed) => {
    const [connected, connack] = await bed.connect('c')
    assert.deepEqual(connack.properties.values(AUTHENTICATION_METHOD), [])
    assert(!(await connected.untilPong()).some(({ type }) => type === AUTH), 'an AUTH came')
  }),
  client('4.12.0-7', 'without a method in the CONNECT a client sends no AUTH; one ends the connection', async (bed) => {
    await bed.violations({
      'without anything': packet(AUTH, 0),
      'with a method': packet(AUTH, 0, Buffer.of(0x19), properties([[AUTHENTICATION_METHOD, 'a']])),
    })
  }),
  duty('4.12.1-1', 'a client authenticates anew by the method of its CONNECT'),
  untried('4.12.1-2', 'both', 'a second authentication that fails ends the connection', NO_METHOD),
  server('4.13.1-1', 'a malformed packet or a protocol error ends the connection', async (bed) => {
    for (const [name, code] of await bed.violations(MALFORMED)) {
      assert([0x81, 0x82].includes(code), `${name}: reason code ${code}`)
    }
    await bed.refusals({
      'a CONNECT that is cut off': packet(CONNECT, 0, text('MQTT'), Buffer.of(5)),
      'a CONNECT with a property twice': connect5(bed.name('c'), {
        properties: [
          [0x21, 9],
          [0x21, 9],
        ],
      }),
      'a Receive Maximum of 0': connect5(bed.name('c'), { properties: [[0x21, 0]] }),
      'a Maximum Packet Size of 0': connect5(bed.name('c'), { properties: [[0x27, 0]] }),
    })
  }),
  both('4.13.2-1', 'after a CONNACK or DISCONNECT of 0x80 or more the connection is closed', async (bed) => {
    await bed.refusals({ 'a method that is not known': connect5(bed.name('c'), { properties: [[0x15, 'none-such']] }) })
    await bed.violations({ 'a topic with a wildcard': publish5('a/#', 'x') })
    const leaving = await bed.client()
    leaving.send(packet(DISCONNECT, 0, Buffer.of(0x80), properties()))
    assert.equal(await endsWith(leaving), undefined)
  }),
  both('6.0.0-1', 'WebSocket: a frame that is not binary ends the connection', async (bed) => {
    await textFrameCloses(await openWebSocket(bed.ports), connect5(bed.name('c')))
  }),
  both('6.0.0-2', 'WebSocket: packets need not be aligned on frames', async (bed) => {
    const bytes = connect5(bed.name('c'))
    const [type, , ...split] = await firstBytes(await openWebSocket(bed.ports), bytes.subarray(0, 5), bytes.subarray(5))
    assert.deepEqual([type, ...split], [0x20, 0, 0])
  }),
  duty('6.0.0-3', 'WebSocket: a client offers the subprotocol "mqtt"'),
  server('6.0.0-4', 'WebSocket: the server selects the subprotocol "mqtt"', async (bed) => {
    const socket = await openWebSocket(bed.ports, ['other', 'mqtt'])
    assert.equal(socket.protocol, 'mqtt')
    socket.terminate()
  }),
]
