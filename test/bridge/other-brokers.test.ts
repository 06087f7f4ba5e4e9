/** A bridge to other brokers than Mosquitto: another Telltale, and Aedes as it is, which speaks MQTT 3.1.1 only. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { Aedes } from 'aedes'
import { startBroker } from '../broker/harness.ts'
import { until } from '../until.ts'
import { client, READING, startBridge, TOPICS } from './harness.ts'

const MESSAGES = 500
const TELEMETRY = 'devices/truck-7/telemetry/environment'
const numbers = Array.from({ length: MESSAGES }, (_, at) => String(at))

for (const protocolVersion of [4, 5] as const) {
  test(`from one Telltale to another, also what came while the bridge was away (MQTT ${protocolVersion})`, async (t) => {
    const other = await startBroker(t, { auth: 'off' })
    const options = { protocolVersion } as const
    const first = await startBridge(t, other.port, options)
    await until(async () => (await first.metric('connected')) === 1)
    const device = await other.device('truck-7')
    await device.publishAsync(TELEMETRY, READING, { qos: 1 })
    await until(async () => (await first.metric('acknowledged_total')) === 1)
    await first.stop()
    for (const number of numbers.slice(0, 50)) await device.publishAsync(TELEMETRY, number, { qos: 1 })
    const second = await startBridge(t, other.port, { ...options, log: first.log })
    await until(async () => (await second.metric('acknowledged_total')) === 50)
    const payloads = (await second.entries()).map(({ payload }) => payload.toString())
    assert.deepEqual(payloads, [READING.toString(), ...numbers.slice(0, 50)])
  })
}

test('a Telltale queues nothing for the token of an app: the bridge is told that it may not subscribe', async (t) => {
  const other = await startBroker(t)
  const password = await other.identity.signApp(TOPICS, 3_600_000)
  const { bridge } = await startBridge(t, other.port, { clientId: 'app', username: 'app', password })
  await until(() => /they refuse the subscription to devices/.test(bridge.away ?? ''))
})

test('Aedes as it is: all is taken, in the order in which it came', async (t) => {
  const aedes = await Aedes.createBroker()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    aedes.handle(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const refused = await startBridge(t, port, { protocolVersion: 5 })
  await until(() => /is away/.test(refused.bridge.away ?? '') && !/not reached/.test(refused.bridge.away ?? ''))
  await refused.stop()
  const bench = await startBridge(t, port, { protocolVersion: 4, log: refused.log })
  await until(async () => (await bench.metric('connected')) === 1)
  const publisher = await client(t, port)
  await Promise.all(numbers.map((number) => publisher.publishAsync(TELEMETRY, number, { qos: 1 })))
  await until(async () => (await bench.metric('acknowledged_total')) === MESSAGES)
  assert.deepEqual(
    (await bench.entries()).map(({ payload }) => payload.toString()),
    numbers,
  )
})
