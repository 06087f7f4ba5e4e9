import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { connectAsync } from 'mqtt'
import mqttPacket from 'mqtt-packet'
import { WebSocket } from 'ws'
import { STOP_DEADLINE_MS } from '../../../platform/limits.ts'
import { selfSigned } from '../../servers/certificate.ts'
import { until } from '../../until.ts'
import { connectAs, publish, READING, startBroker } from '../harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

test('MQTTS with the certificate, and MQTT over WebSocket with TLS too', async (t) => {
  const { cert, key } = selfSigned(t)
  const bench = await startBroker(t, { listeners: { tlsPort: 0, webSocketPort: 0, tls: { cert, key } } })
  const password = await bench.identity.signDevice('truck-7', 60_000)
  const device = { clientId: 'truck-7', username: 'truck-7', password, reconnectPeriod: 0 }
  for (const { scheme, port } of bench.broker.addresses) {
    const address = { protocol: scheme, host: 'localhost', port, path: '/' } as const
    const ca = scheme === 'mqtt' ? {} : { ca: [readFileSync(cert)] }
    const client = await connectAsync({ ...address, ...device, ...ca })
    await client.publishAsync(TOPIC, READING, { qos: 1 })
    await client.endAsync()
    if (scheme === 'mqtts') await assert.rejects(connectAsync({ ...address, ...device }))
  }
  assert.deepEqual(
    bench.broker.addresses.map(({ scheme }) => scheme),
    ['mqtt', 'mqtts', 'wss'],
  )
  assert.equal((await bench.entries()).length, 3)
})

test('what is sent right behind a CONNECT is taken over TLS, too, though its client ends its side at once', async (t) => {
  const { cert, key } = selfSigned(t)
  const bench = await startBroker(t, { auth: 'off', listeners: { tlsPort: 0, tls: { cert, key } } })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'mqtts') ?? assert.fail()
  const socket = connectTls({ port, host: '127.0.0.1', ca: readFileSync(cert), servername: 'localhost' })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  socket.resume()
  const messages = Array.from({ length: 20 }, () => mqttPacket.generate(publish(TOPIC, 0, 0)))
  socket.end(Buffer.concat([mqttPacket.generate(connectAs('truck-7')), ...messages]))
  await once(socket, 'close')
  await until(async () => (await bench.entries()).length >= messages.length)
})

test('MQTT over WebSocket; a plain request and another subprotocol are refused', async (t) => {
  const bench = await startBroker(t, { listeners: { webSocketPort: 0 } })
  const address = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const password = await bench.identity.signDevice('truck-7', 60_000)
  const client = await connectAsync({
    protocol: 'ws',
    host: '127.0.0.1',
    port: address.port,
    path: '/',
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    reconnectPeriod: 0,
  })
  await client.publishAsync(TOPIC, READING, { qos: 2 })
  await client.endAsync()
  assert.equal((await bench.entries()).length, 1)
  assert.equal((await fetch(`http://127.0.0.1:${address.port}/`)).status, 426)
})

test('with authentication off, a page from elsewhere gets no MQTT over WebSocket', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0, refuseForeign: true } })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const open = async (headers: Record<string, string>) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, 'mqtt', { headers })
    t.after(() => socket.terminate())
    socket.on('error', () => undefined)
    return Promise.race([
      once(socket, 'open').then(() => 101),
      once(socket, 'unexpected-response').then(([, { statusCode }]) => statusCode),
    ])
  }
  assert.equal(await open({}), 101)
  assert.equal(await open({ origin: 'http://localhost:5173' }), 101)
  assert.equal(await open({ origin: 'https://evil.example' }), 403)
  assert.equal(await open({ host: 'evil.example' }), 403)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="foreign-page"}'), 2)
})

test('a port that is taken is an error that names it, and nothing stays open', async (t) => {
  const bench = await startBroker(t)
  await assert.rejects(startBroker(t, { listeners: { port: bench.port } }), {
    code: 'cannot-listen',
    message: new RegExp(`127\\.0\\.0\\.1:${bench.port}`),
  })
})

test('a TLS handshake that is not finished in time is cut off, and others connect meanwhile', async (t) => {
  const tls = selfSigned(t)
  const bench = await startBroker(t, { listeners: { tlsPort: 0, webSocketPort: 0, tls } })
  const closed: Promise<unknown>[] = []
  for (const { scheme, port } of bench.broker.addresses) {
    if (scheme === 'mqtt') continue
    const [silent, halfway] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
    halfway.write(HALF_A_CLIENT_HELLO)
    for (const socket of [silent, halfway]) closed.push(once(socket.resume(), 'close'))
  }
  assert.equal(closed.length, 4)
  const password = await bench.identity.signDevice('truck-7', 60_000)
  const options = {
    clientId: 'truck-7',
    username: 'truck-7',
    password,
    reconnectPeriod: 0,
    ca: [readFileSync(tls.cert)],
  }
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'mqtts') ?? assert.fail()
  const device = await connectAsync({ protocol: 'mqtts', host: 'localhost', port, ...options })
  await device.publishAsync(TOPIC, READING, { qos: 1 })
  await device.endAsync()
  await Promise.all(closed)
})

test('a stop waits for no handshake and no upgrade', async (t) => {
  for (const tls of [undefined, selfSigned(t)]) {
    const tlsPort = tls === undefined ? undefined : 0
    const bench = await startBroker(t, { auth: 'off', listeners: { tlsPort, webSocketPort: 0, tls } })
    for (const { port } of bench.broker.addresses) {
      for (const beginning of ['', HALF_A_CLIENT_HELLO, 'GET / HTTP/1.1\r\nHost: x\r\n']) {
        const socket = connect(port, '127.0.0.1').resume()
        socket.on('error', () => undefined)
        await once(socket, 'connect')
        socket.write(beginning)
      }
    }
    const began = performance.now()
    await bench.broker.stop()
    assert(performance.now() - began < STOP_DEADLINE_MS / 2)
  }
})

/** A handshake record of 512 bytes (RFC 8446 section 5.1) of which the first come. */
const HALF_A_CLIENT_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])
