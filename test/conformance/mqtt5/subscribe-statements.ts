/** Owns the statements about SUBSCRIBE, UNSUBSCRIBE, filters, shared ones too: sections 3.8 to 3.11, 4.7 and 4.8 of MQTT 5.0. */

import assert from 'node:assert/strict'
import { until } from '../../until.ts'
import type { Statement } from '../statement.ts'
import {
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
  type WireClient,
} from '../wire.ts'
import {
  type Bed5,
  both,
  client,
  FAILURE_MIN,
  fits,
  KEPT,
  received,
  receivedNow,
  server,
  subscribe,
  subscribeAll,
  unsubscribe,
} from './bed5.ts'
import {
  answer5,
  type ConnectFields5,
  MAXIMUM_PACKET_SIZE,
  NO_LOCAL,
  type Publish5,
  properties,
  publish5,
  RETAINED_NEVER,
  readAnswer,
  readCodes,
  readPublish5,
  subscribe5,
  unsubscribe5,
} from './wire5.ts'

const SURROGATE = Buffer.from([0x61, 0xed, 0xa0, 0x80])
/** Tables 3-8 and 3-9. */
const SUBSCRIBE_CODES = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]
const UNSUBSCRIBE_CODES = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]
/** A CONNACK fits, and an answer for two filters that has no words. */
const MOST = 20

/** Answers to SUBSCRIBE and UNSUBSCRIBE, of filters that are taken and of others, for a client of few bytes. */
async function answers(bed: Bed5) {
  const asking = await bed.client('c', { properties: [[MAXIMUM_PACKET_SIZE, MOST]] })
  asking.send(
    subscribe5(5, [
      [bed.name('t'), 2],
      ['$share/x', 0],
    ]),
  )
  const suback = readCodes(await asking.next(SUBACK))
  asking.send(unsubscribe5(6, bed.name('none'), '$share/x'))
  return { suback, unsuback: readCodes(await asking.next(UNSUBACK)) }
}

