/** What becomes of commands between the log and a device, by the packets on its connection. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { IPublishPacket, Packet } from 'mqtt-packet'
import { commandsTopic } from '../../../identity/topics.ts'
import type { CommandChange } from '../../../log/commands.ts'
import { add } from '../../log/command-contract.ts'
import { scratchDirectory } from '../../scratch.ts'
import { until } from '../../until.ts'
import { type Bench, connect5, message, RawClient, startBroker } from '../harness.ts'
import { replacing } from '../held-log.ts'

const HOUR_MS = 3_600_000
const TRUCK = 'truck-7'
const TOPIC = commandsTopic(TRUCK)

interface Options {
  readonly clean?: boolean
  readonly level?: 4 | 5
  readonly qos?: 0 | 1 | 2
  readonly filter?: string
  readonly more?: object
}

/** The truck's connection, which acknowledges nothing by itself. */
async function connected(t: TestContext, bench: Bench, options: Options = {}): Promise<RawClient> {
  const { clean = true, level = 4, more = {} } = options
  const client = await RawClient.open(t, bench.port, level)
  const password = Buffer.from(await bench.identity.signDevice(TRUCK, HOUR_MS))
  const connect = { ...connect5(TRUCK, { clean, username: TRUCK, password, ...more }), protocolVersion: level }
  client.send(connect as Packet)
  await client.next('connack')
  return client
}

async function subscribed(t: TestContext, bench: Bench, options: Options = {}): Promise<RawClient> {
  const client = await connected(t, bench, options)
  await subscribe(client, options)
  return client
}

async function subscribe(client: RawClient, { qos = 1, filter = TOPIC }: Options = {}): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos }] })
  await client.next('suback')
}

const acknowledge = (client: RawClient, { messageId }: IPublishPacket, reasonCode?: number) =>
  client.send({ cmd: 'puback', messageId, ...(reasonCode !== undefined && { reasonCode }) } as Packet)

const states = ({ log }: Bench) => log.commands.of(TRUCK).map(({ state }) => state)
const become = (bench: Bench, state: string) => until(() => states(bench).every((each) => each === state))

/** All that was sent before this, for answers come in order. */
async function textsUpTo(client: RawClient): Promise<string[]> {
  client.send({ cmd: 'pingreq' })
  await client.next('pingresp')
  return client.packets
    .filter(({ cmd }) => cmd === 'publish')
    .map((packet) => String((packet as IPublishPacket).payload))
}

/** Fails if another comes before one that is added now. */
async function getsNoMore(bench: Bench, client: RawClient): Promise<void> {
  await add(bench.log.commands, TRUCK, '"next"')
  const next = await client.next('publish')
  assert.equal(String(next.payload), '"next"')
  if (next.qos > 0) acknowledge(client, next)
}

async function gone(bench: Bench, client: RawClient): Promise<void> {
  client.socket.destroy()
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0)
}

for (const level of [4, 5] as const) {
  test(`a device that subscribes gets its command alone at QoS 1, and once it has acknowledged not again [level ${level}]`, async (t) => {
    const bench = await startBroker(t)
    t.after(bench.stop)
    const first = await subscribed(t, bench, { level })
    await add(bench.log.commands, TRUCK, '{"lamp":"ä"}')
    const sent = await first.next('publish')
    assert.deepEqual(
      [sent.topic, sent.qos, sent.retain, sent.dup, String(sent.payload)],
      [TOPIC, 1, false, false, '{"lamp":"ä"}'],
    )
    assert.deepEqual(states(bench), ['sent'])
    acknowledge(first, sent)
    await become(bench, 'acknowledged')
    await gone(bench, first)
    await getsNoMore(bench, await subscribed(t, bench, { level }))
  })

  test(`what it did not acknowledge comes when it is back [level ${level}, clean]`, async (t) => {
    const bench = await startBroker(t)
    t.after(bench.stop)
    for (const text of ['1', '2']) await add(bench.log.commands, TRUCK, text)
    const first = await subscribed(t, bench, { level })
    acknowledge(first, await first.next('publish'))
    await first.next('publish')
    await until(() => states(bench)[0] === 'acknowledged')
    await gone(bench, first)
    const second = await subscribed(t, bench, { level })
    const again = await second.next('publish')
    assert.equal(String(again.payload), '2')
    acknowledge(second, again)
    await become(bench, 'acknowledged')
    assert.equal(bench.log.commands.of(TRUCK)[1]?.sends, 2)
  })
}

