/** Owns the statements about CONNECT: section 3.1 of MQTT 5.0. */

import assert from 'node:assert/strict'
import type { Statement } from '../statement.ts'
import { CONNECT, DISCONNECT, PINGREQ, PUBLISH, packet, SUBACK, text, UNSUBACK, u16 } from '../wire.ts'
import { both, client, duty, endsWith, fits, KEPT, received, receivedNow, server, subscribe } from './bed5.ts'
import {
  ALIAS,
  ALIAS_MAXIMUM,
  ASSIGNED_CLIENT_ID,
  connect5,
  disconnect5,
  MAXIMUM_PACKET_SIZE,
  type Properties,
  properties,
  publish5,
  REASON_STRING,
  RECEIVE_MAXIMUM,
  REQUEST_PROBLEM,
  REQUEST_RESPONSE,
  RESPONSE_INFORMATION,
  RETAINED_NEVER,
  readAnswer,
  readCodes,
  readConnack,
  readDisconnect,
  SESSION_EXPIRY,
  subscribe5,
  USER_PROPERTY,
  unsubscribe5,
  WILL_DELAY,
  type Will5,
} from './wire5.ts'

const SURROGATE = Buffer.from([0x61, 0xed, 0xa0, 0x80])
/** Mosquitto looks for silent clients once in several seconds. */
const SILENCE_MS = 60_000

/** A CONNECT with these flags and these payload fields. */
const raw = (flags: number, ...fields: readonly Buffer[]) =>
  packet(CONNECT, 0, text('MQTT'), Buffer.of(5, flags), u16(0), properties(), ...fields)

