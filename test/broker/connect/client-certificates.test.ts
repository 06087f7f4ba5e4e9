import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { connectAsync, ErrorWithReasonCode, type IClientOptions } from 'mqtt'
import mqttPacket, { type IDisconnectPacket } from 'mqtt-packet'
import { readCertificate } from '../../../platform/certificate-watch.ts'
import { Authority, selfSigned } from '../../servers/certificate.ts'
import { until } from '../../until.ts'
import { type BenchOptions, closed, connectAs, READING, startBroker } from '../harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'

async function start(t: TestContext, options: BenchOptions = {}) {
  const authority = new Authority(t)
  const files = { ...selfSigned(t), ca: authority.cert, crl: authority.crl }
  const listeners = { tlsPort: 0, webSocketPort: 0, tls: files, byCertificate: true }
  const bench = await startBroker(t, { listeners, ...options })
  const connect = async (scheme: 'mqtts' | 'wss', client: IClientOptions) => {
    const { port } = bench.broker.addresses.find((each) => each.scheme === scheme) ?? assert.fail()
    const address = { protocol: scheme, host: 'localhost', port, path: '/', reconnectPeriod: 0 } as const
    const connected = await connectAsync({ ...address, ca: [readFileSync(files.cert)], ...client })
    connected.on('error', () => undefined)
    t.after(() => connected.end(true))
    return connected
  }
  /** Resolves when the server has ended it: to a client of TLS 1.3 it is done before the server has looked. */
  const handshake = async (scheme: 'mqtts' | 'wss', client: ConnectionOptions) => {
    const { port } = bench.broker.addresses.find((each) => each.scheme === scheme) ?? assert.fail()
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca: readFileSync(files.cert),
      ...client,
    })
    socket.on('error', () => undefined)
    await once(socket.resume(), 'close').catch(() => undefined)
  }
  const refused = (reason: string) => bench.metric(`telltale_broker_refused_total{reason="${reason}"}`)
  return { authority, files, bench, connect, handshake, refused }
}

test('a certificate is the device that it names, over MQTTS and WSS, by its common or its one alternative name', async (t) => {
  const { authority, bench, connect } = await start(t)
  for (const scheme of ['mqtts', 'wss'] as const) {
    const { cert, key } = authority.issue('/O=Fleet/CN=truck-7')
    const device = await connect(scheme, { cert, key, clientId: 'truck-7' })
    await device.publishAsync(TOPIC, READING, { qos: 1 })
    await device.endAsync()
  }
  for (const subject of ['/O=Fleet', '/']) {
    const { cert, key } = authority.issue(subject, { san: 'DNS:truck-7' })
    await (await connect('mqtts', { cert, key, clientId: 'truck-7', username: 'truck-7' })).endAsync()
  }
  assert.equal((await bench.entries()).length, 2)
})

test('a certificate is nobody else: the client id is its device, which it does not name twice; an app shows a token', async (t) => {
  const { authority, bench, connect, refused } = await start(t)
  const { identity } = bench
  const truck = authority.issue('/CN=truck-7')
  const code = (expected: number) => (error: Error) => error instanceof ErrorWithReasonCode && error.code === expected
  await assert.rejects(connect('mqtts', { ...truck, clientId: 'truck-8' }), code(5))
  assert.equal(await refused('wrong-client-id'), 1)
  const password = await identity.signDevice('truck-8', 60_000)
  await assert.rejects(connect('mqtts', { ...truck, clientId: 'truck-8', username: 'truck-8', password }), code(5))
  for (const [subject, san] of [['/CN=a b'], ['/CN=truck-7/CN=truck-8'], ['/O=x', 'DNS:a,DNS:b'], ['/O=x']] as const) {
    const wrong = authority.issue(subject, san === undefined ? {} : { san })
    await assert.rejects(connect('mqtts', { ...wrong, clientId: 'truck-7' }), code(5), subject)
  }
  assert.equal(await refused('wrong-certificate'), 4)
  const app = { clientId: 'app', username: 'app', password: await identity.signApp(['devices/#'], 60_000) }
  await (await connect('mqtts', { ...truck, ...app })).subscribeAsync(TOPIC)
  await assert.rejects(connect('mqtts', { ...truck, ...app, password: 'x' }), code(4))
})

