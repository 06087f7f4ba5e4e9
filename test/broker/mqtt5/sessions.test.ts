/** How long sessions and wills of MQTT 5 last. Time is the test's; only a will waits for real time, which is short then. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { IConnectPacket, Packet } from 'mqtt-packet'
import { type Bench, connectAs, connected5, publish, RawClient, startBroker } from '../harness.ts'

async function start(t: TestContext) {
  const time = { ms: Date.UTC(2026, 10, 1) }
  const bench = await startBroker(t, { auth: 'off', clock: { now: () => time.ms } })
  return { bench, time }
}

/** Opens a session, subscribes in it if it is new, and ends the connection; whether the session was there. */
async function visit(t: TestContext, bench: Bench, clean: boolean, seconds: number, last?: number): Promise<boolean> {
  const { client, connack } = await connected5(t, bench, 'constructor', expiring(clean, seconds))
  if (!connack.sessionPresent) await subscribe(client, 'kept')
  const properties = last === undefined ? {} : { properties: { sessionExpiryInterval: last } }
  client.send({ cmd: 'disconnect', reasonCode: 0, ...properties } as Packet)
  await client.untilClosed()
  return connack.sessionPresent
}

const expiring = (clean: boolean, seconds: number): Partial<IConnectPacket> => ({
  clean,
  properties: { sessionExpiryInterval: seconds },
})

async function subscribe(client: RawClient, topic: string, more: object = {}): Promise<void> {
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: [{ topic, qos: 1, nl: false, rap: false, rh: 0, ...more }],
  })
  await client.next('suback')
}

test('a session lasts as long after its connection as the client has said', async (t) => {
  const { bench, time } = await start(t)
  // Without expiry it ends with the connection, whatever Clean Start says.
  assert.equal(await visit(t, bench, true, 0), false)
  assert.equal(await visit(t, bench, false, 0), false)
  assert.equal(await visit(t, bench, false, 10), false)
  time.ms += 9_999
  bench.broker.sweepTokens()
  assert.equal(await visit(t, bench, false, 10), true)
  time.ms += 10_000
  assert.equal(await visit(t, bench, false, 10), false)
  // Clean Start ends what was, and begins one that lasts.
  assert.equal(await visit(t, bench, true, 10), false)
  assert.equal(await visit(t, bench, false, 0), true)
  assert.equal(await visit(t, bench, false, 10), false)
  // DISCONNECT has the last word.
  assert.equal(await visit(t, bench, false, 10, 100), true)
  time.ms += 50_000
  assert.equal(await visit(t, bench, false, 10, 0), true)
  assert.equal(await visit(t, bench, false, 2 ** 32 - 1), false)
  time.ms += 1_000 * 86_400_000
  bench.broker.sweepTokens()
  assert.equal(await visit(t, bench, false, 0), true)
})

test('a connection that was taken over does not end the session that goes on', async (t) => {
  const { bench } = await start(t)
  await visit(t, bench, true, 100)
  const { client: first } = await connected5(t, bench, 'constructor', expiring(false, 0))
  const { client: second } = await connected5(t, bench, 'constructor', expiring(false, 100))
  await first.untilClosed()
  second.socket.destroy()
  assert.equal(await visit(t, bench, false, 0), true)
})

