/** Owns the statements about SUBSCRIBE, UNSUBSCRIBE, PINGREQ and topic filters: sections 3.8 to 3.12 and 4.7 of MQTT 3.1.1. */

import assert from 'node:assert/strict'
import { both, publishAcknowledged, type Statement, server, subscribe, unsubscribe } from './statement.ts'
import {
  answer,
  idOf,
  PINGREQ,
  PINGRESP,
  PUBLISH,
  PUBREC,
  PUBREL,
  packet,
  publishPacket,
  readPublish,
  SUBACK,
  SUBSCRIBE,
  subscribePacket,
  text,
  UNSUBACK,
  UNSUBSCRIBE,
  u16,
  unsubscribePacket,
} from './wire.ts'

const ILL_FORMED = Buffer.from([0x61, 0xff])
/** Refused by 0x80, or by ending the connection: a malformed filter is a protocol violation. */
const REFUSED = 0x80

async function refuses(bed: Parameters<NonNullable<Statement['check']>>[0], filter: string | Buffer): Promise<void> {
  const subscriber = await bed.client()
  subscriber.send(subscribePacket(1, [filter, 0]))
  for (const { body } of await subscriber.closesOrSends())
    assert.equal(body.readUInt8(2), REFUSED, `filter ${filter} was granted`)
}

