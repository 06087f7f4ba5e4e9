import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Packet } from 'mqtt-packet'
import { until } from '../../until.ts'
import { type Bench, connectAs, RawClient, startBroker } from '../harness.ts'

const ROUNDS = 100

async function connectTo(t: TestContext, bench: Bench, packet: Packet): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  client.send(packet, { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/a/errors', qos: 0 }] })
  await client.next('suback')
  return client
}

test('a connection that takes over one that is ending is the one with its id: it counts, is online, and is taken over', async (t) => {
  const bench = await startBroker(t)
  const password = Buffer.from(await bench.identity.signDevice('a', 3_600_000))
  const packet: Packet = { ...connectAs('a'), cmd: 'connect', clientId: 'a', username: 'a', password }
  const connections = () => bench.metric('telltale_broker_connections')
  for (let round = 0; round < ROUNDS; round++) {
    const first = await connectTo(t, bench, packet)
    const second = await RawClient.open(t, bench.port)
    second.send(packet)
    for (let turns = round % 10; turns > 0; turns--) await turn()
    first.socket.destroy()
    assert.equal((await second.next('connack')).returnCode, 0)
    await until(async () => (await connections()) === 1 && bench.log.presence.get('a')?.online === true)
    const third = await connectTo(t, bench, packet)
    await second.untilClosed()
    third.socket.destroy()
    await until(async () => (await connections()) === 0 && !bench.log.presence.get('a')?.online)
  }
})

test('a connection that ends before its turn to take over comes is nobody', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  for (let round = 0; round < ROUNDS; round++) {
    const crowd = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(t, bench.port)))
    for (const each of crowd) each.send(connectAs('a'))
    for (let turns = round % 20; turns > 0; turns--) await turn()
    for (const each of crowd) each.socket.destroy()
  }
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0)
  const last = await connectTo(t, bench, connectAs('a'))
  assert.equal(await bench.metric('telltale_broker_connections'), 1)
  last.socket.destroy()
})