test('what has expired is sent neither from a queue nor as retained, and of the rest is said how long it lasts', async (t) => {
  const { bench, time } = await start(t)
  const { client: away } = await connected5(t, bench, 'away', expiring(true, 1_000))
  await subscribe(away, 'a')
  away.socket.destroy()
  const { client: publisher } = await connected5(t, bench, 'publisher')
  for (const [id, seconds] of [
    [1, 1],
    [2, 10],
  ] as const) {
    const message = {
      ...publish('a', id, 1, Buffer.from(`${seconds}`)),
      properties: { messageExpiryInterval: seconds },
    }
    publisher.send(message as Packet, { ...message, topic: `b/${id}`, messageId: 10 + id, retain: true } as Packet)
    for (let count = 0; count < 2; count++) await publisher.next('puback')
  }
  time.ms += 3_000
  const { client: back } = await connected5(t, bench, 'away', expiring(false, 1_000))
  const queued = await back.next('publish')
  assert.equal(`${queued.payload}`, '10')
  assert.equal(queued.properties?.messageExpiryInterval, 7)
  await subscribe(back, 'b/#')
  const retained = await back.next('publish')
  assert.equal(retained.topic, 'b/2')
  assert.equal(retained.retain, true)
  assert.equal(retained.properties?.messageExpiryInterval, 7)
  back.send({ cmd: 'pingreq' })
  await back.next('pingresp')
  assert(!back.packets.some(({ cmd }) => cmd === 'publish'))
})

test('a keep alive that is longer than allowed, and none, is the longest that is allowed', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { mqtt5: { keepaliveMaxSeconds: 1 } } })
  const kept = expiring(false, 100)
  const { client: first } = await connected5(t, bench, 'kept', { keepalive: 1, ...kept })
  first.socket.destroy()
  // It goes by what it was told, in a session that is new and in one that is restored.
  const said = [
    await connected5(t, bench, 'none', { keepalive: 0, ...kept }),
    await connected5(t, bench, 'kept', { keepalive: 60, ...kept }),
    await connected5(t, bench, 'short', { keepalive: 1 }),
  ]
  assert.deepEqual(
    said.map(({ connack }) => [connack.sessionPresent, connack.properties?.serverKeepAlive]),
    [
      [false, 1],
      [true, 1],
      [false, undefined],
    ],
  )
  const old = await RawClient.open(t, bench.port)
  old.send({ ...(connectAs('old') as IConnectPacket), keepalive: 60 })
  await old.next('connack')
  for (const { client } of said) assert.equal((await client.next('disconnect')).reasonCode, 0x8d)
  assert.equal(old.closed, false)
})

/** A client whose will is on `will`, with a session that lasts. */
function mortal(willDelayInterval: number, more: Partial<IConnectPacket> = {}): Partial<IConnectPacket> {
  const properties = { willDelayInterval, contentType: 'text/plain', userProperties: { a: ['1', '2'] } }
  return {
    ...expiring(false, 1_000),
    will: { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false, properties },
    ...more,
  }
}

test('a will waits for its client, and has its properties', async (t) => {
  const { bench } = await start(t)
  const { client: heir } = await connected5(t, bench, 'heir')
  await subscribe(heir, 'will')
  const { client: first } = await connected5(t, bench, 'mortal', mortal(1_000))
  first.socket.destroy()
  // It is back in time: nothing comes. With Clean Start its session has ended: it comes at once.
  const { client: second } = await connected5(t, bench, 'mortal', mortal(1_000))
  second.socket.destroy()
  const { client: third } = await connected5(t, bench, 'mortal', mortal(1, { clean: true }))
  const atOnce = await heir.next('publish')
  assert.equal(atOnce.properties?.contentType, 'text/plain')
  assert.deepEqual({ ...atOnce.properties?.userProperties }, { a: ['1', '2'] })
  assert.equal(heir.packets.length, 0)
  // The client may ask for it as it leaves, and it comes when its delay is over.
  third.send({ cmd: 'disconnect', reasonCode: 4 })
  await heir.next('publish')
  const { client: fourth } = await connected5(t, bench, 'mortal', mortal(0))
  fourth.send({ cmd: 'disconnect', reasonCode: 0 })
  await fourth.untilClosed()
  const { client: fifth } = await connected5(t, bench, 'mortal', mortal(0))
  fifth.socket.destroy()
  await heir.next('publish')
  heir.send({ cmd: 'pingreq' })
  await heir.next('pingresp')
  assert(!heir.packets.some(({ cmd }) => cmd === 'publish'))
})