const KEPT: Options[] = [
  { level: 4, clean: false },
  { level: 5, clean: false, more: { properties: { sessionExpiryInterval: 3_600 } } },
]
for (const options of KEPT) {
  test(`of a session that is kept it comes once more, as the same packet, and no second time [level ${options.level}]`, async (t) => {
    const bench = await startBroker(t)
    t.after(bench.stop)
    await add(bench.log.commands, TRUCK, '1')
    const first = await subscribed(t, bench, options)
    const sent = await first.next('publish')
    await gone(bench, first)
    await add(bench.log.commands, TRUCK, '2')
    const second = await connected(t, bench, options)
    const again = await second.next('publish')
    assert.deepEqual([again.messageId, again.dup, String(again.payload)], [sent.messageId, true, '1'])
    const next = await second.next('publish')
    assert.deepEqual([next.dup, String(next.payload)], [false, '2'])
    await subscribe(second, options)
    await getsNoMore(bench, second)
    acknowledge(second, again)
    acknowledge(second, next)
    await become(bench, 'acknowledged')
    await gone(bench, second)
    await getsNoMore(bench, await connected(t, bench, options))
  })

  test(`what is over while the device is away is not sent again, though its session is kept [level ${options.level}]`, async (t) => {
    const bench = await startBroker(t)
    t.after(bench.stop)
    const { id } = await add(bench.log.commands, TRUCK, '1')
    const first = await subscribed(t, bench, options)
    await first.next('publish')
    await gone(bench, first)
    await bench.log.commands.change(TRUCK, [{ id, state: 'cancelled' }])
    // The broker is told in order.
    await add(bench.log.commands, 'other', '1')
    const other = await bench.device('other')
    const came = message(other)
    await other.subscribeAsync(commandsTopic('other'), { qos: 1 })
    await came
    await getsNoMore(bench, await connected(t, bench, options))
    assert.equal(states(bench)[0], 'cancelled')
  })

  test(`a session that is given up owes nothing: what it did not acknowledge comes anew [level ${options.level}]`, async (t) => {
    const bench = await startBroker(t)
    t.after(bench.stop)
    await add(bench.log.commands, TRUCK, '1')
    const first = await subscribed(t, bench, options)
    await first.next('publish')
    await gone(bench, first)
    const second = await subscribed(t, bench, { level: options.level ?? 4 })
    const anew = await second.next('publish')
    assert.equal(anew.dup, false)
    acknowledge(second, anew)
    await become(bench, 'acknowledged')
  })
}

test('a device that subscribes late gets what waits, by whatever filter, in the order it was asked for', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  t.after(bench.stop)
  for (const text of ['1', '2', '3']) await add(bench.log.commands, TRUCK, text)
  const client = await connected(t, bench)
  assert.deepEqual(await textsUpTo(client), [])
  await subscribe(client, { filter: 'devices/+/commands' })
  for (const text of ['1', '2', '3']) assert.equal(String((await client.next('publish')).payload), text)
})

test('at QoS 0 it is sent once, without an acknowledgement, and is over', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  await add(bench.log.commands, TRUCK, '1')
  const first = await subscribed(t, bench, { qos: 0 })
  assert.equal((await first.next('publish')).qos, 0)
  assert.deepEqual(states(bench), ['sent'])
  assert.equal(bench.log.commands.counts().open, 0)
  await gone(bench, first)
  await getsNoMore(bench, await subscribed(t, bench, { qos: 0 }))
})

test('a connection that takes over gets what the one before did not acknowledge', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  await add(bench.log.commands, TRUCK, '1')
  const before = await subscribed(t, bench)
  await before.next('publish')
  const after = await subscribed(t, bench)
  await before.untilClosed()
  const again = await after.next('publish')
  acknowledge(after, again)
  await become(bench, 'acknowledged')
})

test('a device that acknowledges nothing has 16 under way, and the others when it does', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  for (let count = 0; count < 20; count++) await add(bench.log.commands, TRUCK, String(count))
  const client = await subscribed(t, bench)
  const got: IPublishPacket[] = []
  for (let count = 0; count < 16; count++) got.push(await client.next('publish'))
  assert.deepEqual(await textsUpTo(client), [])
  assert.equal(states(bench).filter((state) => state === 'waiting').length, 4)
  for (const each of got) acknowledge(client, each)
  for (let count = 16; count < 20; count++) {
    const next = await client.next('publish')
    assert.equal(String(next.payload), String(count))
    acknowledge(client, next)
  }
  await become(bench, 'acknowledged')
})

