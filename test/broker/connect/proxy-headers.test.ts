import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import mqttPacket from 'mqtt-packet'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { HEADER_BYTES_MAX, ProxyHeaders, parseHeader } from '../../../broker/connect/proxy-headers.ts'
import { systemClock } from '../../../platform/clock.ts'
import { CONNECTS_PER_ADDRESS } from '../../../platform/limits.ts'
import { selfSigned } from '../../servers/certificate.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, publish, RawClient, READING, startBroker } from '../harness.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const line = (address: string) => Buffer.from(`PROXY TCP4 ${address} 192.0.2.1 40000 1883\r\n`)
const V4 = Buffer.from(`${SIGNATURE}2111000ccb007107c00002019c40075b`, 'hex')
const V6 = Buffer.from(
  `${SIGNATURE}21210024${'20010db8000000000000000000000007'}${'20010db8000000000000000000000001'}9c40075b`,
  'hex',
)
const WITH_TLV = Buffer.from(`${SIGNATURE}21110011cb007107c00002019c40075b0400020000`, 'hex')
const LOCAL = Buffer.from(`${SIGNATURE}20000000`, 'hex')

/** A broker behind a balancer; `from` has the address of each client that was taken over. */
async function behindBalancer(t: TestContext, clock = systemClock) {
  const from: string[] = []
  const said: string[] = []
  const saidOf: string[] = []
  const write = (text: string) => {
    const { msg, from: address } = JSON.parse(text)
    if (msg.includes('has connected again')) from.push(address)
    else {
      said.push(msg)
      saidOf.push(address)
    }
  }
  const tls = selfSigned(t)
  const bench = await startBroker(t, {
    auth: 'off',
    clock,
    logger: pino({ level: 'info' }, { write }),
    listeners: { proxyProtocol: true, tlsPort: 0, webSocketPort: 0, tls },
  })
  const portOf = (wanted: string) =>
    bench.broker.addresses.find(({ scheme }) => scheme === wanted)?.port ?? assert.fail()
  return { bench, from, said, saidOf, portOf, ca: readFileSync(tls.cert) }
}

/** Takes the place of the client `a`, so that the log says where that one came from. */
async function takeOver(t: TestContext, bench: Bench): Promise<void> {
  const client = await RawClient.open(t, bench.port)
  client.socket.write(LOCAL)
  client.send(connectAs('a'))
  await client.next('connack')
  client.socket.destroy()
  await until(async () => (await bench.metric('telltale_broker_connections')) === 0)
}

for (const [name, header, address] of [
  ['version 1', line('203.0.113.7'), '203.0.113.7'],
  ['version 2 with IPv4', V4, '203.0.113.7'],
  ['version 2 with IPv6', V6, '2001:db8::7'],
  ['version 2 with more fields', WITH_TLV, '203.0.113.7'],
  ['version 2 of the balancer itself', LOCAL, '127.0.0.1'],
  ['version 1 of the balancer itself', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
] as const) {
  test(`a PROXY header of ${name} says where a client comes from, in one piece or many`, async (t) => {
    const { bench, from } = await behindBalancer(t)
    for (const pieces of [
      [Buffer.concat([header, mqttPacket.generate(connectAs('a'))])],
      [...header, ...mqttPacket.generate(connectAs('a'))].map((byte) => Buffer.of(byte)),
    ]) {
      const client = await RawClient.open(t, bench.port)
      client.socket.setNoDelay()
      for (const piece of pieces) {
        client.socket.write(piece)
        await turn()
      }
      await client.next('connack')
      await takeOver(t, bench)
    }
    assert.deepEqual(from, [address, address])
  })
}

test('over TLS and WebSocket, too', async (t) => {
  const { bench, from, portOf, ca } = await behindBalancer(t)
  const dial = async (port: number): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(V4)
    return socket
  }
  const secure = connectTls({ socket: await dial(portOf('mqtts')), ca, servername: 'localhost' })
  secure.write(mqttPacket.generate(connectAs('a')))
  await once(secure, 'data')
  await takeOver(t, bench)
  const tunnel = connectTls({ socket: await dial(portOf('wss')), ca, servername: 'localhost' })
  const webSocket = new WebSocket('ws://localhost', 'mqtt', { createConnection: () => tunnel as Socket })
  await once(webSocket, 'open')
  webSocket.send(mqttPacket.generate(connectAs('a')))
  await once(webSocket, 'message')
  await takeOver(t, bench)
  assert.deepEqual(from, ['203.0.113.7', '203.0.113.7'])
})

