/** Owns the statements about PUBLISH, its acknowledgements, delivery and order: sections 3.3 to 3.7 and 4.3 to 4.6 of MQTT 3.1.1. */

import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { type Bed, both, client, publishAcknowledged, type Statement, server, subscribe } from './statement.ts'
import {
  answer,
  CONNACK,
  connectPacket,
  idOf,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packet,
  publishPacket,
  readPublish,
  SUBACK,
  subscribePacket,
  text,
  u16,
  type WireClient,
} from './wire.ts'

/** Publishes at QoS 2, all four packets of it. */
const publishExactlyOnce = (on: WireClient, topic: string, payload: string, id = 1): Promise<void> =>
  publishAcknowledged(on, topic, payload, { qos: 2, id })

/** What ours has to write to disk before it answers, what it has to look up, and what it answers at once. */
async function answersInOrder(bed: Bed, qos: number, type: number): Promise<void> {
  const device = `devices/${bed.name('d')}`
  const topics = [`${device}/telemetry/x`, bed.name('t'), `${device}/status`, bed.name('u')]
  const ids = Array.from({ length: 16 }, (_, index) => 3 * (16 - index))
  const publisher = await bed.client()
  publisher.send(...ids.map((id, index) => publishPacket(topics[index % 4] ?? '', 'x', { qos, id })))
  for (const id of ids) assert.equal(idOf(await publisher.next(type)), id)
}