export const subscribeStatements: readonly Statement[] = [
  both('MQTT-3.8.1-1', "SUBSCRIBE's flags are 0010, or the connection is closed", async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(packet(SUBSCRIBE, 0, u16(1), text('a'), Buffer.of(0)))
    await subscriber.closesSilently()
  }),
  both('MQTT-3.8.3-1', 'the filters of a SUBSCRIBE are well-formed UTF-8', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [ILL_FORMED, 0]))
    await subscriber.closesSilently()
  }),
  server('MQTT-3.8.3-2', 'a server without wildcards refuses them; one with them honours them', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/#'))
    await bed.post(bed.name('t/a/b'), 'x')
    assert.equal((await subscriber.publish()).payload, 'x')
  }),
  both('MQTT-3.8.3-3', 'a SUBSCRIBE without a filter is a protocol violation', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(packet(SUBSCRIBE, 2, u16(1)))
    await subscriber.closesSilently()
  }),
  server('MQTT-3-8.3-4', 'reserved bits in a requested QoS, or QoS 3, end the connection', async (bed) => {
    for (const qos of [3, 4, 0x80]) {
      const subscriber = await bed.client()
      subscriber.send(subscribePacket(1, [bed.name('t'), qos]))
      await subscriber.closesSilently()
    }
  }),
  server('MQTT-3.8.4-1', 'a SUBSCRIBE is answered by a SUBACK', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [bed.name('t'), 0]))
    await subscriber.next(SUBACK)
  }),
  server('MQTT-3.8.4-2', 'the SUBACK has the id of the SUBSCRIBE', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(4_660, [bed.name('t'), 0]))
    assert.equal(idOf(await subscriber.next(SUBACK)), 4_660)
  }),
  server(
    'MQTT-3.8.4-3',
    'an identical filter replaces the subscription, and retained messages are sent again',
    async (bed) => {
      await bed.post(bed.name('t'), 'kept', { retain: true })
      const subscriber = await bed.subscriber(bed.name('t'), 0)
      assert.equal((await subscriber.publish()).retain, true)
      await subscribe(subscriber, bed.name('t'), 1, 2)
      const { retain, qos } = await subscriber.publish()
      assert.deepEqual([retain, qos], [true, 1])
      await bed.post(bed.name('t'), 'live')
      const live = (await subscriber.untilPong()).map(readPublish)
      assert.deepEqual(
        live.map(({ payload, qos }) => [payload, qos]),
        [['live', 1]],
      )
    },
  ),
  server('MQTT-3.8.4-4', 'several filters in one SUBSCRIBE count as several SUBSCRIBEs', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [bed.name('a'), 0], [bed.name('b'), 0]))
    await subscriber.next(SUBACK)
    await bed.post(bed.name('a'), 'a')
    await bed.post(bed.name('b'), 'b')
    assert.deepEqual([(await subscriber.publish()).payload, (await subscriber.publish()).payload], ['a', 'b'])
  }),
  server('MQTT-3.8.4-5', 'a SUBACK has one return code a filter, also where a filter is named twice', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [bed.name('a'), 0], [bed.name('b'), 1], [bed.name('a'), 2]))
    assert.equal((await subscriber.next(SUBACK)).body.length, 2 + 3)
  }),
  server('MQTT-3.8.4-6', "messages come at the lesser of their own and the subscription's QoS", async (bed) => {
    const publisher = await bed.client('p')
    for (const granted of [0, 1, 2]) {
      for (const filter of ['t', '+']) {
        const subscriber = await bed.subscriber(
          `${bed.name('')}/${filter}`,
          granted,
          `s${granted}${filter.length}${filter}`,
        )
        for (const sent of [0, 1, 2]) {
          publisher.send(publishPacket(`${bed.name('')}/t`, `${sent}`, { qos: sent, id: sent }))
          if (sent === 2) {
            await publisher.later(PUBREC)
            publisher.send(answer(PUBREL, sent))
          }
          await publisher.untilPong()
          const { payload, qos } = await subscriber.publish()
          assert.deepEqual([payload, qos], [`${sent}`, Math.min(sent, granted)], `filter ${filter}, granted ${granted}`)
        }
        await subscriber.cut()
      }
    }
  }),
  server('MQTT-3.9.3-1', "the return codes are in the order of the SUBSCRIBE's filters", async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [bed.name('a'), 1], [bed.name('b'), 0], [bed.name('c'), 1]))
    assert.deepEqual([...(await subscriber.next(SUBACK)).body.subarray(2)], [1, 0, 1])
  }),
  server('MQTT-3.9.3-2', 'the return codes are 0, 1, 2 or 0x80', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(subscribePacket(1, [bed.name('a'), 2], ['$SYS/#', 1], ['$share/g/a', 1]))
    for (const code of (await subscriber.next(SUBACK)).body.subarray(2)) assert([0, 1, 2, 0x80].includes(code))
  }),
  both('MQTT-3.10.1-1', "UNSUBSCRIBE's flags are 0010, or the connection is closed", async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(packet(UNSUBSCRIBE, 0, u16(1), text('a')))
    await subscriber.closesSilently()
  }),
  both('MQTT-3.10.3-1', 'the filters of an UNSUBSCRIBE are well-formed UTF-8', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(unsubscribePacket(1, ILL_FORMED))
    await subscriber.closesSilently()
  }),
  both('MQTT-3.10.3-2', 'an UNSUBSCRIBE without a filter is a protocol violation', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(packet(UNSUBSCRIBE, 2, u16(1)))
    await subscriber.closesSilently()
  }),
  server('MQTT-3.10.4-1', 'filters are compared character by character', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/+'))
    await unsubscribe(subscriber, bed.name('t/#'))
    await unsubscribe(subscriber, bed.name('T/+'))
    await bed.post(bed.name('t/a'), 'still')
    assert.equal((await subscriber.publish()).payload, 'still')
  }),
  server('MQTT-3.10.4-2', 'after an UNSUBSCRIBE no new messages are delivered', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'))
    await unsubscribe(subscriber, bed.name('t'))
    await bed.post(bed.name('t'), 'x')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('section 3.10.4', 'a SUBSCRIBE right behind the UNSUBSCRIBE of the same filter holds', async (bed) => {
    for (const clean of [true, false]) {
      const subscriber = await bed.subscriber(bed.name('t'), 1, `s${clean}`, { clean })
      subscriber.send(unsubscribePacket(2, bed.name('t')), subscribePacket(3, [bed.name('t'), 1]))
      assert.equal(idOf(await subscriber.next(UNSUBACK)), 2)
      assert.equal(idOf(await subscriber.next(SUBACK)), 3)
      await bed.post(bed.name('t'), 'x')
      assert.equal((await subscriber.publish()).payload, 'x')
      await subscriber.cut()
    }
  }),
  server('MQTT-3.10.4-3', 'a QoS 1 or 2 delivery that has begun is completed after an UNSUBSCRIBE', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    const publisher = await bed.client('p')
    publisher.send(publishPacket(bed.name('t'), 'x', { qos: 2, id: 1 }))
    await publisher.next(PUBREC)
    publisher.send(answer(PUBREL, 1))
    const { id } = await subscriber.publish()
    await unsubscribe(subscriber, bed.name('t'))
    subscriber.send(answer(PUBREC, id))
    assert.equal(idOf(await subscriber.next(PUBREL)), id)
  }),
  server('MQTT-3.10.4-4', 'an UNSUBSCRIBE is answered by an UNSUBACK with its id', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'))
    subscriber.send(unsubscribePacket(4_661, bed.name('t')))
    assert.equal(idOf(await subscriber.next(UNSUBACK)), 4_661)
  }),
  server('MQTT-3.10.4-5', 'also when nothing was subscribed', async (bed) => {
    const subscriber = await bed.client()
    subscriber.send(unsubscribePacket(9, bed.name('never')))
    assert.equal(idOf(await subscriber.next(UNSUBACK)), 9)
  }),
  server('MQTT-3.10.4-6', 'several filters in one UNSUBSCRIBE are answered by one UNSUBACK', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('a'))
    await subscribe(subscriber, bed.name('b'))
    subscriber.send(unsubscribePacket(7, bed.name('a'), bed.name('b')))
    assert.equal(idOf(await subscriber.next(UNSUBACK)), 7)
    await bed.post(bed.name('a'), 'x')
    await bed.post(bed.name('b'), 'x')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('MQTT-3.12.4-1', 'a PINGREQ is answered by a PINGRESP', async (bed) => {
    const connected = await bed.client()
    connected.send(packet(PINGREQ, 0))
    await connected.next(PINGRESP)
  }),
  both('MQTT-4.7.1-1', 'wildcards may be in filters, never in topic names', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket('a/+/b', 'x', { qos: 1 }))
    await publisher.closesSilently()
  }),
  both('MQTT-4.7.1-2', '# stands alone in the last level', async (bed) => {
    for (const filter of ['a/#/b', 'a#', '#/a', 'a/b#', '##']) await refuses(bed, filter)
    const parent = await bed.subscriber(bed.name('t/#'), 0, 'parent')
    await bed.post(bed.name('t'), 'parent')
    assert.equal((await parent.publish()).payload, 'parent')
  }),
  both('MQTT-4.7.1-3', '+ takes a whole level', async (bed) => {
    for (const filter of ['a+', '+a', 'a/+b/c', 'a/b+', '++']) await refuses(bed, filter)
    const subscriber = await bed.subscriber(`${bed.name('t')}/+`)
    await bed.post(bed.name('t'), 'no')
    await bed.post(`${bed.name('t')}/`, 'yes')
    assert.equal((await subscriber.publish()).payload, 'yes')
  }),
  server('MQTT-4.7.2-1', 'a filter that begins with a wildcard matches no topic that begins with $', async (bed) => {
    const subscriber = await bed.subscriber('#')
    await subscribe(subscriber, '+/broker/#', 0, 2)
    await bed.client('another')
    const topics = (await subscriber.untilPong())
      .filter(({ type }) => type === PUBLISH)
      .map((frame) => readPublish(frame).topic)
    assert(topics.every((topic) => !topic.startsWith('$')))
  }),
  both('MQTT-4.7.3-1', 'a topic or filter has at least one character', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket('', 'x'))
    await publisher.closesSilently()
    await refuses(bed, '')
  }),
  both('MQTT-4.7.3-2', 'no topic or filter holds U+0000', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publishPacket('a\0b', 'x'))
    await publisher.closesSilently()
    await refuses(bed, 'a\0b')
  }),
  both('MQTT-4.7.3-3', 'topics and filters have up to 65,535 bytes', async (bed) => {
    const long = bed.name('/').padEnd(65_535, 'x')
    const subscriber = await bed.subscriber(long)
    const publisher = await bed.client('p')
    await publishAcknowledged(publisher, long, 'long')
    assert.equal((await subscriber.publish()).topic, long)
  }),
  server('MQTT-4.7.3-4', 'topics are compared character by character, nothing is normalised', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('é'))
    await subscribe(subscriber, `/${bed.name('t')}`, 0, 2)
    await bed.post(bed.name('e\u0301'), 'no')
    await bed.post(bed.name('É'), 'no')
    await bed.post(bed.name('t'), 'no')
    await bed.post(bed.name('é'), 'yes')
    assert.equal((await subscriber.publish()).payload, 'yes')
  }),
]
