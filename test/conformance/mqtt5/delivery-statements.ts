/** Owns the statements about sessions, QoS, order and flow: sections 4.1, 4.3 to 4.6 and 4.9 of MQTT 5.0. */

import assert from 'node:assert/strict'
import type { Statement } from '../statement.ts'
import {
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packet,
  SUBACK,
  type WireClient,
} from '../wire.ts'
import { type Bed5, both, duty, publishAcknowledged, received, receivedNow, server, subscribe } from './bed5.ts'
import {
  answer5,
  MESSAGE_EXPIRY,
  publish5,
  RECEIVE_MAXIMUM,
  readAnswer,
  readPublish5,
  SESSION_EXPIRY,
  subscribe5,
  WILL_DELAY,
} from './wire5.ts'

/** A session that is subscribed to `t` at QoS 2, and has been sent these. */
async function sent(bed: Bed5, ...messages: readonly (readonly [payload: string, qos: number])[]) {
  const [first] = await bed.session('c')
  await subscribe(first, bed.name('t'), 2)
  const publisher = await bed.client('p')
  for (const [index, [payload, qos]] of messages.entries()) {
    await publishAcknowledged(publisher, bed.name('t'), payload, { qos, id: index + 1 })
  }
  const seen = []
  for (const _ of messages) seen.push(await received(first))
  return { first, seen }
}

/** Cuts the connection, and what the session is sent on the next one: so many packets at least. */
async function again(bed: Bed5, first: WireClient, atLeast: number) {
  await first.untilPong()
  await first.cut()
  const [second] = await bed.session('c')
  const frames = await second.some(atLeast)
  return { second, frames: [...frames, ...(await second.untilPong())] }
}