export const subscribeStatements: readonly Statement[] = [
  both('3.8.1-1', "SUBSCRIBE's flags are 0010, or the connection is closed", async (bed) => {
    const body = [u16(1), properties(), text('a'), Buffer.of(0)]
    await bed.violations({ 'flags 0': packet(SUBSCRIBE, 0, ...body), 'flags 3': packet(SUBSCRIBE, 3, ...body) })
  }),
  both('3.8.3-1', 'the filters of a SUBSCRIBE are well-formed UTF-8', async (bed) => {
    await bed.violations({ 'a surrogate': subscribe5(1, [[SURROGATE, 0]]) })
  }),
  both('3.8.3-2', 'a SUBSCRIBE without a filter is a protocol error', async (bed) => {
    await bed.violations({ 'no filter': packet(SUBSCRIBE, 2, u16(1), properties()) })
  }),
  server('3.8.3-3', 'with No Local nothing comes back to whom it came from', async (bed) => {
    const talking = await bed.subscriber(bed.name('t'), NO_LOCAL)
    const listening = await bed.subscriber(bed.name('t'), NO_LOCAL, 'other')
    talking.send(publish5(bed.name('t'), 'mine'))
    assert.equal((await received(listening)).payload, 'mine')
    assert.deepEqual(await receivedNow(talking), [])
    await bed.post(bed.name('t'), 'of another')
    assert.equal((await received(talking)).payload, 'of another')
  }),
  client('3.8.3-4', 'No Local on a shared subscription is a protocol error', async (bed) => {
    await bed.violations({ 'No Local': subscribe5(1, [['$share/group/a', NO_LOCAL]]) })
  }),
  server('3.8.3-5', 'reserved bits of the options, QoS 3 and Retain Handling 3 end the connection', async (bed) => {
    for (const options of [0x40, 0x80, 0x03, 0x30]) await bed.violations({ [options]: subscribe5(1, [['a', options]]) })
  }),
  server('3.8.4-1', 'a SUBSCRIBE is answered by a SUBACK', async (bed) => {
    assert.equal(await subscribe(await bed.client(), bed.name('t'), 1), 1)
  }),
  server('3.8.4-2', 'the SUBACK has the id of the SUBSCRIBE', async (bed) => {
    const asking = await bed.client()
    asking.send(subscribe5(0x4321, [[bed.name('t'), 0]]))
    assert.equal(readCodes(await asking.next(SUBACK)).id, 0x4321)
  }),
  server('3.8.4-3', 'an identical filter replaces the subscription', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 0)
    await subscribe(subscriber, bed.name('t'), 1)
    await bed.post(bed.name('t'), 'x')
    assert.deepEqual(
      (await receivedNow(subscriber, 1)).map(({ qos }) => qos),
      [1],
    )
  }),
  server(
    '3.8.4-4',
    'no message is lost while a subscription is replaced, and retained ones are sent again',
    async (bed) => {
      await bed.post(bed.name('t/kept'), 'kept', { retain: true })
      const subscriber = await bed.subscriber(bed.name('t/#'), 1)
      await received(subscriber)
      const publisher = await bed.client('p')
      for (let id = 1; id <= 20; id++) {
        publisher.send(publish5(bed.name('t/new'), `${id}`, { qos: 1, id }))
        subscriber.send(subscribe5(id, [[bed.name('t/#'), RETAINED_NEVER]]))
      }
      subscriber.send(subscribe5(21, [[bed.name('t/#'), 0]]))
      await publisher.untilPong()
      const seen: string[] = []
      while (seen.length < 21) seen.push(readPublish5(await subscriber.later(PUBLISH)).payload)
      assert.deepEqual(seen.sort(), ['kept', ...Array.from({ length: 20 }, (_, index) => `${index + 1}`)].sort())
      await bed.post(bed.name('t/kept'), '', { retain: true })
    },
  ),
  server('3.8.4-5', 'several filters in one SUBSCRIBE count as several SUBSCRIBEs', async (bed) => {
    const subscriber = await bed.client()
    const asked = [0, 1, 2].map((qos) => [bed.name(`t${qos}`), qos] as const)
    assert.deepEqual(await subscribeAll(subscriber, asked), [0, 1, 2])
    for (const [topic] of asked) await bed.post(topic, 'x', { qos: 2 })
    assert.deepEqual(
      (await receivedNow(subscriber, 3)).map(({ qos }) => qos),
      [0, 1, 2],
    )
  }),
  server('3.8.4-6', 'a SUBACK has one reason code a filter, also where a filter is named twice', async (bed) => {
    const asked = [0, 1, 2].map((qos) => [bed.name(qos === 1 ? 'u' : 't'), qos] as const)
    assert.equal((await subscribeAll(await bed.client(), asked)).length, 3)
  }),
  server('3.8.4-7', 'the reason code tells the QoS that was granted, or that nothing was', async (bed) => {
    const subscriber = await bed.client()
    for (const qos of [0, 1, 2]) {
      const code = await subscribe(subscriber, bed.name(`t${qos}`), qos)
      assert(code <= qos || code >= FAILURE_MIN, `reason code ${code}`)
      await bed.post(bed.name(`t${qos}`), 'x', { qos: 2 })
      assert.deepEqual(
        (await receivedNow(subscriber, code <= 2 ? 1 : 0)).map((each) => each.qos),
        code <= 2 ? [code] : [],
      )
    }
  }),
  server('3.8.4-8', "messages come at the lesser of their own and the subscription's QoS", async (bed) => {
    for (const granted of [0, 1, 2]) {
      const subscriber = await bed.subscriber(bed.name('t'), granted)
      for (const qos of [0, 1, 2]) {
        await bed.post(bed.name('t'), 'x', { qos })
        assert.equal((await received(subscriber)).qos, Math.min(qos, granted))
      }
    }
  }),
  server('3.9.2-1', 'a SUBACK has a Reason String only if it fits', async (bed) => {
    fits((await answers(bed)).suback.bytes, MOST)
  }),
  server('3.9.2-2', 'a SUBACK has user properties only if they fit', async (bed) => {
    fits((await answers(bed)).suback.bytes, MOST)
  }),
  server('3.9.3-1', "the reason codes are in the order of the SUBSCRIBE's filters", async (bed) => {
    const asked = [2, 0, 1].map((qos) => [bed.name(`t${qos}`), qos] as const)
    assert.deepEqual(await subscribeAll(await bed.client(), asked), [2, 0, 1])
  }),
  server('3.9.3-2', 'the reason codes of a SUBACK are those for it', async (bed) => {
    for (const code of (await answers(bed)).suback.codes) assert(SUBSCRIBE_CODES.includes(code), `reason code ${code}`)
  }),
  both('3.10.1-1', "UNSUBSCRIBE's flags are 0010, or the connection is closed", async (bed) => {
    const body = [u16(1), properties(), text('a')]
    await bed.violations({ 'flags 0': packet(UNSUBSCRIBE, 0, ...body), 'flags 3': packet(UNSUBSCRIBE, 3, ...body) })
  }),
  both('3.10.3-1', 'the filters of an UNSUBSCRIBE are well-formed UTF-8', async (bed) => {
    await bed.violations({ 'a surrogate': unsubscribe5(1, SURROGATE) })
  }),
  both('3.10.3-2', 'an UNSUBSCRIBE without a filter is a protocol error', async (bed) => {
    await bed.violations({ 'no filter': packet(UNSUBSCRIBE, 2, u16(1), properties()) })
  }),
  server('3.10.4-1', 'filters are compared character by character', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/+'))
    await unsubscribe(subscriber, bed.name('t/#'), bed.name('t/a'), bed.name('T/+'))
    await bed.post(bed.name('t/a'), 'x')
    assert.equal((await received(subscriber)).payload, 'x')
    await unsubscribe(subscriber, bed.name('t/+'))
    await bed.post(bed.name('t/a'), 'y')
    assert.deepEqual(await receivedNow(subscriber), [])
  }),
  server('3.10.4-2', 'after an UNSUBSCRIBE no new messages are added', async (bed) => {
    const [first] = await bed.session('c')
    await subscribe(first, bed.name('t'), 1)
    await unsubscribe(first, bed.name('t'))
    await first.cut()
    await bed.post(bed.name('t'), 'x')
    const [again] = await bed.session('c')
    assert.deepEqual(await receivedNow(again), [])
  }),
  server('3.10.4-3', 'a delivery that has begun is completed after an UNSUBSCRIBE', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t'), 2)
    await bed.post(bed.name('t'), 'x', { qos: 2 })
    const { id } = await received(subscriber)
    await unsubscribe(subscriber, bed.name('t'))
    subscriber.send(answer5(PUBREC, id))
    await subscriber.next(PUBREL)
    subscriber.send(answer5(PUBCOMP, id))
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('3.10.4-4', 'an UNSUBSCRIBE is answered by an UNSUBACK', async (bed) => {
    assert.deepEqual(await unsubscribe(await bed.subscriber(bed.name('t')), bed.name('t')), [0])
  }),
  server('3.10.4-5', 'with its id, also when nothing was subscribed', async (bed) => {
    const asking = await bed.client()
    asking.send(unsubscribe5(0x4321, bed.name('t')))
    const { id, codes } = readCodes(await asking.next(UNSUBACK))
    assert.deepEqual([id, ...codes], [0x4321, 0x11])
  }),
  server('3.10.4-6', 'several filters in one UNSUBSCRIBE are answered by one UNSUBACK', async (bed) => {
    const subscriber = await bed.client()
    await subscribeAll(subscriber, [
      [bed.name('a'), 0],
      [bed.name('b'), 0],
    ])
    assert.deepEqual(await unsubscribe(subscriber, bed.name('a'), bed.name('b')), [0, 0])
    await bed.post(bed.name('a'), 'x')
    await bed.post(bed.name('b'), 'x')
    assert.deepEqual(await subscriber.untilPong(), [])
  }),
  server('3.11.2-1', 'an UNSUBACK has a Reason String only if it fits', async (bed) => {
    fits((await answers(bed)).unsuback.bytes, MOST)
  }),
  server('3.11.2-2', 'an UNSUBACK has user properties only if they fit', async (bed) => {
    fits((await answers(bed)).unsuback.bytes, MOST)
  }),
  server('3.11.3-1', "the reason codes are in the order of the UNSUBSCRIBE's filters", async (bed) => {
    const subscriber = await bed.client()
    await subscribeAll(subscriber, [
      [bed.name('a'), 0],
      [bed.name('c'), 0],
    ])
    const asked = ['a', 'b', 'c', 'a'].map((each) => bed.name(each))
    assert.deepEqual(await unsubscribe(subscriber, ...asked), [0, 0x11, 0, 0x11])
  }),
  server('3.11.3-2', 'the reason codes of an UNSUBACK are those for it', async (bed) => {
    for (const code of (await answers(bed)).unsuback.codes)
      assert(UNSUBSCRIBE_CODES.includes(code), `reason code ${code}`)
  }),
  both('4.7.0-1', 'wildcards may be in filters, never in topic names', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/+/#'))
    await bed.post(bed.name('t/a/b/c'), 'x')
    assert.equal((await received(subscriber)).payload, 'x')
    await bed.violations({ 'a topic': publish5(bed.name('t/+/b'), 'x') })
  }),
  both('4.7.1-1', '# stands alone in the last level', async (bed) => {
    for (const filter of ['a#', 'a/b#', '#/a', 'a/#/b']) await refusedFilter(bed, filter)
    for (const filter of ['#', bed.name('t/#')]) {
      assert.equal(await subscribe(await bed.client(), filter, RETAINED_NEVER), 0)
    }
  }),
  both('4.7.1-2', '+ takes a whole level', async (bed) => {
    for (const filter of ['a+', '+a', 'a/b+/c']) await refusedFilter(bed, filter)
    const subscriber = await bed.subscriber(bed.name('t/+/b/+'))
    for (const topic of ['t/a/b/c', 't/a/b', 't/a/b/c/d', 't//b/']) await bed.post(bed.name(topic), topic)
    assert.deepEqual(
      (await receivedNow(subscriber, 2)).map(({ payload }) => payload),
      ['t/a/b/c', 't//b/'],
    )
  }),
  server('4.7.2-1', 'a filter that begins with a wildcard matches no topic that begins with $', async (bed) => {
    const subscriber = await bed.client('s')
    await subscribeAll(subscriber, [
      ['+/$', 0],
      ['#', RETAINED_NEVER],
    ])
    const publisher = await bed.client('p')
    publisher.send(publish5(`$${bed.name('t')}/$`, 'x', { qos: 1 }))
    await publisher.closesOrSends()
    const seen = await receivedNow(subscriber)
    assert(!seen.some(({ topic }) => topic.startsWith('$')), 'a topic that begins with $ came')
  }),
  both('4.7.3-1', 'a topic or filter has at least one character', async (bed) => {
    await bed.violations({ 'a topic': publish5('', 'x') })
    await refusedFilter(bed, '')
  }),
  both('4.7.3-2', 'no topic or filter holds U+0000', async (bed) => {
    await bed.violations({ 'a topic': publish5('a\0', 'x'), 'a filter': subscribe5(1, [['a\0', 0]]) })
  }),
  both('4.7.3-3', 'topics and filters have up to 65,535 bytes', async (bed) => {
    const topic = bed.name('t').padEnd(65_535, 'x')
    const subscriber = await bed.subscriber(topic)
    await bed.post(topic, 'x')
    assert.equal((await received(subscriber)).topic, topic)
  }),
  server('4.7.3-4', 'topics are compared character by character, nothing is normalised', async (bed) => {
    const subscriber = await bed.subscriber(bed.name('t/\u00e9'))
    for (const topic of ['t/e\u0301', 't/\u00c9', 't/\u00e9/', 't//\u00e9', 't/\u00e9'])
      await bed.post(bed.name(topic), topic)
    assert.deepEqual(
      (await receivedNow(subscriber, 1)).map(({ payload }) => payload),
      ['t/\u00e9'],
    )
  }),
  both('4.8.2-1', 'a shared subscription begins with $share/ and a name of a character or more', async (bed) => {
    await refusedFilter(bed, `$share//${bed.name('t')}`)
    assert.equal(await subscribe(await bed.client(), `$share/g/${bed.name('t')}`, 1), 1)
  }),
  both('4.8.2-2', 'the name of a shared subscription has no wildcard, and a filter follows it', async (bed) => {
    for (const filter of ['$share/a+/t', '$share/#/t', '$share/g', '$share/g/']) await refusedFilter(bed, filter)
  }),
  server('4.8.2-3', "a shared subscription's messages come at the QoS of its member", async (bed) => {
    for (const qos of [0, 1]) {
      const member = await bed.subscriber(`$share/group${qos}/${bed.name('t')}`, qos, `m${qos}`)
      await bed.post(bed.name('t'), 'x', { qos: 2 })
      assert.equal((await received(member)).qos, qos)
    }
  }),
  server(
    '4.8.2-4',
    'a QoS 2 message that a member was sent is completed when it is back in its session',
    async (bed) => {
      const sent = await sentToMember(bed, 2, KEPT)
      // A broker may keep a group's members to sessions that end with their connections.
      if (sent === undefined) return
      const { member, name, id, others } = sent
      member.send(answer5(PUBREC, id))
      await member.next(PUBREL)
      await member.cut()
      const [back] = await bed.session(name)
      assert.equal(readAnswer(await back.next(PUBREL)).id, id)
      back.send(answer5(PUBCOMP, id))
      for (const other of others) assert.deepEqual(await receivedNow(other), [])
    },
  ),
  server('4.8.2-5', 'a QoS 2 message whose member ends its session goes to no other', async (bed) => {
    const { member, others } = definitely(await sentToMember(bed, 2, {}))
    await member.cut()
    for (const other of others) assert.deepEqual(await receivedNow(other), [])
  }),
  server('4.8.2-6', 'a message that a member refuses goes to no other', async (bed) => {
    const { member, id, others } = definitely(await sentToMember(bed, 1, {}))
    member.send(answer5(PUBACK, id, 0x80))
    assert.deepEqual(await receivedNow(member), [])
    for (const other of others) assert.deepEqual(await receivedNow(other), [])
  }),
]