test('where a token is the identity, a certificate alone is not enough', async (t) => {
  const authority = new Authority(t)
  const listeners = { tlsPort: 0, tls: { ...selfSigned(t), ca: authority.cert } }
  const bench = await startBroker(t, { listeners })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'mqtts') ?? assert.fail()
  const options = { protocol: 'mqtts', host: 'localhost', port, rejectUnauthorized: false, reconnectPeriod: 0 } as const
  const device = { ...options, ...authority.issue('/CN=truck-7'), clientId: 'truck-7', username: 'truck-7' }
  await assert.rejects(connectAsync(device), (error) => error instanceof ErrorWithReasonCode && error.code === 4)
  await (await connectAsync({ ...device, password: await bench.identity.signDevice('truck-7', 60_000) })).endAsync()
})

test('a handshake that is refused is counted by why', async (t) => {
  const { authority, handshake, refused } = await start(t)
  const clients: [reason: string, client: ConnectionOptions][] = [
    ['no-certificate', {}],
    ['untrusted-certificate', new Authority(t).issue('/CN=truck-7')],
    ['expired-certificate', authority.issue('/CN=truck-7', { days: -1 })],
  ]
  for (const [reason, client] of clients) {
    for (const [index, scheme] of (['mqtts', 'wss'] as const).entries()) {
      await handshake(scheme, client)
      await until(async () => (await refused(reason)) === index + 1)
    }
  }
})

test('who does not speak TLS is counted as such', async (t) => {
  const { bench, refused } = await start(t)
  for (const { scheme, port } of bench.broker.addresses) {
    if (scheme === 'mqtt') continue
    const socket = connectTcp(port, '127.0.0.1')
    socket.write(scheme === 'mqtts' ? mqttPacket.generate(connectAs('truck-7')) : 'GET / HTTP/1.1\r\n\r\n')
    await once(socket.resume(), 'close')
  }
  await until(async () => (await refused('tls-failed')) === 2)
})

test('a certificate that is revoked ends its connection, and makes no other; the rest stays', async (t) => {
  const { authority, bench, files, connect, handshake, refused } = await start(t)
  const [lost, kept] = [authority.issue('/CN=truck-7'), authority.issue('/CN=truck-8')]
  const devices = [
    await connect('mqtts', { ...lost, clientId: 'truck-7' }),
    await connect('wss', { ...kept, clientId: 'truck-8' }),
  ]
  const [device, other] = devices
  assert(device && other)
  const gone = closed(device)
  authority.revoke(lost)
  bench.broker.renewCertificate(readCertificate(files))
  bench.broker.sweepTokens()
  await gone
  for (const scheme of ['mqtts', 'wss'] as const) await handshake(scheme, lost)
  // One for each handshake; the connection that was there lost what it had shown.
  await until(async () => (await refused('revoked-certificate')) === 2)
  assert.equal(await refused('revoked-token'), 1)
  assert.equal(other.connected, true)
  await (await connect('mqtts', { ...kept, clientId: 'truck-8' })).endAsync()
})

test('no token takes the place of a certificate by MQTT 5, for the certificate would end nothing any more', async (t) => {
  const { authority, bench, connect } = await start(t)
  const properties = { authenticationMethod: 'telltale-token' }
  const truck = { ...authority.issue('/CN=truck-7'), clientId: 'truck-7' }
  const device = await connect('mqtts', { ...truck, protocolVersion: 5, properties })
  const told = new Promise<IDisconnectPacket>((resolve) => device.once('disconnect', resolve))
  const authenticationData = Buffer.from(await bench.identity.signDevice('truck-7', 60_000))
  device.stream.write(
    mqttPacket.generate(
      { cmd: 'auth', reasonCode: 0x19, properties: { ...properties, authenticationData } },
      { protocolVersion: 5 },
    ),
  )
  const { reasonCode, properties: { reasonString } = {} } = await told
  assert.equal(reasonCode, 0x87)
  assert.match(reasonString ?? '', /certificate/)
})