export const deliveryStatements: readonly Statement[] = [
  both('4.1.0-1', 'the session is kept as long as its connection', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 1, 's', { properties: [[SESSION_EXPIRY, 1]] })
    await bed.seconds(2)
    await bed.post(bed.name('t'), 'x')
    assert.equal((await received(subscriber)).payload, 'x')
  }),
  server('4.1.0-2', 'the session ends when its expiry is over', async (bed) => {
    const witness = await bed.subscriber(bed.name('w'))
    const will = { topic: bed.name('w'), payload: 'ended', properties: [[WILL_DELAY, 1_000]] as const }
    const [first] = await bed.session('c', { clean: false, properties: [[SESSION_EXPIRY, 1]], will })
    await subscribe(first, bed.name('t'), 1)
    await first.cut()
    // Its will says when: it goes out as the session ends.
    await received(witness)
    assert.equal((await bed.session('c'))[1], 0)
  }),
  both('4.3.1-1', 'QoS 0 is sent with QoS 0 and DUP 0', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    await bed.post(bed.name('t'), 'x')
    const { qos, dup } = await received(subscriber)
    assert.deepEqual([qos, dup], [0, false])
  }),
  both('4.3.2-1', 'each message of QoS 1 has an unused id', async (bed) => {
    const { seen } = await sent(bed, ['one', 1], ['two', 1], ['three', 1])
    assert.equal(new Set(seen.map(({ id }) => id)).size, 3)
  }),
  both('4.3.2-2', 'QoS 1 is sent with DUP 0', async (bed) => {
    const { seen } = await sent(bed, ['one', 1])
    assert.deepEqual(
      seen.map(({ qos, dup }) => [qos, dup]),
      [[1, false]],
    )
  }),
  both('4.3.2-3', 'QoS 1 is unacknowledged until its PUBACK', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 1], ['two', 1])
    first.send(answer5(PUBACK, seen[0]?.id ?? 0))
    const { frames } = await again(bed, first, 1)
    assert.deepEqual(
      frames.map((frame) => readPublish5(frame).payload),
      ['two'],
    )
  }),
  both('4.3.2-4', 'QoS 1 is answered by a PUBACK with its id', async (bed) => {
    const publisher = await bed.client()
    for (const id of [1, 65_535]) {
      assert.equal((await publishAcknowledged(publisher, bed.name('t'), 'x', { id }))?.id, id)
    }
  }),
  both('4.3.2-5', 'after its PUBACK the same id is a new message, whatever DUP says', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 1)
    const publisher = await bed.client('p')
    await publishAcknowledged(publisher, bed.name('t'), 'one', { id: 3 })
    await publishAcknowledged(publisher, bed.name('t'), 'two', { id: 3, dup: true })
    assert.deepEqual([(await received(subscriber)).payload, (await received(subscriber)).payload], ['one', 'two'])
  }),
  both('4.3.3-1', 'each message of QoS 2 has an unused id', async (bed) => {
    const { seen } = await sent(bed, ['one', 2], ['two', 2], ['three', 2])
    assert.equal(new Set(seen.map(({ id }) => id)).size, 3)
  }),
  both('4.3.3-2', 'QoS 2 is sent with DUP 0', async (bed) => {
    const { seen } = await sent(bed, ['one', 2])
    assert.deepEqual(
      seen.map(({ qos, dup }) => [qos, dup]),
      [[2, false]],
    )
  }),
  both('4.3.3-3', 'QoS 2 is unacknowledged until its PUBREC', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 2])
    const { frames } = await again(bed, first, 1)
    assert.deepEqual(
      frames.map((frame) => [frame.type, readPublish5(frame).id]),
      [[PUBLISH, seen[0]?.id]],
    )
  }),
  both('4.3.3-4', 'a PUBREC of less than 0x80 is answered by a PUBREL with its id', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 2], ['two', 2])
    const [one, two] = seen.map(({ id }) => id)
    first.send(answer5(PUBREC, one ?? 0), answer5(PUBREC, two ?? 0, 0x10))
    assert.deepEqual([readAnswer(await first.next(PUBREL)).id, readAnswer(await first.next(PUBREL)).id], [one, two])
  }),
  both('4.3.3-5', 'a PUBREL is unacknowledged until its PUBCOMP', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 2])
    first.send(answer5(PUBREC, seen[0]?.id ?? 0))
    await first.next(PUBREL)
    const { second, frames } = await again(bed, first, 1)
    assert.deepEqual(
      frames.map((frame) => [frame.type, readAnswer(frame).id]),
      [[PUBREL, seen[0]?.id]],
    )
    second.send(answer5(PUBCOMP, seen[0]?.id ?? 0))
    assert.deepEqual((await again(bed, second, 0)).frames, [])
  }),
  both('4.3.3-6', 'a PUBLISH is not sent again once its PUBREL was', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 2])
    first.send(answer5(PUBREC, seen[0]?.id ?? 0))
    await first.next(PUBREL)
    const { frames } = await again(bed, first, 1)
    assert(!frames.some(({ type }) => type === PUBLISH), 'the PUBLISH came again')
  }),
  both('4.3.3-7', 'a QoS 2 message that was sent does not expire', async (bed) => {
    const { frames } = await expired(bed, false)
    assert.deepEqual(
      frames.map(({ type }) => type),
      [PUBLISH],
    )
  }),
  both('4.3.3-8', 'QoS 2 is answered by a PUBREC with its id', async (bed) => {
    const publisher = await bed.client()
    for (const id of [1, 65_535]) {
      publisher.send(publish5(bed.name('t'), 'x', { qos: 2, id }))
      assert.equal(readAnswer(await publisher.next(PUBREC)).id, id)
    }
  }),
  both('4.3.3-9', 'after a PUBREC of 0x80 or more the same id is a new message', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    publisher.send(publish5('$SYS/broker/version', 'x', { qos: 2, id: 4 }))
    const refused = readAnswer(await publisher.next(PUBREC))
    // A broker that takes it, and drops it, has no such PUBREC.
    if (refused.code < 0x80) publisher.send(answer5(PUBREL, 4))
    if (refused.code < 0x80) await publisher.next(PUBCOMP)
    assert.equal((await publishAcknowledged(publisher, bed.name('t'), 'new', { qos: 2, id: 4 }))?.code, 0)
    assert.equal((await received(subscriber)).payload, 'new')
  }),
  both(
    '4.3.3-10',
    'until its PUBREL a QoS 2 message that comes again gets a PUBREC and is delivered once',
    async (bed) => {
      const subscriber = await bed.subscriber(bed.name('t'), 0)
      const publisher = await bed.client('p')
      const message = (dup: boolean) => publish5(bed.name('t'), 'once', { qos: 2, id: 4, dup })
      publisher.send(message(false))
      assert.equal(readAnswer(await publisher.next(PUBREC)).id, 4)
      publisher.send(message(true), message(true))
      for (let count = 0; count < 2; count++) assert.equal(readAnswer(await publisher.next(PUBREC)).id, 4)
      publisher.send(answer5(PUBREL, 4))
      await publisher.next(PUBCOMP)
      assert.equal((await receivedNow(subscriber, 1)).length, 1)
    },
  ),
  both('4.3.3-11', 'a PUBREL is answered by a PUBCOMP with its id, also again', async (bed) => {
    const publisher = await bed.client('p')
    publisher.send(publish5(bed.name('t'), 'x', { qos: 2, id: 4 }))
    await publisher.next(PUBREC)
    for (let count = 0; count < 2; count++) {
      publisher.send(answer5(PUBREL, 4))
      assert.equal(readAnswer(await publisher.next(PUBCOMP)).id, 4)
    }
  }),
  both('4.3.3-12', 'after its PUBCOMP the same id is a new message', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    const publisher = await bed.client('p')
    for (const payload of ['one', 'two'])
      await publishAcknowledged(publisher, bed.name('t'), payload, { qos: 2, id: 4 })
    assert.deepEqual(
      (await receivedNow(subscriber, 2)).map(({ payload }) => payload),
      ['one', 'two'],
    )
  }),
  both('4.3.3-13', 'what of QoS 2 has begun goes on though the message has expired', async (bed) => {
    const { second, frames, id } = await expired(bed, true)
    assert.deepEqual(
      frames.map((frame) => [frame.type, readAnswer(frame).id]),
      [[PUBREL, id]],
    )
    second.send(answer5(PUBCOMP, id))
    assert.deepEqual(await second.untilPong(), [])
  }),
  both(
    '4.4.0-1',
    'unacknowledged PUBLISH and PUBREL are sent again at a reconnect, with their ids, and at no other time',
    async (bed) => {
      const { first, seen } = await sent(bed, ['one', 2], ['two', 2], ['three', 1])
      first.send(answer5(PUBREC, seen[0]?.id ?? 0))
      await first.next(PUBREL)
      assert.deepEqual(await first.untilPong(), [])
      const { second, frames } = await again(bed, first, 3)
      const ids = frames.map((frame) => (frame.type === PUBREL ? readAnswer(frame).id : readPublish5(frame).id))
      assert.deepEqual(ids.sort(), seen.map(({ id }) => id).sort())
      assert.deepEqual(frames.map(({ type }) => type).sort(), [PUBLISH, PUBLISH, PUBREL])
      assert.deepEqual(await second.untilPong(), [])
    },
  ),
  both('4.4.0-2', 'what was refused by a PUBACK or PUBREC of 0x80 or more is not sent again', async (bed) => {
    const { first, seen } = await sent(bed, ['one', 1], ['two', 2])
    first.send(answer5(PUBACK, seen[0]?.id ?? 0, 0x80), answer5(PUBREC, seen[1]?.id ?? 0, 0x80))
    assert.deepEqual(await first.untilPong(), [])
    assert.deepEqual((await again(bed, first, 0)).frames, [])
  }),
  server('4.5.0-1', 'a message that was taken is added to the sessions of all who subscribed', async (bed) => {
    for (const qos of [1, 2]) {
      const here = await bed.subscriber(bed.name(`t${qos}`), qos, `here${qos}`)
      const [away] = await bed.session(`away${qos}`)
      await subscribe(away, bed.name(`t${qos}`), qos)
      await away.cut()
      await bed.post(bed.name(`t${qos}`), 'x', { qos })
      const [back] = await bed.session(`away${qos}`)
      assert.deepEqual([(await received(here)).payload, (await received(back)).payload], ['x', 'x'])
    }
  }),
  duty('4.5.0-2', 'the client acknowledges what it receives'),
  duty('4.6.0-1', 'a client sends again in the original order'),
  duty('4.6.0-2', "a client's PUBACKs come in the order of their PUBLISHes"),
  duty('4.6.0-3', "a client's PUBRECs come in the order of their PUBLISHes"),
  duty('4.6.0-4', "a client's PUBRELs come in the order of the PUBRECs"),
  server('4.6.0-5', "a client's messages of one topic and QoS arrive in order, also after a reconnect", async (bed) => {
    const payloads = Array.from({ length: 20 }, (_, index) => `${index}`)
    for (const qos of [0, 1, 2]) {
      const { first, seen } = await sent(bed, ...payloads.map((payload) => [payload, qos] as const))
      assert.deepEqual(
        seen.map(({ payload }) => payload),
        payloads,
      )
      if (qos > 0) {
        const { second, frames } = await again(bed, first, payloads.length)
        assert.deepEqual(
          frames.map((frame) => readPublish5(frame).payload),
          payloads,
        )
        await second.cut()
      }
      await bed.client('c', { clean: true })
    }
  }),
  server('4.6.0-6', 'every topic is an ordered topic by default', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/#'), 1)
    const publisher = await bed.client('p')
    const topics = Array.from({ length: 10 }, (_, index) => `t/${index % 3}`)
    for (const [index, topic] of topics.entries())
      publisher.send(publish5(bed.name(topic), `${index}`, { qos: 1, id: index + 1 }))
    await publisher.untilPong()
    const seen: string[] = []
    while (seen.length < topics.length) seen.push((await received(subscriber)).payload)
    assert.deepEqual(
      seen,
      topics.map((_, index) => `${index}`),
    )
  }),
  both('4.9.0-1', 'the first messages are no more than Receive Maximum, and one at least', async (bed) => {
    const { waiting } = await quota(bed)
    assert.deepEqual(waiting, ['1', '2'])
  }),
  both('4.9.0-2', 'with the quota used up no message of QoS > 0 is sent until one is acknowledged', async (bed) => {
    const { subscriber, ids } = await quota(bed)
    subscriber.send(answer5(PUBREC, ids[1] ?? 0))
    await subscriber.next(PUBREL)
    assert.deepEqual(await subscriber.untilPong(), [])
    subscriber.send(answer5(PUBCOMP, ids[1] ?? 0))
    assert.equal((await received(subscriber)).payload, '3')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  both('4.9.0-3', 'other packets are processed and answered though the quota is used up', async (bed) => {
    const { subscriber } = await quota(bed)
    subscriber.send(subscribe5(3, [[bed.name('u'), 0]]), publish5(bed.name('u'), 'x'), packet(PINGREQ, 0))
    const types = (await subscriber.some(3)).map(({ type }) => type)
    assert.deepEqual(types.sort(), [PUBLISH, SUBACK, PINGRESP].sort())
  }),
]

/** A client of Receive Maximum 2, which is owed messages 1 (QoS 1), 2 (QoS 2) and more, and has been sent the first. */
async function quota(bed: Bed5) {
  const subscriber = await bed.subscriber(bed.name('t'), 2, 's', { properties: [[RECEIVE_MAXIMUM, 2]] })
  const publisher = await bed.client('p')
  for (const [id, qos] of [
    [1, 1],
    [2, 2],
    [3, 1],
    [4, 2],
  ] as const) {
    await publishAcknowledged(publisher, bed.name('t'), `${id}`, { id, qos })
  }
  const seen = await receivedNow(subscriber, 2)
  return { subscriber, ids: seen.map(({ id }) => id), waiting: seen.map(({ payload }) => payload) }
}

/** A QoS 2 message that expires after it was sent, and what comes of it on the next connection. */
async function expired(bed: Bed5, isReceived: boolean) {
  const [first] = await bed.session('c')
  await subscribe(first, bed.name('t'), 2)
  await bed.post(bed.name('t'), 'x', { qos: 2, properties: [[MESSAGE_EXPIRY, 1]] })
  const { id } = await received(first)
  if (isReceived) {
    first.send(answer5(PUBREC, id))
    await first.next(PUBREL)
  }
  await bed.seconds(2)
  return { id, ...(await again(bed, first, 1)) }
}
