import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { scratchDirectory } from '../scratch.ts'
import { READING, startBroker } from './harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

test('MQTTS with the certificate, and MQTT over WebSocket with TLS too', async (t) => {
  const directory = scratchDirectory(t)
  const cert = join(directory, 'cert.pem')
  const key = join(directory, 'key.pem')
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    { stdio: 'ignore' },
  )
  const bench = await startBroker(t, { listeners: { tlsPort: 0, webSocketPort: 0, tls: { cert, key } } })
  const password = await bench.identity.signDevice('truck-7', 60_000)
  const device = { clientId: 'truck-7', username: 'truck-7', password, reconnectPeriod: 0 }
  for (const { scheme, port } of bench.broker.addresses) {
    const url = `${scheme}://localhost:${port}`
    const ca = scheme === 'mqtt' ? {} : { ca: [execFileSync('cat', [cert])] }
    const client = await connectAsync(url, { ...device, ...ca })
    await client.publishAsync(TOPIC, READING, { qos: 1 })
    await client.endAsync()
    if (scheme === 'mqtts') await assert.rejects(connectAsync(url, device))
  }
  assert.deepEqual(
    bench.broker.addresses.map(({ scheme }) => scheme),
    ['mqtt', 'mqtts', 'wss'],
  )
  assert.equal((await bench.entries()).length, 3)
})

test('MQTT over WebSocket; a plain request and another subprotocol are refused', async (t) => {
  const bench = await startBroker(t, { listeners: { webSocketPort: 0 } })
  const address = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const password = await bench.identity.signDevice('truck-7', 60_000)
  const client = await connectAsync(`ws://127.0.0.1:${address.port}`, {
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

test('a port that is taken is an error that names it, and nothing stays open', async (t) => {
  const bench = await startBroker(t)
  await assert.rejects(startBroker(t, { listeners: { port: bench.port } }), {
    code: 'cannot-listen',
    message: new RegExp(`127\\.0\\.0\\.1:${bench.port}`),
  })
})
