import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Packet } from 'mqtt-packet'
import { seededRandom } from '../../devices/simulator/signals/random.ts'
import { connectAs, publish, RawClient, startBroker } from './harness.ts'

const MESSAGES = 300
/** More than it takes, by far. */
const ROUNDS_MAX = 20 * MESSAGES

/** What a client remembers across its connections. */
class Memory {
  /** In the order in which they came first. */
  readonly seen: number[] = []
  readonly done: number[] = []
  /** Packet id -> message of QoS 2 whose PUBREL has not come. */
  readonly #begun = new Map<number, number>()

  /** Takes a packet as a client should, and gives the answer. */
  take(packet: Packet): Packet {
    const { messageId = 0 } = packet
    if (packet.cmd === 'pubrel') {
      const number = this.#begun.get(messageId)
      if (number !== undefined) this.done.push(number)
      this.#begun.delete(messageId)
      return { cmd: 'pubcomp', messageId }
    }
    assert(packet.cmd === 'publish')
    const number = Number(packet.payload.toString())
    if (this.seen.includes(number)) assert(packet.dup, `message ${number} came again without DUP`)
    else this.seen.push(number)
    assert.equal(packet.qos, 1 + (number % 2))
    if (packet.qos === 1) {
      if (!this.done.includes(number)) this.done.push(number)
      return { cmd: 'puback', messageId }
    }
    assert([undefined, number].includes(this.#begun.get(messageId)), `packet id ${messageId} is in use`)
    assert(!this.done.includes(number), `message ${number} came again after its PUBREL`)
    this.#begun.set(messageId, number)
    return { cmd: 'pubrec', messageId }
  }
}

for (const seed of [1, 2, 3]) {
  test(`a session whose connections are cut or taken over gets each message in order, QoS 2 once (seed ${seed})`, async (t) => {
    const random = seededRandom(seed, 0)
    const bench = await startBroker(t, { auth: 'off' })
    const memory = new Memory()
    const connect = async (id: string, clean: boolean) => {
      const client = await RawClient.open(t, bench.port)
      client.send(connectAs(id, clean))
      await client.next('connack')
      return client
    }
    const pong = async (client: RawClient) => {
      client.send({ cmd: 'pingreq' })
      await client.next('pingresp')
    }
    const publisher = await connect('publisher', true)
    let session = await connect('session', false)
    const subscriptions = [
      { topic: 'a/#', qos: 2 as const },
      { topic: 'a/+', qos: 1 as const },
    ]
    session.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    await session.next('suback')
    let sent = 0
    for (let rounds = 0; memory.done.length < MESSAGES; rounds++) {
      assert(rounds < ROUNDS_MAX, `${memory.seen.length} of ${sent} messages came`)
      const action = random.below(10)
      if (action < 5 && sent < MESSAGES) {
        sent++
        const qos = sent % 2 === 0 ? 1 : 2
        publisher.send(publish('a/b', sent, qos, Buffer.from(`${sent}`)))
        if (qos === 2) publisher.send({ cmd: 'pubrel', messageId: sent })
      } else if (action < 9) {
        await pong(session)
        for (const packet of session.packets.splice(0, random.below(30))) session.send(memory.take(packet))
      } else {
        if (random.below(2) === 0) session.socket.destroy()
        session = await connect('session', false)
      }
    }
    // The order of one QoS is kept, and no more is demanded (section 4.6).
    for (const rest of [0, 1]) {
      const seen = memory.seen.filter((number) => number % 2 === rest)
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => a - b),
      )
    }
    // What was acknowledged on a connection that was cut comes once more, and then nothing.
    for (let rounds = 0; rounds < 3; rounds++) {
      await pong(session)
      for (const packet of session.packets.splice(0)) session.send(memory.take(packet))
    }
    await pong(session)
    session = await connect('session', false)
    await pong(session)
    assert.deepEqual(session.packets, [])
  })
}

test('a message comes at the greatest QoS granted, whatever was granted to the filter that is written like its topic', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const open = async (id: string) => {
    const client = await RawClient.open(t, bench.port)
    client.send(connectAs(id))
    await client.next('connack')
    return client
  }
  const [publisher, subscriber] = [await open('publisher'), await open('subscriber')]
  const subscribe = async (topic: string, qos: 0 | 1 | 2) => {
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
    await subscriber.next('suback')
  }
  const received = async () => {
    publisher.send(publish('a/b', 1, 2))
    await publisher.next('pubrec')
    publisher.send({ cmd: 'pubrel', messageId: 1 })
    await publisher.next('pubcomp')
    return (await subscriber.next('publish')).qos
  }
  await subscribe('a/b', 0)
  await subscribe('a/#', 1)
  assert.equal(await received(), 1)
  subscriber.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a/#'] })
  await subscriber.next('unsuback')
  for (const qos of [0, 2, 1] as const) {
    await subscribe('a/b', qos)
    assert.equal(await received(), qos)
  }
  assert.deepEqual(subscriber.packets, [])
})