export const publishStatements: readonly Statement[] = [
  both('MQTT-3.3.1-1', 'DUP is 1 when a PUBLISH is sent again', async (bed) => {
    for (const qos of [1, 2]) {
      const [first] = await bed.session(`c${qos}`)
      await subscribe(first, bed.name(`t${qos}`), qos)
      await bed.post(bed.name(`t${qos}`), 'again', { qos })
      assert.equal((await first.publish()).dup, false)
      await first.cut()
      const [second] = await bed.session(`c${qos}`)
      assert.equal((await second.publish()).dup, true)
    }
  }),
  both('MQTT-3.3.1-2', 'DUP is 0 in every QoS 0 message', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    const publisher = await bed.client('p')
    for (const qos of [1, 2]) {
      await publishAcknowledged(publisher, bed.name('t'), 'x', { qos, dup: true })
      assert.equal((await subscriber.publish()).dup, false)
    }
  }),
  server('MQTT-3.3.1-3', 'the DUP of an incoming PUBLISH is not handed on', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    for (const qos of [1, 2]) {
      await publishAcknowledged(publisher, bed.name('t'), 'x', { qos, dup: true })
      assert.equal((await subscriber.publish()).dup, false)
    }
  }),
  both('MQTT-3.3.1-4', 'a PUBLISH with both QoS bits set ends the connection', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 3 }))
    await publisher.closesSilently()
  }),
  server('MQTT-3.3.1-5', 'a retained message and its QoS are stored for future subscribers', async (bed) => {
    for (const qos of [1, 2]) {
      await bed.post(bed.name('t'), 'kept', { retain: true, qos })
      const subscriber = await bed.subscriber(bed.name('t'), 2, `s${qos}`)
      const kept = await subscriber.publish()
      assert.deepEqual([kept.payload, kept.qos], ['kept', qos])
    }
  }),
  server('MQTT-3.3.1-6', 'a new subscription gets the last retained message of each matching topic', async (bed) => {
    await bed.post(bed.name('t/1'), 'old', { retain: true })
    await bed.post(bed.name('t/1'), 'one', { retain: true })
    await bed.post(bed.name('t/2'), 'two', { retain: true })
    const subscriber = await bed.subscriber(bed.name('t/+'))
    const payloads = [(await subscriber.publish()).payload, (await subscriber.publish()).payload]
    assert.deepEqual(payloads.sort(), ['one', 'two'])
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('MQTT-3.3.1-7', 'a retained QoS 0 message takes the place of the one kept before', async (bed) => {
    await bed.post(bed.name('t'), 'old', { retain: true })
    await bed.post(bed.name('t'), 'new', { retain: true, qos: 0 })
    const subscriber = await bed.subscriber(bed.name('t'))
    const seen = (await subscriber.untilPong()).map((frame) => readPublish(frame).payload)
    assert(!seen.includes('old'))
  }),
  server('MQTT-3.3.1-8', 'RETAIN is 1 in what a new subscription gets', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    const subscriber = await bed.subscriber(bed.name('t'))
    assert.equal((await subscriber.publish()).retain, true)
  }),
  server('MQTT-3.3.1-9', 'RETAIN is 0 in what an established subscription gets', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    for (const qos of [0, 1, 2]) {
      await bed.post(bed.name('t'), 'x', { retain: true, qos })
      assert.equal((await subscriber.publish()).retain, false)
    }
  }),
  server('MQTT-3.3.1-10', 'an empty retained message is delivered and removes the one kept', async (bed) => {
    for (const qos of [0, 1, 2]) {
      await bed.post(bed.name(`t${qos}`), 'kept', { retain: true, qos: Math.max(qos, 1) })
      const established = await bed.subscriber(bed.name(`t${qos}`), 1, `established${qos}`)
      await established.publish()
      await bed.post(bed.name(`t${qos}`), '', { retain: true, qos })
      assert.equal((await established.publish()).payload, '')
      const late = await bed.subscriber(bed.name(`t${qos}`), 1, `late${qos}`)
      assert.deepEqual(await late.untilPong(), [])
    }
  }),
  server('MQTT-3.3.1-11', 'an empty retained message is not stored', async (bed) => {
    await bed.post(bed.name('t'), '', { retain: true })
    const subscriber = await bed.subscriber(bed.name('t'), 1)
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('MQTT-3.3.1-12', 'a message without RETAIN neither is stored nor touches the one kept', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    await bed.post(bed.name('t'), 'passing')
    const subscriber = await bed.subscriber(bed.name('t'))
    assert.equal((await subscriber.publish()).payload, 'kept')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  both('MQTT-3.3.2-1', 'the topic comes first and is well-formed UTF-8', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket(Buffer.from([0x61, 0xc3, 0x28]), 'x'))
    await publisher.closesSilently()
  }),
  both('MQTT-3.3.2-2', 'the topic of a PUBLISH holds no wildcards', async (bed) => {
    for (const topic of ['a/+', '#', 'a/#', 'a+b', 'a#']) {
      const publisher = await bed.client()
      publisher.send(publishPacket(topic, 'x'))
      await publisher.closesSilently()
    }
  }),
  server('MQTT-3.3.2-3', 'a message goes to matching subscriptions, with its own topic', async (bed) => {
    const subscriber = await bed.subscriber(`${bed.name('t')}/+/x`)
    await bed.post(`${bed.name('t')}/a/y`, 'no')
    await bed.post(`${bed.name('t')}/a/x`, 'yes')
    const { topic, payload } = await subscriber.publish()
    assert.deepEqual([topic, payload], [`${bed.name('t')}/a/x`, 'yes'])
  }),
  both('MQTT-3.3.4-1', 'QoS 0 gets no answer, QoS 1 a PUBACK, QoS 2 a PUBREC', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket(bed.name('t'), 'x'))
    assert.deepEqual(await publisher.untilPong(), [])
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 1, id: 5 }))
    assert.equal(idOf(await publisher.next(PUBACK)), 5)
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 2, id: 6 }))
    assert.equal(idOf(await publisher.next(PUBREC)), 6)
  }),
  server(
    'MQTT-3.3.5-1',
    'overlapping subscriptions: delivered at the greatest QoS of those that match',
    async (bed) => {
      for (const filters of [
        ['t/#', 't/+'],
        ['t/+', 't/#'],
        ['t/1', 't/+'],
      ] as const) {
        const subscriber = await bed.client(`s${filters[0].length}${filters[0].at(-1)}`)
        await subscribe(subscriber, bed.name(filters[0]), 0, 1)
        await subscribe(subscriber, bed.name(filters[1]), 2, 2)
        await bed.post(bed.name('t/1'), 'x')
        const received = (await subscriber.untilPong()).map(readPublish)
        assert.equal(Math.max(...received.map(({ qos }) => qos)), 1)
      }
    },
  ),
  server(
    'MQTT-3.3.5-2',
    'a PUBLISH that is not allowed is acknowledged by the rules, or the connection ended',
    async (bed) => {
      const publisher = await bed.client()
      publisher.send(publishPacket('$SYS/broker/version', 'mine', { qos: 1, id: 8 }))
      const [frame] = await publisher.closesOrSends()
      assert(frame === undefined || idOf(frame) === 8)
    },
  ),
  both('MQTT-3.6.1-1', "PUBREL's flags are 0010, or the connection is closed", async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 2, id: 6 }))
    await publisher.next(PUBREC)
    publisher.send(packet(PUBREL, 0, u16(6)))
    await publisher.closesSilently()
  }),
  both('MQTT-4.3.1-1', 'QoS 0 is sent with QoS 0 and DUP 0', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    await bed.post(bed.name('t'), 'x')
    const { qos, dup } = await subscriber.publish()
    assert.deepEqual([qos, dup], [0, false])
  }),
  both(
    'MQTT-4.3.2-1',
    'QoS 1 is sent with an unused id, DUP 0, and is unacknowledged until its PUBACK',
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      await bed.post(bed.name('t'), 'one')
      await bed.post(bed.name('t'), 'two')
      const [one, two] = [await first.publish(), await first.publish()]
      assert.notEqual(one.id, two.id)
      assert.deepEqual([one.qos, one.dup], [1, false])
      first.send(answer(PUBACK, one.id))
      await first.untilPong()
      await first.cut()
      const [second] = await bed.session('c')
      assert.deepEqual([(await second.publish()).payload, await second.untilPong()], ['two', []])
    },
  ),
  both('MQTT-4.3.2-2', 'QoS 1 is answered by a PUBACK; the same id afterwards is a new message', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 1)
    const publisher = await bed.client('p')
    await publishAcknowledged(publisher, bed.name('t'), 'one', { id: 3 })
    await publishAcknowledged(publisher, bed.name('t'), 'two', { id: 3, dup: true })
    assert.deepEqual([(await subscriber.publish()).payload, (await subscriber.publish()).payload], ['one', 'two'])
  }),
  both('MQTT-4.3.3-1', 'QoS 2 is sent with DUP 0; PUBREC is answered by PUBREL with the same id', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    await bed.post(bed.name('t'), 'x')
    const publisher = await bed.client('p')
    await publisher.untilPong()
    const first = await subscriber.publish()
    subscriber.send(answer(PUBACK, first.id))
    publisher.send(publishPacket(bed.name('t'), 'y', { qos: 2, id: 4 }))
    await publisher.next(PUBREC)
    publisher.send(answer(PUBREL, 4))
    const { qos, dup, id } = await subscriber.publish()
    assert.deepEqual([qos, dup], [2, false])
    subscriber.send(answer(PUBREC, id))
    assert.equal(idOf(await subscriber.next(PUBREL)), id)
    subscriber.send(answer(PUBCOMP, id))
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  both(
    'MQTT-4.3.3-2',
    'QoS 2 is delivered once whatever is sent again until its PUBREL, which gets a PUBCOMP',
    async (bed) => {
      const subscriber = await bed.subscriber(bed.name('t'), 0)
      const publisher = await bed.client('p')
      const message = (dup: boolean) => publishPacket(bed.name('t'), 'once', { qos: 2, id: 4, dup })
      publisher.send(message(false), message(true))
      for (let count = 0; count < 2; count++) assert.equal(idOf(await publisher.next(PUBREC)), 4)
      publisher.send(message(true))
      assert.equal(idOf(await publisher.next(PUBREC)), 4)
      for (let count = 0; count < 2; count++) {
        publisher.send(answer(PUBREL, 4))
        assert.equal(idOf(await publisher.next(PUBCOMP)), 4)
      }
      publisher.send(message(false))
      await publisher.next(PUBREC)
      publisher.send(answer(PUBREL, 4))
      await publisher.next(PUBCOMP)
      assert.equal((await subscriber.untilPong()).length, 2)
    },
  ),
  both(
    'MQTT-4.4.0-1',
    'unacknowledged PUBLISH and PUBREL are sent again at a reconnect, with their ids',
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 2)
      const publisher = await bed.client('p')
      for (const [id, payload] of ['one', 'two'].entries()) {
        await publishExactlyOnce(publisher, bed.name('t'), payload, id + 1)
      }
      const [one, two] = [await first.publish(), await first.publish()]
      first.send(answer(PUBREC, one.id))
      await first.next(PUBREL)
      await first.cut()
      const [second] = await bed.session('c')
      const seen = await second.some(2)
      assert.deepEqual(
        seen.map((frame) => (frame.type === PUBREL ? idOf(frame) : readPublish(frame).id)).sort(),
        [one.id, two.id].sort(),
      )
      assert.deepEqual(seen.map(({ type }) => type).sort(), [PUBLISH, PUBREL])
    },
  ),
  server('MQTT-4.5.0-1', 'a message that was taken is added to the sessions of all who subscribed', async (bed) => {
    for (const qos of [1, 2]) {
      const here = await bed.subscriber(bed.name(`t${qos}`), qos, `here${qos}`)
      const [away] = await bed.session(`away${qos}`)
      await subscribe(away, bed.name(`t${qos}`), qos)
      await away.cut()
      await bed.post(bed.name(`t${qos}`), 'x', { qos })
      const [back] = await bed.session(`away${qos}`)
      assert.deepEqual([(await here.publish()).payload, (await back.publish()).payload], ['x', 'x'])
    }
  }),
  client('MQTT-4.5.0-2', 'the client acknowledges what it receives', "the client's duty"),
  both('MQTT-4.6.0-1', 'PUBLISHes are sent again in the original order, of QoS 1 and 2 alike', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 2)
    const publisher = await bed.client('p')
    for (const payload of ['0', '2', '4', '6', '8']) {
      await publishAcknowledged(publisher, bed.name('t'), payload)
      await publishExactlyOnce(publisher, bed.name('t'), `${Number(payload) + 1}`)
    }
    await first.some(10)
    await first.cut()
    const [second] = await bed.session('c')
    const seen = (await second.some(10)).map(readPublish)
    assert.deepEqual(
      seen.map(({ payload, dup }) => [payload, dup]),
      seen.map((_, index) => [`${index}`, true]),
    )
  }),
  both('MQTT-4.6.0-2', 'PUBACKs come in the order of their PUBLISHes, whatever their topics', async (bed) => {
    await answersInOrder(bed, 1, PUBACK)
  }),
  both('MQTT-4.6.0-3', 'PUBRECs come in the order of their PUBLISHes, whatever their topics', async (bed) => {
    await answersInOrder(bed, 2, PUBREC)
  }),
  both('MQTT-4.6.0-4', 'PUBRELs come in the order of the PUBRECs', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    for (const id of [1, 2]) await publishExactlyOnce(publisher, bed.name('t'), 'x', id)
    const ids = [(await subscriber.publish()).id, (await subscriber.publish()).id]
    subscriber.send(...ids.map((id) => answer(PUBREC, id)))
    assert.deepEqual([idOf(await subscriber.next(PUBREL)), idOf(await subscriber.next(PUBREL))], ids)
  }),
  server('MQTT-4.6.0-5', 'every topic is an ordered topic by default', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    const publisher = await bed.client('p')
    const payloads = Array.from({ length: 100 }, (_, index) => `${index}`)
    publisher.send(
      ...payloads.map((payload, index) => publishPacket(bed.name('t'), payload, { retain: index % 3 === 0 })),
    )
    for (const payload of payloads) assert.equal((await subscriber.publish()).payload, payload)
  }),
  server(
    'MQTT-4.6.0-6',
    "a client's messages of one topic and QoS arrive in order, also after a reconnect",
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      await first.disconnect()
      const publisher = await bed.client('p')
      const payloads = Array.from({ length: 15 }, (_, index) => `${index}`)
      for (const [id, payload] of payloads.entries())
        await publishAcknowledged(publisher, bed.name('t'), payload, { id: id + 1 })
      const [second] = await bed.session('c')
      for (const payload of payloads) {
        const received = await second.publish()
        assert.equal(received.payload, payload)
        second.send(answer(PUBACK, received.id))
      }
    },
  ),
  both('MQTT-2.3.1-1', 'SUBSCRIBE, UNSUBSCRIBE and PUBLISH of QoS > 0 have a packet id that is not 0', async (bed) => {
    const wrong = [
      publishPacket(bed.name('t'), 'x', { qos: 1, id: 0 }),
      publishPacket(bed.name('t'), 'x', { qos: 2, id: 0 }),
      subscribePacket(0, [bed.name('t'), 0]),
      packet(10, 2, u16(0), text(bed.name('t'))),
    ]
    for (const each of wrong) {
      const violating = await bed.client()
      violating.send(each)
      await violating.closesSilently()
    }
  }),
  client(
    'MQTT-2.3.1-2',
    'a client gives a new packet an unused id',
    "the client's duty; the broker's ids are tried by 2.3.1-4",
  ),
  client('MQTT-2.3.1-3', 'a packet sent again keeps its id', "the client's duty; the broker's are tried by 4.4.0-1"),
  server(
    'MQTT-2.3.1-4',
    'the same holds for the PUBLISHes of a server: ids that are not 0 and not in use',
    async (bed) => {
      const subscriber = await bed.subscriber(bed.name('t'), 1)
      const publisher = await bed.client('p')
      for (let id = 1; id <= 15; id++) await publishAcknowledged(publisher, bed.name('t'), 'x', { id })
      const ids = new Set<number>()
      for (let count = 1; count <= 15; count++) ids.add((await subscriber.publish()).id)
      assert.equal(ids.size, 15)
      assert(!ids.has(0))
    },
  ),
  both('MQTT-2.3.1-5', 'a PUBLISH of QoS 0 has no packet id', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    await bed.post(bed.name('t'), 'x')
    assert.equal((await subscriber.publish()).payload, 'x')
  }),
  both('MQTT-2.3.1-6', 'PUBACK, PUBREC and PUBCOMP carry the id of the PUBLISH', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 1, id: 65_535 }))
    assert.equal(idOf(await publisher.next(PUBACK)), 65_535)
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 2, id: 256 }))
    assert.equal(idOf(await publisher.next(PUBREC)), 256)
    publisher.send(answer(PUBREL, 256))
    assert.equal(idOf(await publisher.next(PUBCOMP)), 256)
  }),
  both('MQTT-2.3.1-7', 'SUBACK and UNSUBACK carry the id of their request', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(513, [bed.name('t'), 0]))
    assert.equal(idOf(await subscriber.next(SUBACK)), 513)
    subscriber.send(packet(10, 2, u16(770), text(bed.name('t'))))
    assert.equal(idOf(await subscriber.next(11)), 770)
  }),
  server(
    'section 4.4',
    'what a session is owed is sent again before anything new, which goes on coming meanwhile',
    async (bed) => {
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      const publisher = await bed.client('p')
      const send = (payload: number) =>
        publisher.send(publishPacket(bed.name('t'), `${payload}`, { qos: 1, id: payload + 1 }))
      for (let payload = 0; payload < 15; payload++) send(payload)
      await first.some(15)
      await first.cut()
      const second = await bed.sending(connectPacket(bed.name('c'), { clean: false }))
      for (let payload = 15; payload < 200; payload++) {
        send(payload)
        await turn()
      }
      await second.next(CONNACK)
      for (let payload = 0; payload < 200; payload++) {
        const received = await second.publish()
        assert.equal(received.payload, `${payload}`)
        second.send(answer(PUBACK, received.id))
      }
    },
  ),
  server(
    'section 4.4, retained',
    'a retained message that was sent for a SUBSCRIBE and not acknowledged is sent again too',
    async (bed) => {
      await bed.post(bed.name('t'), 'kept', { retain: true })
      const [first] = await bed.session('c')
      await subscribe(first, bed.name('t'), 1)
      const { id, dup } = await first.publish()
      assert.equal(dup, false)
      await first.cut()
      const [second] = await bed.session('c')
      const again = await second.publish()
      assert.deepEqual([again.payload, again.id, again.dup], ['kept', id, true])
      second.send(answer(PUBACK, id))
      assert.deepEqual(await second.untilPong(), [])
    },
  ),
  server(
    'section 4.3',
    'an acknowledgement of the wrong kind settles nothing (4.3.2-1, 4.3.3-1), and nobody else notices',
    async (bed) => {
      const witness = await bed.subscriber(bed.name('t'), 0, 'witness')
      const publisher = await bed.client('p')
      const wrong = [
        [1, PUBREC],
        [1, PUBCOMP],
        [2, PUBACK],
        [2, PUBCOMP],
      ] as const
      for (const [qos, type] of wrong) {
        const name = `c${qos}${type}`
        const [first] = await bed.session(name)
        await subscribe(first, bed.name('t'), qos)
        if (qos === 1) await publishAcknowledged(publisher, bed.name('t'), name)
        else await publishExactlyOnce(publisher, bed.name('t'), name)
        const { id } = await first.publish()
        first.send(answer(type, id), packet(PINGREQ, 0))
        await first.closesOrSends()
        await first.cut()
        const [second] = await bed.session(name)
        const again = await second.next(PUBLISH).catch(() => assert.fail(`QoS ${qos} was settled by type ${type}`))
        assert.deepEqual([readPublish(again).payload, readPublish(again).id], [name, id])
        assert.equal((await witness.publish()).payload, name)
        await bed.client(name)
      }
    },
  ),
  server('section 4.3.3', 'QoS 2 sent again on a new connection of the session is delivered once', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    const [first] = await bed.session('p')
    first.send(publishPacket(bed.name('t'), 'once', { qos: 2, id: 4 }))
    await first.next(PUBREC)
    await first.cut()
    const [second] = await bed.session('p')
    second.send(publishPacket(bed.name('t'), 'once', { qos: 2, id: 4, dup: true }))
    assert.equal(idOf(await second.next(PUBREC)), 4)
    second.send(answer(PUBREL, 4))
    assert.equal(idOf(await second.next(PUBCOMP)), 4)
    await publishExactlyOnce(second, bed.name('t'), 'next', 4)
    assert.deepEqual([(await subscriber.publish()).payload, (await subscriber.publish()).payload], ['once', 'next'])
  }),
  server('section 2.3.1', 'the ids of both directions are apart: one may be in use in each', async (bed) => {
    const both = await bed.subscriber(bed.name('t'), 2)
    await publishExactlyOnce(await bed.client('p'), bed.name('t'), 'to')
    const { id } = await both.publish()
    both.send(publishPacket(bed.name('u'), 'from', { qos: 2, id }), answer(PUBREC, id))
    const types = (await both.some(2)).map(({ type }) => type)
    assert.deepEqual(types.sort(), [PUBREC, PUBREL])
    both.send(answer(PUBREL, id))
    assert.equal(idOf(await both.next(PUBCOMP)), id)
  }),
  server(
    'section 3.8.4',
    'what is kept for a session comes at the lesser QoS too, and its acknowledgement settles it',
    async (bed) => {
      const publisher = await bed.client('p')
      for (const isAway of [false, true]) {
        const name = `c${isAway}`
        let [subscriber] = await bed.session(name)
        await subscribe(subscriber, bed.name('t'), 1)
        if (isAway) await subscriber.cut()
        await publishExactlyOnce(publisher, bed.name('t'), name)
        if (isAway) [subscriber] = await bed.session(name)
        const { qos, id } = await subscriber.publish()
        assert.equal(qos, 1)
        subscriber.send(answer(PUBACK, id))
        await subscriber.untilPong()
        await subscriber.cut()
        const [again] = await bed.session(name)
        assert.deepEqual(await again.untilPong(), [], 'sent again though it was acknowledged')
        await bed.client(name)
      }
    },
  ),
]
