import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { Packet } from 'mqtt-packet'
import { until } from '../../until.ts'
import { connectAs, RawClient, startBroker } from '../harness.ts'

const HOUR_MS = 3_600_000

test('what becomes of a device is in the journal: let in, dropped, taken over, silent, gone, and refused by each reason', async (t) => {
  const bench = await startBroker(t)
  const { log, identity, port } = bench
  const eventsOf = (device: string) =>
    (log.journal.of(device)?.events ?? []).map(({ kind, code, count }) => `${kind} ${code} ${count}`)
  const textOf = (device: string) => log.journal.of(device)?.events.at(-1)?.text ?? ''
  const lastIs = (device: string, last: string) => until(() => eventsOf(device).at(-1) === last)

  const first = await bench.device('truck-7')
  await lastIs('truck-7', 'connected connected 1')
  assert.equal(textOf('truck-7'), 'MQTT 3.1.1 over TCP')
  assert.equal(log.journal.of('truck-7')?.events[0]?.from, '127.0.0.1')
  for (const topic of ['devices/truck-8/telemetry/environment', 'tele/x'])
    await first.publishAsync(topic, 'x', { qos: 1 })
  await lastIs('truck-7', 'dropped publish-forbidden 2')
  assert.match(textOf('truck-7'), /no map takes topic "tele\/x"/)
  assert.deepEqual(eventsOf('truck-8'), ['refused sent-by-another 1'])
  assert.match(textOf('truck-8'), /the device truck-7 published on its topic/)

  const second = await bench.device('truck-7', { protocolVersion: 5 })
  await lastIs('truck-7', 'connected connected 1')
  assert.equal(textOf('truck-7'), 'MQTT 5 over TCP')
  assert.deepEqual(eventsOf('truck-7').slice(-2), ['disconnected taken-over 1', 'connected connected 1'])
  await second.endAsync()
  await lastIs('truck-7', 'disconnected left 1')
  const third = await bench.device('truck-7', { keepalive: 1, reschedulePings: false })
  third.stream.destroy()
  await lastIs('truck-7', 'disconnected lost 1')

  const password = await identity.signDevice('truck-9', HOUR_MS)
  const expired = await identity.signDevice('truck-9', -HOUR_MS)
  const shown = { clientId: 'truck-9', username: 'truck-9', password }
  const ofOther = await identity.signDevice('truck-12', HOUR_MS)
  const refused = [
    ['wrong-client-id', { ...shown, clientId: 'gateway' }],
    ['wrong-client-id', { ...shown, clientId: 'mqttjs_a1b2c3' }],
    ['expired-token', { ...shown, password: expired }],
    ['expired-token', { ...shown, username: 'truck 9', password: expired }],
    ['bad-token', { ...shown, password: 'secret' }],
    ['bad-token', { ...shown, username: 'some body', password: 'secret' }],
    ['bad-token', { ...shown, username: 'truck-10' }],
    ['bad-token', { ...shown, username: 'truck-11', clientId: 'truck-11', password: ofOther }],
    [
      'wrong-will',
      { ...shown, will: { topic: 'devices/truck-8/status', payload: Buffer.from('x'), qos: 0, retain: false } },
    ],
  ] as const
  for (const [, options] of refused) {
    await assert.rejects(connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0, protocolVersion: 4, ...options }))
  }
  await lastIs('truck-9', 'refused wrong-will 1')
  const expected = ['wrong-client-id 2', 'expired-token 2', 'bad-token 3', 'wrong-will 1'].map(
    (event) => `refused ${event}`,
  )
  assert.deepEqual(eventsOf('truck-9'), expected)
  assert.deepEqual(eventsOf('truck-10'), ['refused bad-token 1'])
  assert.deepEqual(eventsOf('truck-11'), ['refused bad-token 1'])
  assert.deepEqual(eventsOf('truck-12'), ['refused used-by-another 1'])
  assert.deepEqual(eventsOf('gateway'), ['refused wrong-client-id 1'], 'it may be what is printed on the device')
  assert.equal(log.journal.of('mqttjs_a1b2c3'), undefined, 'a library made it up')
  assert.equal(log.journal.of('app'), undefined)

  await bench.device('truck-9')
  await bench.stop()
})

test('a device that is silent while it is connected is told from one that has gone', async (t) => {
  const bench = await startBroker(t)
  const { log } = bench
  const lastOf = (device: string) => log.journal.of(device)?.events.at(-1)
  const quiet = await RawClient.open(t, bench.port)
  const password = Buffer.from(await bench.identity.signDevice('quiet', HOUR_MS))
  quiet.send({ ...connectAs('quiet'), keepalive: 1, username: 'quiet', password } as Packet)
  await until(() => lastOf('quiet')?.kind === 'disconnected')
  assert.equal(lastOf('quiet')?.code, 'keep-alive')
})

test('that a connection is read from more slowly is noted each minute, while it is', async (t) => {
  let now = Date.now()
  const bench = await startBroker(t, {
    clock: { now: () => now },
    listeners: { deviceRate: { messagesPerSecond: 1 } },
  })
  const device = await bench.device('truck-7')
  const send = () => {
    // What waits is taken when the clock has gone on.
    for (let sent = 0; sent < 3; sent++)
      void device.publishAsync('devices/truck-7/telemetry/environment', 'x', { qos: 1 }).catch(() => undefined)
  }
  const noted = () => bench.log.journal.of('truck-7')?.events.findLast(({ kind }) => kind === 'slowed')?.count
  send()
  await until(() => noted() === 1)
  now += 30_000
  send()
  const heldBack = 'telltale_broker_held_back_total'
  await until(async () => ((await bench.metric(heldBack)) ?? 0) >= 4)
  assert.equal(noted(), 1)
  now += 31_000
  send()
  await until(() => noted() === 2)
})