export const connectStatements: readonly Statement[] = [
  client('3.1.0-1', 'a first packet that is no CONNECT ends the connection', async (bed) => {
    for (const first of [packet(PINGREQ, 0), publish5('a', 'x'), subscribe5(1, [['a', 0]])]) {
      await (await bed.sending(first)).closesSilently()
    }
  }),
  server('3.1.0-2', 'a second CONNECT is a protocol error and ends the connection', async (bed) => {
    await bed.violations({ 'a second CONNECT': connect5(bed.name('v')) })
  }),
  both('3.1.2-1', 'the protocol name is "MQTT"; a CONNECT of another is not taken', async (bed) => {
    for (const protocol of ['MQTS', 'mqtt', 'MQT', 'MQTTT', 'MQIsdp', '']) {
      const frames = await (await bed.sending(connect5(bed.name('c'), { protocol }))).closes()
      assert(
        frames.every(({ body }) => body.readUInt8(1) !== 0),
        `"${protocol}" is taken`,
      )
    }
  }),
  server('3.1.2-2', 'a protocol version that the server does not take ends the connection', async (bed) => {
    for (const level of [0, 1, 2, 6, 127]) {
      const frames = await (await bed.sending(connect5(bed.name('c'), { level }))).closes()
      assert(
        frames.every(({ body }) => [0x84, 1].includes(body.readUInt8(1))),
        `version ${level} is taken`,
      )
    }
  }),
  server('3.1.2-3', 'the reserved connect flag must be 0', async (bed) => {
    await bed.refusals({ 'a reserved flag': connect5(bed.name('c'), { flags: 0x03 }) })
  }),
  both('3.1.2-4', 'Clean Start discards the previous session and begins a new one', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    await bed.post(bed.name('t'), 'old')
    const [clean, present] = await bed.session('c', { ...KEPT, clean: true })
    assert.equal(present, 0)
    await bed.post(bed.name('t'), 'old')
    assert.deepEqual(await receivedNow(clean), [])
    await subscribe(clean, bed.name('u'), 1)
    await clean.cut()
    assert.equal((await bed.session('c'))[1], 1)
  }),
  server('3.1.2-5', 'without Clean Start the session is resumed', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    await bed.post(bed.name('t'), 'stored')
    const [again, present] = await bed.session('c')
    assert.deepEqual([present, (await received(again)).payload], [1, 'stored'])
    await bed.post(bed.name('t'), 'resumed')
    assert.equal((await received(again)).payload, 'resumed')
  }),
  server('3.1.2-6', 'without Clean Start and without a session one is created', async (bed) => {
    const [first, present] = await bed.session('c')
    assert.equal(present, 0)
    await first.cut()
    assert.equal((await bed.session('c'))[1], 1)
  }),
  server('3.1.2-7', "a will is stored, and is the session's own", async (bed) => {
    const witness = await bed.subscriber(bed.name('w/#'))
    const dying = ['a', 'b'].map((id) =>
      bed.client(id, { will: { topic: bed.name(`w/${id}`), payload: `will of ${id}` } }),
    )
    const [, second] = await Promise.all(dying)
    await second?.cut()
    const { topic, payload } = await received(witness)
    assert.deepEqual([topic, payload], [bed.name('w/b'), 'will of b'])
    assert.deepEqual(await receivedNow(witness), [])
  }),
  server(
    '3.1.2-8',
    'a will is published when its delay is over or its session ends, if no DISCONNECT took it',
    async (bed) => {
      const witness = await bed.subscriber(bed.name('w/#'))
      const will = (name: string, delay: number): Will5 => ({
        topic: bed.name(`w/${name}`),
        payload: 'gone',
        properties: [[WILL_DELAY, delay]],
      })
      const [left] = await bed.session('left', { ...KEPT, will: will('left', 0) })
      left.send(disconnect5())
      await left.closes()
      const [wanted] = await bed.session('wanted', { ...KEPT, will: will('wanted', 0) })
      wanted.send(disconnect5(0x04))
      assert.equal((await received(witness)).topic, bed.name('w/wanted'))
      const [delayed] = await bed.session('delayed', { ...KEPT, will: will('delayed', 1) })
      const [ending] = await bed.session('ending', {
        clean: true,
        properties: [[SESSION_EXPIRY, 1]],
        will: will('ending', 900),
      })
      await Promise.all([delayed.cut(), ending.cut()])
      const topics = [(await received(witness)).topic, (await received(witness)).topic]
      assert.deepEqual(topics.sort(), [bed.name('w/delayed'), bed.name('w/ending')])
    },
  ),
  both('3.1.2-9', 'with the will flag, will properties, topic and payload must be there', async (bed) => {
    const [id, topic] = [text(bed.name('c')), text(bed.name('w'))]
    await bed.refusals({
      nothing: raw(0x06, id),
      'no payload': raw(0x06, id, properties(), topic),
      'no properties': raw(0x06, id, topic, text('gone')),
    })
  }),
  server('3.1.2-10', 'a will that was published, or ended by DISCONNECT, is gone', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const will = { topic: bed.name('w'), payload: 'gone' }
    const [first] = await bed.session('c', { ...KEPT, will })
    await first.cut()
    await received(witness)
    const [second] = await bed.session('c')
    await second.cut()
    const [third] = await bed.session('c', { ...KEPT, will })
    third.send(disconnect5())
    await third.closes()
    const [fourth] = await bed.session('c')
    await fourth.cut()
    await bed.client('d')
    assert.deepEqual(await receivedNow(witness), [])
  }),
  both('3.1.2-11', 'without the will flag the will QoS is 0', async (bed) => {
    await bed.refusals({ 'will QoS 1': raw(0x0a, text(bed.name('c'))) })
  }),
  both('3.1.2-12', 'the will QoS is 0, 1 or 2, never 3', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'), 2)
    for (const qos of [0, 1, 2]) {
      const dying = await bed.client(`c${qos}`, { will: { topic: bed.name('w'), payload: 'gone', qos } })
      await dying.cut()
      assert.equal((await received(witness)).qos, qos)
    }
    await bed.refusals({ 'will QoS 3': raw(0x1e, text(bed.name('c')), properties(), text('w'), text('gone')) })
  }),
  both('3.1.2-13', 'without the will flag will retain is 0', async (bed) => {
    await bed.refusals({ 'will retain': raw(0x22, text(bed.name('c'))) })
  }),
  server('3.1.2-14', 'a will without retain is published as not retained', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const dying = await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone' } })
    await dying.cut()
    await received(witness)
    assert.deepEqual(await receivedNow(await bed.subscriber(bed.name('w'), 0, 'later')), [])
  }),
  server('3.1.2-15', 'a will with retain is published as retained', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const dying = await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone', retain: true } })
    await dying.cut()
    await received(witness)
    const { payload, retain } = await received(await bed.subscriber(bed.name('w'), 0, 'later'))
    assert.deepEqual([payload, retain], ['gone', true])
    await bed.post(bed.name('w'), '', { retain: true })
  }),
  both('3.1.2-16', 'without the user name flag there is no user name', async (bed) => {
    await bed.refusals({ 'a user name': raw(0x02, text(bed.name('c')), text('user')) })
  }),
  both('3.1.2-17', 'with the user name flag the user name must be there', async (bed) => {
    await bed.refusals({ 'no user name': raw(0x82, text(bed.name('c'))) })
  }),
  both('3.1.2-18', 'without the password flag there is no password', async (bed) => {
    await bed.refusals({ 'a password': raw(0x82, text(bed.name('c')), text('user'), text('password')) })
  }),
  both('3.1.2-19', 'with the password flag the password must be there', async (bed) => {
    await bed.refusals({ 'no password': raw(0xc2, text(bed.name('c')), text('user')) })
  }),
  duty('3.1.2-20', 'a client sends something within each keep alive'),
  duty('3.1.2-21', "a client goes by the server's keep alive"),
  server(
    '3.1.2-22',
    'silence of one and a half times the keep alive ends the connection, as a network does',
    async (bed) => {
      const witness = await bed.subscriber(bed.name('w'))
      const silent = await bed.client('c', { keepalive: 1, will: { topic: bed.name('w'), payload: 'gone' } })
      await endsWith(silent, SILENCE_MS)
      assert.equal((await received(witness)).payload, 'gone')
    },
  ),
  both('3.1.2-23', 'a session outlives its connection if its expiry is more than 0', async (bed) => {
    for (const [expiry, present] of [
      [0, 0],
      [1_000, 1],
    ] as const) {
      const [first] = await bed.session('c', { clean: true, properties: [[SESSION_EXPIRY, expiry]] })
      await subscribe(first, bed.name('t'), 1)
      await first.cut()
      assert.equal((await bed.session('c', { clean: false }))[1], present, `with an expiry of ${expiry}`)
    }
  }),
  server('3.1.2-24', "nothing is sent that is larger than the client's Maximum Packet Size", async (bed) => {
    for (const most of [5, 12]) {
      const small = await bed.sending(connect5(bed.name('c'), { properties: [[MAXIMUM_PACKET_SIZE, most]] }))
      for (const { body } of await small.closesOrSends()) fits(body.length + 2, most)
    }
    const subscriber = await bed.subscriber(bed.name('t'), 0, 's', { properties: [[MAXIMUM_PACKET_SIZE, 60]] })
    for (const [length, qos] of [
      [60, 0],
      [60, 1],
      [20, 1],
    ] as const) {
      await bed.post(bed.name('t'), 'x'.repeat(length), { qos })
    }
    assert.deepEqual(
      (await receivedNow(subscriber, 1)).map(({ payload }) => payload.length),
      [20],
    )
  }),
  server('3.1.2-25', 'what is too large for a client is done with, as if it had been sent', async (bed) => {
    const list = [
      [MAXIMUM_PACKET_SIZE, 60],
      [RECEIVE_MAXIMUM, 1],
    ] as const
    const subscriber = await bed.subscriber(bed.name('t'), 2, 's', { properties: list })
    for (const [index, length] of [60, 60, 20].entries()) {
      await bed.post(bed.name('t'), 'x'.repeat(length), { qos: 1 + (index % 2) })
    }
    assert.equal((await received(subscriber)).payload.length, 20)
  }),
  server('3.1.2-26', "no alias is sent that is greater than the client's Topic Alias Maximum", async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/#'), 0, 's', { properties: [[ALIAS_MAXIMUM, 2]] })
    for (const topic of ['a', 'b', 'c', 'a', 'b', 'c']) await bed.post(bed.name(`t/${topic}`), topic)
    const seen = await receivedNow(subscriber, 6)
    const known = new Map<number, string>()
    for (const { topic, payload, properties } of seen) {
      const alias = properties.number(ALIAS)
      assert(alias === undefined || (alias >= 1 && alias <= 2), `alias ${alias}`)
      if (alias !== undefined && topic !== '') known.set(alias, topic)
      assert.equal(topic === '' ? known.get(alias ?? 0) : topic, bed.name(`t/${payload}`))
    }
    assert.equal(seen.length, 6)
  }),
  server('3.1.2-27', 'a client without Topic Alias Maximum is sent no alias', async (bed) => {
    for (const list of [[], [[ALIAS_MAXIMUM, 0]]] as const) {
      const subscriber = await bed.subscriber(bed.name('t'), 0, 's', { properties: list })
      for (let count = 0; count < 2; count++) await bed.post(bed.name('t'), 'x')
      const seen = await receivedNow(subscriber, 2)
      assert.deepEqual(
        seen.map(({ topic, properties }) => [topic, properties.number(ALIAS)]),
        [
          [bed.name('t'), undefined],
          [bed.name('t'), undefined],
        ],
      )
    }
  }),
  server('3.1.2-28', 'who does not ask for response information gets none', async (bed) => {
    for (const list of [[], [[REQUEST_RESPONSE, 0]]] as const) {
      const [, connack] = await bed.connect('c', { properties: list })
      assert.deepEqual(connack.properties.values(RESPONSE_INFORMATION), [])
    }
  }),
  server('3.1.2-29', 'who wants no problem information is sent no reason in words, but at the end', async (bed) => {
    const asking = await bed.client('c', { properties: [[REQUEST_PROBLEM, 0]] })
    const bad = '$SYS/broker/version'
    asking.send(publish5(bed.name('t'), 'x', { qos: 1, id: 1 }), publish5(bad, 'x', { qos: 1, id: 2 }))
    asking.send(publish5(bed.name('t'), 'x', { qos: 2, id: 3 }), publish5(bad, 'x', { qos: 2, id: 4 }))
    asking.send(subscribe5(5, [[bad, RETAINED_NEVER]]), unsubscribe5(6, bed.name('none')))
    const told: Properties[] = []
    while (told.length < 6) {
      const [frame] = await asking.some(1)
      if (frame === undefined || frame.type === PUBLISH) continue
      told.push([SUBACK, UNSUBACK].includes(frame.type) ? readCodes(frame).properties : readAnswer(frame).properties)
    }
    for (const each of told) {
      assert.deepEqual([...each.values(REASON_STRING), ...each.values(USER_PROPERTY)], [])
    }
  }),
  duty('3.1.2-30', 'a client with an authentication method sends only AUTH and DISCONNECT before its CONNACK'),
  both(
    '3.1.3-1',
    'client id, will properties, topic and payload, user name, password come in this order',
    async (bed) => {
      const witness = await bed.subscriber(bed.name('w'))
      const will = { topic: bed.name('w'), payload: 'message', properties: [[USER_PROPERTY, 'a', 'b']] as const }
      const dying = await bed.client('c', { will, username: 'user', password: 'password' })
      await dying.cut()
      const { payload, properties } = await received(witness)
      assert.deepEqual([payload, properties.pairs], ['message', [['a', 'b']]])
    },
  ),
  both('3.1.3-2', 'the client id names the session: another id has another session', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    assert.deepEqual([(await bed.session('d'))[1], (await bed.session('c'))[1]], [0, 1])
  }),
  both('3.1.3-3', 'the client id must be there', async (bed) => {
    await bed.refusals({ 'no client id': raw(0x02) })
  }),
  both('3.1.3-4', 'the client id is well-formed UTF-8', async (bed) => {
    await bed.refusals({ 'a surrogate': connect5(SURROGATE) })
  }),
  server('3.1.3-5', 'ids of 1 to 23 of 0-9 a-z A-Z are allowed', async (bed) => {
    for (const id of ['0', '0123456789abcdefghijklm', 'nopqrstuvwxyzABCDEFGHIJ', 'KLMNOPQRSTUVWXYZ']) {
      const { code } = readConnack(await (await bed.sending(connect5(id))).next(2))
      assert.equal(code, 0, id)
    }
  }),
  server('3.1.3-6', 'an empty client id, if allowed, is made a unique one', async (bed) => {
    const clients = await Promise.all([bed.sending(connect5('')), bed.sending(connect5(''))])
    for (const each of clients) assert.equal(readConnack(await each.next(2)).code, 0)
    for (const each of clients) assert.deepEqual(await each.untilPong(), [])
  }),
  server('3.1.3-7', 'the client is told the id that it was given, and has it', async (bed) => {
    const nameless = await bed.sending(connect5(''))
    const id = readConnack(await nameless.next(2)).properties.string(ASSIGNED_CLIENT_ID) ?? ''
    assert.notEqual(id, '')
    const namesake = await bed.sending(connect5(id))
    assert.equal(readConnack(await namesake.next(2)).code, 0)
    await endsWith(nameless)
  }),
  server('3.1.3-8', 'a client id that is refused ends the connection', async (bed) => {
    const told = await bed.refusals({ 'U+0000 in it': connect5('a\0'), 'ill-formed': connect5(SURROGATE) })
    for (const { code } of told.values()) assert([0x81, 0x85].includes(code), `reason code ${code}`)
  }),
  server('3.1.3-9', 'a will is not sent if its client is back within the delay', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const will = { topic: bed.name('w'), payload: 'gone', properties: [[WILL_DELAY, 1]] as const }
    const [dying] = await bed.session('c', { ...KEPT, will })
    await dying.cut()
    await bed.session('c')
    await bed.seconds(2)
    assert.deepEqual(await receivedNow(witness), [])
  }),
  server('3.1.3-10', "the order of a will's user properties is kept", async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const pairs = [
      ['b', '1'],
      ['a', '2'],
      ['b', '0'],
    ] as const
    const list = pairs.map(([name, value]) => [USER_PROPERTY, name, value] as const)
    const dying = await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone', properties: list } })
    await dying.cut()
    assert.deepEqual((await received(witness)).properties.pairs, pairs)
  }),
  both('3.1.3-11', 'the will topic is well-formed UTF-8', async (bed) => {
    await bed.refusals({ 'a surrogate': connect5(bed.name('c'), { will: { topic: SURROGATE, payload: 'gone' } }) })
  }),
  both('3.1.3-12', 'the user name is well-formed UTF-8', async (bed) => {
    await bed.refusals({ 'a surrogate': connect5(bed.name('c'), { username: SURROGATE }) })
  }),
  server('3.1.4-1', 'a malformed CONNECT ends the connection', async (bed) => {
    const id = text(bed.name('c'))
    await bed.refusals({
      'cut off': packet(CONNECT, 0, text('MQTT'), Buffer.of(5)),
      'a flag of the fixed header': packet(CONNECT, 1, text('MQTT'), Buffer.of(5, 2), u16(0), properties(), id),
      'a property that there is not': packet(
        CONNECT,
        0,
        text('MQTT'),
        Buffer.of(5, 2),
        u16(0),
        Buffer.of(2, 0x7f, 0),
        id,
      ),
      'bytes behind it': raw(0x02, id, Buffer.of(0)),
    })
  }),
  server('3.1.4-2', 'a CONNECT that fails a further check ends the connection', async (bed) => {
    const will = { topic: bed.name('w/#'), payload: 'gone' }
    await bed.refusals({ 'a will topic with a wildcard': connect5(bed.name('c'), { will }) })
  }),
  server(
    '3.1.4-3',
    'a client with the same id takes the place of the one connected, which is told 0x8E',
    async (bed) => {
      const first = await bed.client('c')
      const second = await bed.client('c')
      assert.equal(readDisconnect(await first.next(DISCONNECT)).code, 0x8e)
      await first.closes()
      assert.deepEqual(await second.untilPong(), [])
    },
  ),
  server('3.1.4-4', 'Clean Start is carried out at CONNECT', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    await bed.client('c', { ...KEPT, clean: true })
    await bed.post(bed.name('t'), 'x')
    const [again] = await bed.session('c')
    assert.deepEqual(await receivedNow(again), [])
  }),
  server('3.1.4-5', 'a CONNECT that is taken is acknowledged with reason code 0', async (bed) => {
    await bed.connect('c')
  }),
  server('3.1.4-6', 'what follows a CONNECT that is refused is not processed', async (bed) => {
    const witness = await bed.subscriber(bed.name('t'))
    const refused = connect5(bed.name('c'), { properties: [[RECEIVE_MAXIMUM, 0]] })
    await (await bed.sending(refused, publish5(bed.name('t'), 'x'))).closes()
    assert.deepEqual(await receivedNow(witness), [])
  }),
]
