/** Owns the statements about PUBLISH and its acknowledgements: sections 3.3 to 3.7 of MQTT 5.0. */

import assert from 'node:assert/strict'
import type { Statement } from '../statement.ts'
import { PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, packet, SUBACK, u16 } from '../wire.ts'
import {
  type Bed5,
  both,
  client,
  duty,
  fits,
  publishAcknowledged,
  received,
  receivedNow,
  server,
  subscribe,
} from './bed5.ts'
import {
  ALIAS,
  ALIAS_MAXIMUM,
  type Answer,
  answer5,
  CONTENT_TYPE,
  CORRELATION_DATA,
  MAXIMUM_PACKET_SIZE,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  type Property,
  publish5,
  RECEIVE_MAXIMUM,
  RESPONSE_TOPIC,
  RETAIN_AS_PUBLISHED,
  RETAINED_IF_NEW,
  RETAINED_NEVER,
  readAnswer,
  SUBSCRIPTION_ID,
  subscribe5,
  USER_PROPERTY,
} from './wire5.ts'

/** A topic that no client may publish to. */
const FORBIDDEN = '$SYS/broker/version'
/** A CONNACK fits, and an acknowledgement without words. */
const MOST = 20
/** Tables 3-4 to 3-7. */
const PUBLISH_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const RELEASE_CODES = [0x00, 0x92]
const ILL_FORMED = Buffer.from([0x61, 0xed, 0xa0, 0x80])

/** Puts a message with this property, also a retained one, before a subscriber. */
async function unaltered(bed: Bed5, ...list: readonly Property[]): Promise<void> {
  const here = await bed.subscriber(bed.name('t'), 1)
  await bed.post(bed.name('t'), 'x', { retain: true, properties: list })
  const later = await bed.subscriber(bed.name('t'), 1, 'later')
  for (const subscriber of [here, later]) {
    const { payload, properties } = await received(subscriber)
    const [identifier = 0] = list[0] ?? []
    const kept = properties.all.filter(([each]) => each === identifier)
    assert.deepEqual([payload, ...kept.map(plain)], ['x', ...list.map(plain)])
  }
  await bed.post(bed.name('t'), '', { retain: true })
}

/** Bytes compare as such, whatever they are a view of. */
const plain = (property: Property) => property.map((each) => (Buffer.isBuffer(each) ? each.toString('hex') : each))

/** All answers to messages that are taken and to such as are not, from a client of few bytes. */
async function answersTo(bed: Bed5, qos: 1 | 2): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const topic of [bed.name('t'), FORBIDDEN]) {
    const publisher = await bed.client('p', { properties: [[MAXIMUM_PACKET_SIZE, MOST]] })
    publisher.send(publish5(topic, 'x', { qos, id: 7 }))
    for (const frame of await publisher.closesOrSends()) {
      if (frame.type === (qos === 1 ? PUBACK : PUBREC)) answers.push(readAnswer(frame))
    }
  }
  assert(answers.length > 0, 'nothing was answered')
  return answers
}

/** PUBREL and PUBCOMP of the server, also such as answer what there is not. */
async function releases(bed: Bed5): Promise<{ readonly pubrels: Answer[]; readonly pubcomps: Answer[] }> {
  const small = { properties: [[MAXIMUM_PACKET_SIZE, 60]] as const }
  const subscriber = await bed.subscriber(bed.name('t'), 2, 's', small)
  const publisher = await bed.client('p', small)
  publisher.send(publish5(bed.name('t'), 'x', { qos: 2, id: 7 }))
  await publisher.next(PUBREC)
  publisher.send(answer5(PUBREL, 7), answer5(PUBREL, 8))
  const pubcomps = [readAnswer(await publisher.next(PUBCOMP)), readAnswer(await publisher.next(PUBCOMP))]
  const { id } = await received(subscriber)
  subscriber.send(answer5(PUBREC, id))
  return { pubrels: [readAnswer(await subscriber.next(PUBREL))], pubcomps }
}