test('nobody else gets it: neither another device nor an app with a filter for everything', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  const app = await bench.app(['#'])
  const other = await bench.device('truck-8')
  const told: string[] = []
  for (const client of [app, other]) client.on('message', (topic) => told.push(topic))
  await app.subscribeAsync('#')
  await other.subscribeAsync(commandsTopic('truck-8'), { qos: 1 })
  const truck = await subscribed(t, bench)
  await add(bench.log.commands, TRUCK)
  acknowledge(truck, await truck.next('publish'))
  await become(bench, 'acknowledged')
  await add(bench.log.commands, 'truck-8')
  await until(() => told.includes(commandsTopic('truck-8')))
  assert.deepEqual(
    told.filter((topic) => topic.endsWith('/commands')),
    [commandsTopic('truck-8')],
  )
})

test('what nobody came for expires by itself', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  await add(bench.log.commands, TRUCK, '1', 50)
  await become(bench, 'expired')
  await add(bench.log.commands, TRUCK, '2')
  const client = await subscribed(t, bench)
  assert.equal(String((await client.next('publish')).payload), '2')
})

test('by MQTT 5 it says when it expires and which it is, and what the device says of it is known', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  const client = await subscribed(t, bench, { level: 5 })
  const { id } = await add(bench.log.commands, TRUCK, '1', 600_000)
  const sent = await client.next('publish')
  const { messageExpiryInterval = 0, contentType, userProperties } = sent.properties ?? {}
  assert(messageExpiryInterval > 590 && messageExpiryInterval <= 600, String(messageExpiryInterval))
  assert.deepEqual([contentType, { ...userProperties }], ['application/json', { command: id }])
  acknowledge(client, sent, 0x87)
  await become(bench, 'refused')
  assert.equal(bench.log.commands.of(TRUCK)[0]?.reason, '0x87')
})

test('by MQTT 5 one that is too large for the device is refused', async (t) => {
  const bench = await startBroker(t)
  t.after(bench.stop)
  const client = await subscribed(t, bench, { level: 5, more: { properties: { maximumPacketSize: 200 } } })
  await add(bench.log.commands, TRUCK, `"${'x'.repeat(300)}"`)
  await become(bench, 'refused')
  assert.equal(bench.log.commands.of(TRUCK)[0]?.reason, 'packet-too-large')
  assert.deepEqual(await textsUpTo(client), [])
})

test('a broker that starts again sends what was not acknowledged, and nothing that was', async (t) => {
  const directory = scratchDirectory(t)
  const bench = await startBroker(t, { directory })
  for (const text of ['1', '2']) await add(bench.log.commands, TRUCK, text)
  const first = await subscribed(t, bench, { clean: false })
  acknowledge(first, await first.next('publish'))
  await until(() => states(bench)[0] === 'acknowledged')
  await bench.stop()
  const again = await startBroker(t, { directory })
  t.after(again.stop)
  const second = await subscribed(t, again, { clean: false })
  const sent = await second.next('publish')
  assert.deepEqual([String(sent.payload), sent.dup], ['2', false])
  acknowledge(second, sent)
  await become(again, 'acknowledged')
})

test('what was acknowledged does not come again to who is back before that is on disk', async (t) => {
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  t.after(() => release())
  const isHeld = (changes: readonly CommandChange[]) => changes.some(({ state }) => state === 'acknowledged')
  const through = replacing('commands', ({ commands }) => {
    return new Proxy(commands, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (name !== 'change') return value.bind(target)
        return async (device: string, changes: readonly CommandChange[]) => {
          if (isHeld(changes)) await held
          return target.change(device, changes)
        }
      },
    })
  })
  const bench = await startBroker(t, { through })
  t.after(bench.stop)
  await add(bench.log.commands, TRUCK, '1')
  const first = await subscribed(t, bench)
  acknowledge(first, await first.next('publish'))
  await textsUpTo(first)
  await gone(bench, first)
  const second = await subscribed(t, bench)
  await getsNoMore(bench, second)
  assert.deepEqual(states(bench), ['sent', 'sent'])
  release()
  await become(bench, 'acknowledged')
})
