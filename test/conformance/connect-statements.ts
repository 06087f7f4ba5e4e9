/** Owns the statements about CONNECT and CONNACK: sections 3.1 and 3.2 of MQTT 3.1.1. */

import assert from 'node:assert/strict'
import { both, client, publishAcknowledged, type Statement, server, subscribe } from './statement.ts'
import {
  answer,
  CONNACK,
  CONNECT,
  connectPacket,
  DISCONNECT,
  type Frame,
  PINGREQ,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packet,
  publishPacket,
  readPublish,
  subscribePacket,
  text,
  u16,
  type WireClient,
} from './wire.ts'

const PROTOCOL = Buffer.concat([text('MQTT'), Buffer.of(4)])
const KEEPALIVE_OFF = u16(0)

/** A CONNECT with these flags and these payload fields. */
const raw = (flags: number, ...fields: readonly (string | Buffer)[]) =>
  packet(CONNECT, 0, PROTOCOL, Buffer.of(flags), KEEPALIVE_OFF, ...fields.map(text))

const codes = (frames: readonly Frame[]) => frames.map(({ type, body }) => [type, ...body])
const SURROGATE = Buffer.from([0x61, 0xed, 0xa0, 0x80])

export const connectStatements: readonly Statement[] = [
  both('MQTT-3.1.0-1', 'a first packet that is no CONNECT ends the connection', async (bed) => {
    for (const first of [packet(PINGREQ, 0), publishPacket('a', 'x'), subscribePacket(1, ['a', 0])]) {
      await (await bed.sending(first)).closesSilently()
    }
  }),
  server('MQTT-3.1.0-2', 'a second CONNECT is a protocol violation and ends the connection', async (bed) => {
    const connected = await bed.client()
    connected.send(connectPacket(bed.name('c')))
    await connected.closesSilently()
  }),
  server('MQTT-3.1.2-1', 'a CONNECT of another protocol name is not processed as MQTT 3.1.1', async (bed) => {
    for (const protocol of ['MQTS', 'mqtt', 'MQT', 'MQTTT', 'MQIsdp', '']) {
      const frames = await (await bed.sending(connectPacket(bed.name('c'), { protocol }))).closes()
      assert(
        frames.every(({ body }) => body.readUInt8(1) !== 0),
        `"${protocol}" is taken`,
      )
    }
  }),
  server('MQTT-3.1.2-2', 'an unknown protocol level is answered with return code 1, then closed', async (bed) => {
    for (const level of [0, 1, 2, 3, 6, 127]) {
      const frames = await (await bed.sending(connectPacket(bed.name('c'), { level }))).closes()
      assert.deepEqual(codes(frames), [[CONNACK, 0, 1]], `level ${level}`)
    }
  }),
  server('section 3.1.2.2', 'may: MQTT 3.1 is taken too, and only as what it is: MQIsdp at level 3', async (bed) => {
    await bed.client('c', { protocol: 'MQIsdp', level: 3 })
    for (const level of [2, 4, 5]) {
      const frames = await (await bed.sending(connectPacket(bed.name('d'), { protocol: 'MQIsdp', level }))).closes()
      assert(
        frames.every(({ body }) => body.readUInt8(1) !== 0),
        `level ${level} is taken`,
      )
    }
  }),
  server('MQTT-3.1.2-3', 'the reserved connect flag must be 0', async (bed) => {
    await (await bed.sending(raw(0x03, bed.name('c')))).closesSilently()
  }),
  server('MQTT-3.1.2-4', 'without clean session the state of the previous connection is resumed', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.disconnect()
    const [again] = await bed.session('c')
    await bed.post(bed.name('t'), 'resumed')
    assert.equal((await again.publish()).payload, 'resumed')
  }),
  server('MQTT-3.1.2-5', 'QoS 1 and 2 messages are stored for a session that is away', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 2)
    await first.disconnect()
    await bed.post(bed.name('t'), 'stored')
    const publisher = await bed.client('p')
    publisher.send(publishPacket(bed.name('t'), 'stored', { qos: 2 }), answer(PUBREL, 1))
    await publisher.later(PUBCOMP)
    const [again] = await bed.session('c')
    const seen = [await again.publish(), await again.publish()]
    assert.deepEqual(
      seen.map(({ payload, qos }) => [payload, qos]),
      [
        ['stored', 1],
        ['stored', 2],
      ],
    )
  }),
  both(
    'MQTT-3.1.2-6',
    'clean session discards the previous session, and its own ends with the connection',
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      await first.disconnect()
      await bed.post(bed.name('t'), 'old')
      const [clean] = await bed.session('c', { clean: true })
      await bed.post(bed.name('t'), 'old')
      assert.deepEqual(await clean.untilPong(), [])
      await subscribe(clean, bed.name('t'), 1)
      await clean.disconnect()
      const [later, present] = await bed.session('c')
      assert.equal(present, 0)
      await bed.post(bed.name('t'), 'old')
      assert.deepEqual(await later.untilPong(), [])
    },
  ),
  server('section 3.1.2.4', 'clean session also forgets which QoS 2 messages were received', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'))
    const send = async (on: WireClient, payload: string) => {
      on.send(publishPacket(bed.name('t'), payload, { qos: 2, id: 4 }))
      await on.next(PUBREC)
    }
    const first = await bed.client('c', { clean: false })
    await send(first, 'old')
    await first.cut()
    const clean = await bed.client('c')
    await send(clean, 'new')
    clean.send(answer(PUBREL, 4))
    await clean.next(PUBCOMP)
    const payloads = (await subscriber.untilPong()).map((frame) => readPublish(frame).payload)
    // One broker hands a message on with its PUBLISH, another with its PUBREL.
    assert.equal(payloads.at(-1), 'new')
  }),
  server('MQTT-3.1.2-7', 'retained messages are no part of a session and outlive it', async (bed) => {
    const publisher = await bed.client('p')
    await publishAcknowledged(publisher, bed.name('t'), 'kept', { retain: true })
    await publisher.disconnect()
    const subscriber = await bed.subscriber(bed.name('t'))
    assert.equal((await subscriber.publish()).payload, 'kept')
  }),
  server('MQTT-3.1.2-8', 'the will is published when the connection ends without DISCONNECT', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('w'))
    for (const qos of [0, 1, 2]) {
      const dying = await bed.client('c', { will: { topic: bed.name('w'), payload: `gone ${qos}`, qos } })
      await dying.cut()
      assert.equal((await subscriber.publish()).payload, `gone ${qos}`)
    }
  }),
  server(
    'section 3.1.2.5',
    'the will is published with its QoS, also after silence, a violation, and when another takes the place',
    async (bed) => {
      const witness = await bed.subscriber(bed.name('w/+'), 2, 'witness')
      const will = (name: string, qos: number) => ({ topic: bed.name(`w/${name}`), payload: 'gone', qos })
      const silent = await bed.client('silent', { keepalive: 1, will: will('silent', 2) })
      const violating = await bed.client('violating', { will: will('violating', 1) })
      const replaced = await bed.client('replaced', { will: will('replaced', 2) })
      violating.send(packet(PUBREL, 0, u16(1)))
      await violating.closes()
      await bed.client('replaced')
      await replaced.closes()
      await silent.closes(60_000)
      const seen = [await witness.publish(), await witness.publish(), await witness.publish()]
      assert.deepEqual(seen.map(({ topic, qos }) => [topic, qos]).sort(), [
        [bed.name('w/replaced'), 2],
        [bed.name('w/silent'), 2],
        [bed.name('w/violating'), 1],
      ])
    },
  ),
  both('MQTT-3.1.2-9', 'with the will flag, will topic and message must be there', async (bed) => {
    await (await bed.sending(raw(0x06, bed.name('c')))).closesSilently()
    await (await bed.sending(raw(0x06, bed.name('c'), bed.name('w')))).closesSilently()
  }),
  server('MQTT-3.1.2-10', 'a will that was published, or ended by DISCONNECT, is gone', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('w'))
    const dying = await bed.client('c', { clean: false, will: { topic: bed.name('w'), payload: 'gone' } })
    await dying.cut()
    await subscriber.publish()
    const again = await bed.client('c', { clean: false })
    await again.cut()
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  both('MQTT-3.1.2-11', 'without the will flag there is no will topic or message', async (bed) => {
    await (await bed.sending(raw(0x02, bed.name('c'), bed.name('w'), 'gone'))).closesSilently()
  }),
  server('MQTT-3.1.2-12', 'without the will flag no will is published', async (bed) => {
    const subscriber = await bed.subscriber(`${bed.name('')}/#`)
    await (await bed.client('c')).cut()
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  both('MQTT-3.1.2-13', 'without the will flag the will QoS is 0', async (bed) => {
    for (const flags of [0x0a, 0x12]) await (await bed.sending(raw(flags, bed.name('c')))).closesSilently()
  }),
  both('MQTT-3.1.2-14', 'the will QoS is never 3', async (bed) => {
    await (await bed.sending(raw(0x1e, bed.name('c'), bed.name('w'), 'gone'))).closesSilently()
  }),
  both('MQTT-3.1.2-15', 'without the will flag will retain is 0', async (bed) => {
    await (await bed.sending(raw(0x22, bed.name('c')))).closesSilently()
  }),
  server('MQTT-3.1.2-16', 'a will without retain is published as not retained', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'), 0, 'witness')
    for (const qos of [0, 1, 2]) {
      const dying = await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone', qos } })
      await dying.cut()
      assert.equal((await witness.publish()).retain, false)
    }
    const late = await bed.subscriber(bed.name('w'), 0, 'late')
    assert.deepEqual(await late.untilPong(), [])
  }),
  server('MQTT-3.1.2-17', 'a will with retain is published as retained', async (bed) => {
    for (const qos of [0, 1, 2]) {
      const witness = await bed.subscriber(bed.name(`w${qos}`), 0, 'witness')
      const will = { topic: bed.name(`w${qos}`), payload: 'gone', qos, retain: true }
      const dying = await bed.client('c', { will })
      await dying.cut()
      await witness.publish()
      const late = await bed.subscriber(bed.name(`w${qos}`), 2, 'late')
      const kept = await late.publish()
      assert.deepEqual([kept.retain, kept.qos], [true, qos])
    }
  }),
  both('MQTT-3.1.2-18', 'without the user name flag there is no user name', async (bed) => {
    await (await bed.sending(raw(0x02, bed.name('c'), 'user'))).closesSilently()
  }),
  both('MQTT-3.1.2-19', 'with the user name flag the user name must be there', async (bed) => {
    await (await bed.sending(raw(0x82, bed.name('c')))).closesSilently()
  }),
  both('MQTT-3.1.2-20', 'without the password flag there is no password', async (bed) => {
    await (await bed.sending(raw(0x82, bed.name('c'), 'user', 'password'))).closesSilently()
  }),
  both('MQTT-3.1.2-21', 'with the password flag the password must be there', async (bed) => {
    await (await bed.sending(raw(0xc2, bed.name('c'), 'user'))).closesSilently()
  }),
  both('MQTT-3.1.2-22', 'no password flag without the user name flag', async (bed) => {
    await (await bed.sending(raw(0x42, bed.name('c'), 'password'))).closesSilently()
  }),
  client('MQTT-3.1.2-23', 'a client sends something within each keep alive', "the client's duty"),
  server('MQTT-3.1.2-24', 'silence of one and a half times the keep alive ends the connection', async (bed) => {
    const silent = await bed.client('c', { keepalive: 1 })
    // Mosquitto looks once in several seconds.
    await silent.closes(60_000)
  }),
  both('MQTT-3.1.3-1', 'client id, will topic, will message, user name, password come in this order', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const will = { topic: bed.name('w'), payload: 'message' }
    const dying = await bed.client('c', { will, username: 'user', password: 'password' })
    await dying.cut()
    assert.equal((await witness.publish()).payload, 'message')
  }),
  both('MQTT-3.1.3-2', 'the client id names the session: another id has another session', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.disconnect()
    const [, other] = await bed.session('d')
    assert.equal(other, 0)
    const [, same] = await bed.session('c')
    assert.equal(same, 1)
  }),
  both('MQTT-3.1.3-3', 'the client id must be there', async (bed) => {
    await (await bed.sending(packet(CONNECT, 0, PROTOCOL, Buffer.of(2), KEEPALIVE_OFF))).closesSilently()
  }),
  both('MQTT-3.1.3-4', 'the client id is well-formed UTF-8', async (bed) => {
    await (await bed.sending(connectPacket(SURROGATE))).closes()
  }),
  server('MQTT-3.1.3-5', 'ids of 1 to 23 of 0-9 a-z A-Z are allowed', async (bed) => {
    for (const id of ['0', 'abcdefghijklmnopqrstuvw', 'ABCDEFGHIJKLMNOPQRSTUVW', 'XYZxyz0123456789']) {
      const connected = await bed.sending(connectPacket(id))
      assert.deepEqual([...(await connected.next(CONNACK)).body], [0, 0])
    }
  }),
  server('MQTT-3.1.3-6', 'an empty client id, if allowed, is made a unique one', async (bed) => {
    const one = await bed.sending(connectPacket(''))
    await one.next(CONNACK)
    const two = await bed.sending(connectPacket(''))
    await two.next(CONNACK)
    assert.deepEqual(await one.untilPong(), [])
  }),
  client('MQTT-3.1.3-7', 'an empty client id comes with clean session', 'the broker is tried by 3.1.3-8'),
  server('MQTT-3.1.3-8', 'an empty client id without clean session gets return code 2, then closed', async (bed) => {
    const frames = await (await bed.sending(connectPacket('', { clean: false }))).closes()
    assert.deepEqual(codes(frames), [[CONNACK, 0, 2]])
  }),
  server('MQTT-3.1.3-9', 'a refused client id gets return code 2, then closed', async (bed) => {
    const frames = await (await bed.sending(connectPacket('', { clean: false }))).closes()
    assert.deepEqual(codes(frames), [[CONNACK, 0, 2]])
  }),
  both('MQTT-3.1.3-10', 'the will topic is well-formed UTF-8', async (bed) => {
    const connecting = connectPacket(bed.name('c'), { will: { topic: SURROGATE, payload: 'gone' } })
    await (await bed.sending(connecting)).closesSilently()
  }),
  both('MQTT-3.1.3-11', 'the user name is well-formed UTF-8', async (bed) => {
    const frames = await (await bed.sending(connectPacket(bed.name('c'), { username: SURROGATE }))).closes()
    assert(frames.every(({ body }) => body.readUInt8(1) !== 0))
  }),
  server('MQTT-3.1.4-1', 'a malformed CONNECT is closed without a CONNACK', async (bed) => {
    await (await bed.sending(packet(CONNECT, 0, PROTOCOL))).closesSilently()
    await (await bed.sending(packet(CONNECT, 1, PROTOCOL, Buffer.of(2), KEEPALIVE_OFF, text('x')))).closesSilently()
  }),
  server('MQTT-3.1.4-2', 'a client with the same id takes the place of the one connected', async (bed) => {
    const first = await bed.client('c')
    const second = await bed.client('c')
    await first.closes()
    assert.deepEqual(await second.untilPong(), [])
  }),
  server('MQTT-3.1.4-3', 'clean session is carried out at CONNECT', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await first.disconnect()
    await (await bed.client('c', { clean: true })).disconnect()
    const [, present] = await bed.session('c')
    assert.equal(present, 0)
  }),
  server('MQTT-3.1.4-4', 'a CONNECT that succeeds is acknowledged with return code 0', async (bed) => {
    const connected = await bed.sending(connectPacket(bed.name('c')))
    assert.deepEqual([...(await connected.next(CONNACK)).body], [0, 0])
  }),
  server('MQTT-3.1.4-5', 'what follows a rejected CONNECT is not processed', async (bed) => {
    const witness = await bed.subscriber(bed.name('t'))
    const rejected = await bed.sending(connectPacket('', { clean: false }), publishPacket(bed.name('t'), 'x'))
    await rejected.closes()
    assert.deepEqual(await witness.untilPong(), [])
  }),
  server('MQTT-3.2.0-1', "CONNACK is the server's first packet", async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    const eager = await bed.sending(
      connectPacket(bed.name('c')),
      subscribePacket(1, [bed.name('t'), 1]),
      publishPacket(bed.name('t'), 'x', { qos: 1 }),
      packet(PINGREQ, 0),
    )
    await eager.next(CONNACK)
  }),
  server('MQTT-3.2.2-1', 'with clean session, Session Present is 0', async (bed) => {
    await (await bed.client('c', { clean: false })).disconnect()
    const [, present] = await bed.session('c', { clean: true })
    assert.equal(present, 0)
  }),
  server(
    'MQTT-3.2.2-2',
    'Session Present tells whether the server has stored state, also of an empty session',
    async (bed) => {
      const [first, before] = await bed.session('c')
      assert.equal(before, 0)
      await first.disconnect()
      const [, present] = await bed.session('c')
      assert.equal(present, 1)
    },
  ),
  server('MQTT-3.2.2-3', 'without stored state, Session Present is 0', async (bed) => {
    const [, present] = await bed.session('c')
    assert.equal(present, 0)
  }),
  server('MQTT-3.2.2-4', 'with a return code other than 0, Session Present is 0', async (bed) => {
    for (const refused of [connectPacket('', { clean: false }), connectPacket(bed.name('c'), { level: 6 })]) {
      const frames = await (await bed.sending(refused)).closes()
      assert.equal(frames[0]?.body.readUInt8(0), 0)
    }
  }),
  server('MQTT-3.2.2-5', 'after a return code other than 0 the server closes', async (bed) => {
    await (await bed.sending(connectPacket('', { clean: false }))).closes()
  }),
  {
    id: 'MQTT-3.2.2-6',
    text: 'if no return code fits, the server closes without CONNACK',
    binds: 'server',
    untested: 'every refusal here has its return code',
  },
  server('MQTT-3.14.1-1', "DISCONNECT's reserved bits are 0, or the connection is closed", async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const wrong = await bed.client('c', { will: { topic: bed.name('w'), payload: 'violated' } })
    wrong.send(packet(DISCONNECT, 1))
    await wrong.closesSilently()
    assert.equal((await witness.publish()).payload, 'violated')
  }),
  client('MQTT-3.14.4-1', 'after DISCONNECT the client closes', "the client's duty"),
  client('MQTT-3.14.4-2', 'after DISCONNECT the client sends nothing more', "the client's duty"),
  server('MQTT-3.14.4-3', 'DISCONNECT discards the will', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    await (await bed.client('c', { will: { topic: bed.name('w'), payload: 'gone' } })).disconnect()
    assert.deepEqual(
      (await witness.untilPong()).filter(({ type }) => type === PUBLISH),
      [],
    )
  }),
  server('MQTT-4.1.0-1', 'client and server keep the session state for the whole connection', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    publisher.send(publishPacket(bed.name('t'), 'held', { qos: 2, id: 9 }))
    await publisher.later(5)
    await publisher.untilPong()
    publisher.send(publishPacket(bed.name('t'), 'held', { qos: 2, id: 9, dup: true }))
    await publisher.later(5)
    publisher.send(answer(6, 9))
    await publisher.later(7)
    assert.equal((await subscriber.publish()).payload, 'held')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server(
    'MQTT-4.1.0-2',
    'a session lasts at least as long as its connection, one that is not clean longer',
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      await first.cut()
      const [, present] = await bed.session('c')
      assert.equal(present, 1)
    },
  ),
]