/** The filter is answered by a reason code of 0x80 or more, or ends the connection. */
async function refusedFilter(bed: Bed5, filter: string): Promise<void> {
  const asking = await bed.client('f')
  asking.send(subscribe5(1, [[filter, 0]]))
  const [frame] = await asking.closesOrSends()
  if (frame?.type !== SUBACK) return
  const { codes } = readCodes(frame)
  assert(
    codes.every((code) => code >= FAILURE_MIN),
    `"${filter}" is taken`,
  )
}

/** A message to those who share a subscription: the member that was sent it, and the others. Undefined: they may not share it. */
async function sentToMember(bed: Bed5, qos: number, fields: ConnectFields5) {
  const names = ['a', 'b']
  const members: WireClient[] = []
  for (const name of names) {
    const member = await bed.client(name, fields)
    if ((await subscribe(member, `$share/group/${bed.name('t')}`, qos)) !== qos) return undefined
    members.push(member)
  }
  await bed.post(bed.name('t'), 'x', { qos })
  const seen: Publish5[][] = members.map(() => [])
  await until(async () => {
    for (const [index, each] of members.entries()) seen[index]?.push(...(await receivedNow(each)))
    return seen.flat().length > 0
  })
  const index = seen.findIndex((messages) => messages.length > 0)
  const [member, name, message] = [members[index], names[index], seen[index]?.[0]]
  assert(member !== undefined && name !== undefined && message !== undefined, 'no member is sent it')
  assert.equal(seen.flat().length, 1)
  return { member, name, id: message.id, others: members.filter((each) => each !== member) }
}

function definitely<Value>(value: Value | undefined): Value {
  assert(value !== undefined, 'a shared subscription is not granted')
  return value
}