test('a client without a header is refused, and told why', async (t) => {
  const { bench, said } = await behindBalancer(t)
  const client = await RawClient.open(t, bench.port)
  client.send(connectAs('a'))
  await client.untilClosed()
  await until(() => said.length > 0)
  assert.match(said[0] ?? '', /begins with no PROXY header, which TELLTALE_PROXY_PROTOCOL=true asks/)
})

test('whose TLS handshake fails is named by its own address, too', async (t) => {
  const { said, saidOf, portOf } = await behindBalancer(t)
  for (const scheme of ['mqtts', 'wss']) {
    const client = await RawClient.open(t, portOf(scheme))
    client.socket.write(Buffer.concat([V4, Buffer.from('GET / HTTP/1.1\r\n\r\n')]))
    await client.untilClosed()
  }
  await until(() => said.length === 2)
  assert.match(said[0] ?? '', /it speaks HTTP without TLS/)
  assert.deepEqual(saidOf, ['203.0.113.7', '203.0.113.7'])
})

test('a connection that is reset right behind its header ends nothing else', async (t) => {
  const server = createServer({ pauseOnConnect: true })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => client.destroy())
  client.on('error', () => undefined).write(V4)
  const [socket] = (await accepted) as [Socket]
  let begun = false
  new ProxyHeaders(undefined as never).read(socket, () => {
    begun = true
  })
  await once(socket, 'readable')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.destroy(new Error('read ECONNRESET'))
  await closed
  await turn()
  assert.equal(begun, false)
})

test('each address behind the balancer has its own limit', async (t) => {
  const now = Date.now()
  const { bench } = await behindBalancer(t, { now: () => now })
  const delayed = () => bench.metric('telltale_broker_connects_delayed_total{by="address"}')
  for (const [address, expected] of [
    [(index: number) => `203.0.113.${index}`, 0],
    [() => '198.51.100.1', 1],
  ] as const) {
    for (let index = 0; index <= CONNECTS_PER_ADDRESS.burst; index++) {
      const client = await RawClient.open(t, bench.port)
      client.socket.write(line(address(index)))
      client.send(connectAs(`${address(index)} ${index}`))
      await client.next('connack')
      client.socket.destroy()
    }
    assert.equal((await delayed()) > 0, expected > 0)
  }
})

test('what is sent behind a header by a client that ends its side at once is taken', async (t) => {
  const { bench } = await behindBalancer(t)
  const client = await RawClient.open(t, bench.port)
  const packets = [connectAs('a'), publish('devices/truck-7/telemetry/environment', 1, 1, READING)]
  client.socket.end(Buffer.concat([V4, ...packets.map((packet) => mqttPacket.generate(packet))]))
  await until(async () => (await bench.entries()).length === 1)
})

test('a header is whole, incomplete or wrong', () => {
  for (const header of [line('203.0.113.7'), V4, V6, WITH_TLV, LOCAL]) {
    for (let length = 0; length < header.length; length++) {
      assert.equal(parseHeader(header.subarray(0, length)), 'incomplete')
    }
    const whole = parseHeader(Buffer.concat([header, Buffer.from('rest')]))
    assert.equal(typeof whole === 'object' && whole.bytes, header.length)
  }
  const tooLong = Buffer.from(V4)
  tooLong.writeUInt16BE(HEADER_BYTES_MAX, 14)
  const wrong = [
    Buffer.from('PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n'),
    Buffer.from('PROXY TCP4\r\n'),
    Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`),
    Buffer.from('PROXI'),
    Buffer.from(`${SIGNATURE}11110000`, 'hex'),
    Buffer.from(`${SIGNATURE}21110004cb007107`, 'hex'),
    tooLong,
  ]
  for (const header of wrong) assert.equal(parseHeader(header), 'wrong', header.toString('latin1'))
})