export const publishStatements: readonly Statement[] = [
  both('3.3.1-1', 'DUP is 1 when a PUBLISH is sent again', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await bed.post(bed.name('t'), 'x')
    assert.equal((await received(first)).dup, false)
    await first.cut()
    const [second] = await bed.session('c')
    assert.equal((await received(second)).dup, true)
  }),
  both('3.3.1-2', 'DUP is 0 in every QoS 0 message; another is malformed', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    await bed.post(bed.name('t'), 'x', { dup: true })
    assert.equal((await received(subscriber)).dup, false)
    await bed.violations({ 'QoS 0 with DUP': publish5('a', 'x', { dup: true }) })
  }),
  both('3.3.1-3', 'the DUP of an incoming PUBLISH is not handed on', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    for (const qos of [1, 2]) {
      await bed.post(bed.name('t'), 'x', { qos, dup: true })
      assert.equal((await received(subscriber)).dup, false)
    }
  }),
  both('3.3.1-4', 'a PUBLISH with both QoS bits set ends the connection', async (bed) => {
    await bed.violations({ 'QoS 3': publish5('a', 'x', { qos: 3 }) })
  }),
  server('3.3.1-5', 'a retained message takes the place of the one kept before', async (bed) => {
    for (const qos of [1, 0, 2]) await bed.post(bed.name('t'), `QoS ${qos}`, { retain: true, qos })
    const { payload, retain } = await received(await bed.subscriber(bed.name('t'), 2))
    assert.deepEqual([payload, retain], ['QoS 2', true])
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  server('3.3.1-6', 'an empty retained message is delivered and removes the one kept', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    const here = await bed.subscriber(bed.name('t'))
    await received(here)
    await bed.post(bed.name('t'), '', { retain: true })
    assert.equal((await received(here)).payload, '')
    assert.deepEqual(await receivedNow(await bed.subscriber(bed.name('t'), 0, 'later')), [])
  }),
  server('3.3.1-7', 'an empty retained message is not stored', async (bed) => {
    await bed.post(bed.name('t'), '', { retain: true })
    assert.deepEqual(await receivedNow(await bed.subscriber(bed.name('t'))), [])
  }),
  server('3.3.1-8', 'a message without RETAIN neither is stored nor touches the one kept', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    await bed.post(bed.name('t'), 'passing')
    await bed.post(bed.name('t'), '')
    const seen = await receivedNow(await bed.subscriber(bed.name('t')), 1)
    assert.deepEqual(
      seen.map(({ payload }) => payload),
      ['kept'],
    )
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  server(
    '3.3.1-9',
    'Retain Handling 0: retained messages are sent, also for a subscription that was there',
    async (bed) => {
      await bed.post(bed.name('t'), 'kept', { retain: true })
      const subscriber = await bed.subscriber(bed.name('t'))
      assert.equal((await received(subscriber)).payload, 'kept')
      await subscribe(subscriber, bed.name('t'))
      assert.equal((await received(subscriber)).payload, 'kept')
      await bed.post(bed.name('t'), '', { retain: true })
    },
  ),
  server('3.3.1-10', 'Retain Handling 1: they are sent for a new subscription only', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    const subscriber = await bed.subscriber(bed.name('t'), RETAINED_IF_NEW)
    assert.equal((await received(subscriber)).payload, 'kept')
    await subscribe(subscriber, bed.name('t'), RETAINED_IF_NEW)
    assert.deepEqual(await receivedNow(subscriber), [])
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  server('3.3.1-11', 'Retain Handling 2: they are not sent', async (bed) => {
    await bed.post(bed.name('t'), 'kept', { retain: true })
    assert.deepEqual(await receivedNow(await bed.subscriber(bed.name('t'), RETAINED_NEVER)), [])
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  server('3.3.1-12', 'without Retain As Published, RETAIN is 0 in what is forwarded', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'))
    await bed.post(bed.name('t'), 'x', { retain: true })
    assert.equal((await received(subscriber)).retain, false)
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  server('3.3.1-13', 'with Retain As Published, RETAIN is as it was', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), RETAIN_AS_PUBLISHED)
    for (const retain of [true, false]) {
      await bed.post(bed.name('t'), 'x', { retain })
      assert.equal((await received(subscriber)).retain, retain)
    }
    await bed.post(bed.name('t'), '', { retain: true })
  }),
  both('3.3.2-1', 'the topic comes first and is well-formed UTF-8', async (bed) => {
    await bed.violations({ 'no topic': packet(PUBLISH, 0), 'a surrogate': publish5(ILL_FORMED, 'x') })
  }),
  both('3.3.2-2', 'the topic of a PUBLISH holds no wildcards', async (bed) => {
    for (const topic of ['a/#', 'a/+', '#', 'a+b']) await bed.violations({ [topic]: publish5(topic, 'x') })
  }),
  server('3.3.2-3', 'a message comes with its own topic, which matches the filter', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/+/x'))
    for (const topic of ['t/a/y', 't/a/x', 't/x']) await bed.post(bed.name(topic), topic)
    assert.deepEqual(
      (await receivedNow(subscriber, 1)).map(({ topic }) => topic),
      [bed.name('t/a/x')],
    )
  }),
  server('3.3.2-4', 'the Payload Format Indicator goes to subscribers as it is', async (bed) => {
    await unaltered(bed, [PAYLOAD_FORMAT, 1])
  }),
  server('3.3.2-5', 'a message that has expired is not delivered any more', async (bed) => {
    const [away] = await bed.session('away')
    await subscribe(away, bed.name('t/#'), 1)
    await away.cut()
    await bed.post(bed.name('t/a'), 'short', { properties: [[MESSAGE_EXPIRY, 1]], retain: true })
    await bed.post(bed.name('t/b'), 'long', { properties: [[MESSAGE_EXPIRY, 1_000]] })
    await bed.seconds(2)
    const [back] = await bed.session('away')
    assert.deepEqual(
      (await receivedNow(back, 1)).map(({ payload }) => payload),
      ['long'],
    )
    assert.deepEqual(await receivedNow(await bed.subscriber(bed.name('t/a'))), [])
  }),
  server(
    '3.3.2-6',
    'the expiry that subscribers are told is less by the time that the message has waited',
    async (bed) => {
      const [away] = await bed.session('away')
      await subscribe(away, bed.name('t'), 1)
      await away.cut()
      await bed.post(bed.name('t'), 'x', { properties: [[MESSAGE_EXPIRY, 1_000]], retain: true })
      await bed.seconds(2)
      const [back] = await bed.session('away')
      for (const subscriber of [back, await bed.subscriber(bed.name('t'))]) {
        const left = (await received(subscriber)).properties.number(MESSAGE_EXPIRY) ?? 0
        assert(left < 1_000 && left > 900, `${left} seconds are left`)
      }
      await bed.post(bed.name('t'), '', { retain: true })
    },
  ),
  both('3.3.2-7', 'topic aliases end with their connection', async (bed) => {
    const first = await bed.client('v')
    await publishAcknowledged(first, bed.name('t'), 'x', { properties: [[ALIAS, 1]] })
    await first.cut()
    await bed.violations({ 'an alias of before': publish5('', 'x', { properties: [[ALIAS, 1]] }) })
  }),
  both('3.3.2-8', 'no alias is 0', async (bed) => {
    await bed.violations({ 'an alias of 0': publish5('a', 'x', { properties: [[ALIAS, 0]] }) })
    const subscriber = await bed.subscriber(bed.name('t'), 0, 's', { properties: [[ALIAS_MAXIMUM, 5]] })
    for (let count = 0; count < 2; count++) await bed.post(bed.name('t'), 'x')
    for (const each of await receivedNow(subscriber, 2)) assert.notEqual(each.properties.number(ALIAS), 0)
  }),
  client(
    '3.3.2-9',
    "no alias is greater than the server's Topic Alias Maximum; one ends the connection",
    async (bed) => {
      await bed.violations({ 'an alias of 65535': publish5('a', 'x', { properties: [[ALIAS, 65_535]] }) })
    },
  ),
  duty('3.3.2-10', 'a client takes each alias up to its Topic Alias Maximum'),
  server('3.3.2-11', "no alias is greater than the client's Topic Alias Maximum", async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/#'), 0, 's', { properties: [[ALIAS_MAXIMUM, 1]] })
    for (const topic of ['a', 'b', 'a', 'b']) await bed.post(bed.name(`t/${topic}`), 'x')
    const seen = await receivedNow(subscriber, 4)
    assert.equal(seen.length, 4)
    for (const { properties } of seen) assert.equal(properties.number(ALIAS) ?? 1, 1)
  }),
  server('3.3.2-12', "each alias up to the server's Topic Alias Maximum is taken", async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/#'))
    const [publisher, connack] = await bed.connect('p')
    const most = connack.properties.number(ALIAS_MAXIMUM) ?? 0
    const aliases = Array.from({ length: most }, (_, index) => index + 1)
    for (const alias of aliases) publisher.send(publish5(bed.name(`t/${alias}`), 'x', { properties: [[ALIAS, alias]] }))
    for (const alias of aliases) publisher.send(publish5('', 'y', { properties: [[ALIAS, alias]] }))
    await publisher.untilPong()
    const topics = aliases.map((alias) => bed.name(`t/${alias}`))
    assert.deepEqual(
      (await receivedNow(subscriber, 2 * most)).map(({ topic }) => topic),
      [...topics, ...topics],
    )
  }),
  both('3.3.2-13', 'the Response Topic is well-formed UTF-8', async (bed) => {
    await bed.violations({ 'a surrogate': publish5('a', 'x', { properties: [[RESPONSE_TOPIC, ILL_FORMED]] }) })
  }),
  client('3.3.2-14', 'a Response Topic with a wildcard is a protocol error', async (bed) => {
    for (const topic of ['a/#', 'a/+']) {
      await bed.violations({ [topic]: publish5('a', 'x', { properties: [[RESPONSE_TOPIC, topic]] }) })
    }
  }),
  server('3.3.2-15', 'the Response Topic goes to subscribers as it is', async (bed) => {
    await unaltered(bed, [RESPONSE_TOPIC, 'a/reply'])
  }),
  server('3.3.2-16', 'the Correlation Data go to subscribers as they are', async (bed) => {
    await unaltered(bed, [CORRELATION_DATA, Buffer.of(0, 0xff, 0x80, 0)])
  }),
  server('3.3.2-17', 'user properties go to subscribers as they are', async (bed) => {
    await unaltered(bed, [USER_PROPERTY, '__proto__', ''], [USER_PROPERTY, '', 'é'])
  }),
  server('3.3.2-18', 'the order of user properties is kept', async (bed) => {
    await unaltered(bed, [USER_PROPERTY, 'b', '1'], [USER_PROPERTY, 'a', '2'], [USER_PROPERTY, 'b', '0'])
  }),
  both('3.3.2-19', 'the Content Type is well-formed UTF-8', async (bed) => {
    await bed.violations({ 'a surrogate': publish5('a', 'x', { properties: [[CONTENT_TYPE, ILL_FORMED]] }) })
  }),
  server('3.3.2-20', 'the Content Type goes to subscribers as it is', async (bed) => {
    await unaltered(bed, [CONTENT_TYPE, 'text/plain; charset="é"'])
  }),
  both('3.3.4-1', 'QoS 0 gets no answer, QoS 1 a PUBACK, QoS 2 a PUBREC', async (bed) => {
    const publisher = await bed.client()
    publisher.send(publish5(bed.name('t'), 'x'))
    assert.deepEqual(await publisher.untilPong(), [])
    publisher.send(publish5(bed.name('t'), 'x', { qos: 1, id: 5 }), publish5(bed.name('t'), 'x', { qos: 2, id: 6 }))
    const types = (await publisher.some(2)).map((frame) => [frame.type, readAnswer(frame).id])
    assert.deepEqual(types.sort(), [
      [PUBACK, 5],
      [PUBREC, 6],
    ])
  }),
  server('3.3.4-2', 'overlapping subscriptions: delivered at the greatest QoS of those that match', async (bed) => {
    for (const [first, second] of [
      ['t/#', 't/+'],
      ['t/+', 't/#'],
      ['t/1', 't/+'],
    ] as const) {
      const subscriber = await bed.subscriber(bed.name(first), 0)
      await subscribe(subscriber, bed.name(second), 2)
      await bed.post(bed.name('t/1'), 'x')
      assert.equal(Math.max(...(await receivedNow(subscriber, 1)).map(({ qos }) => qos)), 1)
    }
  }),
  server('3.3.4-3', 'overlapping subscriptions: their identifiers come with the message', async (bed) => {
    assert.deepEqual((await identifiers(bed)).flat().sort(), [1, 268_435_455])
  }),
  server('3.3.4-4', 'a message that comes once has the identifiers of all its subscriptions', async (bed) => {
    const copies = await identifiers(bed)
    if (copies.length === 1) assert.equal(copies[0]?.length, 2)
  }),
  server('3.3.4-5', 'of several copies each has the identifier of its subscription', async (bed) => {
    const copies = await identifiers(bed)
    if (copies.length > 1) for (const each of copies) assert.equal(each.length, 1)
  }),
  client('3.3.4-6', "a client's PUBLISH has no subscription identifier; one ends the connection", async (bed) => {
    await bed.violations({ PUBLISH: publish5('a', 'x', { properties: [[SUBSCRIPTION_ID, 1]] }) })
  }),
  client(
    '3.3.4-7',
    "a client goes by the server's Receive Maximum; what exceeds it ends the connection",
    async (bed) => {
      const [, connack] = await bed.connect('c')
      const most = connack.properties.number(RECEIVE_MAXIMUM) ?? 65_535
      const messages = Array.from({ length: most + 1 }, (_, index) =>
        publish5(bed.name('t'), '', { qos: 2, id: index + 1 }),
      )
      const violating = await bed.client('v')
      violating.send(...messages)
      await violating.closes()
    },
  ),
  duty('3.3.4-8', 'a client delays nothing but PUBLISHes for Receive Maximum'),
  server('3.3.4-9', "no more messages are sent and not acknowledged than the client's Receive Maximum", async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2, 's', { properties: [[RECEIVE_MAXIMUM, 2]] })
    const publisher = await bed.client('p')
    for (let id = 1; id <= 5; id++) await publishAcknowledged(publisher, bed.name('t'), `${id}`, { id })
    const seen = await receivedNow(subscriber, 2)
    for (let acknowledged = 0; acknowledged < 5; acknowledged++) {
      assert.equal(seen.length, Math.min(5, acknowledged + 2))
      subscriber.send(answer5(PUBACK, seen[acknowledged]?.id ?? 0))
      seen.push(...(await receivedNow(subscriber, acknowledged < 3 ? 1 : 0)))
    }
  }),
  server('3.3.4-10', 'other packets are not delayed for Receive Maximum', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 1, 's', { properties: [[RECEIVE_MAXIMUM, 1]] })
    for (const payload of ['one', 'two']) await bed.post(bed.name('t'), payload)
    await received(subscriber)
    subscriber.send(subscribe5(3, [[bed.name('u'), 0]]), publish5(bed.name('v'), 'x', { qos: 1, id: 4 }))
    subscriber.send(packet(PINGREQ, 0))
    const types = (await subscriber.some(3)).map(({ type }) => type)
    assert.deepEqual(types.sort(), [PUBACK, SUBACK, PINGRESP].sort())
  }),
  both('3.4.2-1', 'the reason codes of a PUBACK are those for it', async (bed) => {
    for (const { code } of await answersTo(bed, 1)) assert(PUBLISH_CODES.includes(code), `reason code ${code}`)
  }),
  both('3.4.2-2', 'a PUBACK has a Reason String only if it fits', async (bed) => {
    for (const { bytes } of await answersTo(bed, 1)) fits(bytes, MOST)
  }),
  both('3.4.2-3', 'a PUBACK has user properties only if they fit', async (bed) => {
    for (const { bytes } of await answersTo(bed, 1)) fits(bytes, MOST)
  }),
  both('3.5.2-1', 'the reason codes of a PUBREC are those for it', async (bed) => {
    for (const { code } of await answersTo(bed, 2)) assert(PUBLISH_CODES.includes(code), `reason code ${code}`)
  }),
  both('3.5.2-2', 'a PUBREC has a Reason String only if it fits', async (bed) => {
    for (const { bytes } of await answersTo(bed, 2)) fits(bytes, MOST)
  }),
  both('3.5.2-3', 'a PUBREC has user properties only if they fit', async (bed) => {
    for (const { bytes } of await answersTo(bed, 2)) fits(bytes, MOST)
  }),
  both('3.6.1-1', "PUBREL's flags are 0010, or the connection is closed", async (bed) => {
    const publisher = await bed.client()
    publisher.send(publish5(bed.name('t'), 'x', { qos: 2, id: 6 }))
    await publisher.next(PUBREC)
    await bed.violations({ PUBREL: packet(PUBREL, 0, u16(6)) })
  }),
  both('3.6.2-1', 'the reason codes of a PUBREL are those for it', async (bed) => {
    for (const { code } of (await releases(bed)).pubrels) assert(RELEASE_CODES.includes(code), `reason code ${code}`)
  }),
  both('3.6.2-2', 'a PUBREL has a Reason String only if it fits', async (bed) => {
    for (const { bytes } of (await releases(bed)).pubrels) fits(bytes, 60)
  }),
  both('3.6.2-3', 'a PUBREL has user properties only if they fit', async (bed) => {
    for (const { bytes } of (await releases(bed)).pubrels) fits(bytes, 60)
  }),
  both('3.7.2-1', 'the reason codes of a PUBCOMP are those for it', async (bed) => {
    for (const { code } of (await releases(bed)).pubcomps) assert(RELEASE_CODES.includes(code), `reason code ${code}`)
  }),
  both('3.7.2-2', 'a PUBCOMP has a Reason String only if it fits', async (bed) => {
    for (const { bytes } of (await releases(bed)).pubcomps) fits(bytes, 60)
  }),
  both('3.7.2-3', 'a PUBCOMP has user properties only if they fit', async (bed) => {
    for (const { bytes } of (await releases(bed)).pubcomps) fits(bytes, 60)
  }),
]

/** The identifiers of each copy of a message that two subscriptions match. */
async function identifiers(bed: Bed5): Promise<number[][]> {
  const subscriber = await bed.subscriber(bed.name('t/#'), 0, 's', {}, [[SUBSCRIPTION_ID, 1]])
  await subscribe(subscriber, bed.name('t/+'), 0, [[SUBSCRIPTION_ID, 268_435_455]])
  await bed.post(bed.name('t/1'), 'x')
  return (await receivedNow(subscriber, 1)).map(({ properties }) => properties.values(SUBSCRIPTION_ID) as number[])
}
