import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { WebSocket } from 'ws'
import { CONNECT_BYTES_MAX, PendingConnects } from '../../../broker/connect/pending-connects.ts'
import { FairShare } from '../../../broker/inbound/fair-share.ts'
import { PartialPackets } from '../../../broker/inbound/partial-packets.ts'
import { FRAME_BYTES_MAX } from '../../../platform/limits.ts'
import { until } from '../../until.ts'
import { type Bench, connectAs, publish, RawClient, startBroker } from '../harness.ts'

const ACCEPTED = Buffer.of(0x20, 2, 0, 0)
const FIXED_HEADER_BYTES = 4

/** A CONNECT of so many bytes, its will being as large as it takes. */
function connectOf(bytes: number): Buffer {
  const withWill = (willBytes: number): Packet => ({
    ...connectAs('large'),
    cmd: 'connect',
    clientId: 'large',
    will: { topic: 'a', payload: Buffer.alloc(willBytes), qos: 0, retain: false },
  })
  const beside = mqttPacket.generate(withWill(40_000)).length - 40_000
  return mqttPacket.generate(withWill(bytes - beside))
}

async function answer(t: TestContext, bench: Bench, ...pieces: Buffer[]): Promise<RawClient> {
  const client = await RawClient.open(t, bench.port)
  for (const piece of pieces) {
    client.socket.write(piece)
    await turn()
  }
  return client
}

const inBytes = (packet: Buffer) => Array.from(packet, (byte) => Buffer.of(byte))

test('a CONNECT that comes byte by byte is taken, over TCP and over WebSocket', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const packet = mqttPacket.generate(connectAs('slow'))
  const client = await answer(t, bench, ...inBytes(packet))
  assert.equal((await client.next('connack')).returnCode, 0)
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'mqtt')
  t.after(() => socket.terminate())
  await once(socket, 'open')
  const answers: Buffer[] = []
  socket.on('message', (bytes: Buffer) => answers.push(bytes))
  for (const byte of inBytes(packet)) socket.send(byte)
  await until(() => Buffer.concat(answers).length >= ACCEPTED.length)
  assert.deepEqual(Buffer.concat(answers), ACCEPTED)
})

test('a CONNECT may be as large as the limit; one byte more closes the connection before the rest has come', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const largest = connectOf(CONNECT_BYTES_MAX)
  const client = await answer(t, bench, largest.subarray(0, 3), largest.subarray(3, 20_000), largest.subarray(20_000))
  assert.equal((await client.next('connack')).returnCode, 0)
  const larger = await answer(t, bench, connectOf(CONNECT_BYTES_MAX + 1).subarray(0, FIXED_HEADER_BYTES))
  await larger.untilClosed()
  const longest = await answer(t, bench, Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff))
  await longest.untilClosed()
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="protocol-error"}'), 2)
})

test('a first packet that is no CONNECT closes the connection at its first byte; the end of half a CONNECT does, too', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const stranger = await answer(t, bench, Buffer.of(0x30))
  await stranger.untilClosed()
  for (const bytes of [Buffer.alloc(0), Buffer.of(0x10), Buffer.of(0x10, 0x20, 0, 4)]) {
    const half = await answer(t, bench, bytes)
    half.socket.end()
    await half.untilClosed()
  }
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="protocol-error"}'), 1)
})

test('a connection that does not become a client is told with the likely reason, once', async (t) => {
  const told: string[] = []
  const arrivals = new PendingConnects({
    max: 2,
    partialPackets: new PartialPackets(),
    fairShare: new FairShare(),
    arrived: () => assert.fail('nothing here is a CONNECT'),
    disconnects: {
      end: (stream, error) => {
        told.push(error.message)
        if ('destroy' in stream) stream.destroy()
      },
    },
  })
  const streams = Array.from({ length: 8 }, () => new PassThrough())
  t.after(() => {
    for (const stream of streams) stream.destroy()
  })
  const beginnings = [
    Buffer.of(22, 3, 1),
    Buffer.from('GET / HTTP/1.1'),
    Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 40000 1883\r\n'),
    Buffer.from('0d0a0d0a000d0a515549540a21110000', 'hex'),
    Buffer.from('hello'),
  ]
  for (const bytes of beginnings) {
    const stream = streams.pop() ?? assert.fail()
    arrivals.add(stream)
    stream.write(bytes)
    await once(stream, 'close')
  }
  const [first, , last] = streams
  last?.on('error', () => undefined)
  for (const stream of streams) arrivals.add(stream)
  assert.equal(first?.destroyed, true)
  last?.destroy(new Error('ECONNRESET'))
  await turn()
  assert.deepEqual(told, [
    'it begins TLS, which is for the MQTTS port',
    'it speaks HTTP, and this port is for MQTT',
    'it begins with a PROXY header, which is taken with TELLTALE_PROXY_PROTOCOL=true',
    'it begins with a PROXY header, which is taken with TELLTALE_PROXY_PROTOCOL=true',
    'the first packet is no CONNECT',
    'it has not connected, and others need the place',
    'ECONNRESET',
  ])
})

test('a large message right behind a CONNECT is taken; one that is too large is acknowledged, and dropped', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const topic = 'devices/truck-7/telemetry/environment'
  const behind = [
    publish(topic, 1, 1, Buffer.alloc(200_000, 0x20)),
    publish(topic, 2, 1, Buffer.alloc(FRAME_BYTES_MAX)),
  ]
  for (const message of behind) {
    const client = await RawClient.open(t, bench.port)
    client.send(connectAs('truck-7'), message)
    await client.next('puback')
  }
  assert.equal((await bench.entries()).length, 1)
  assert.equal(await bench.metric('telltale_broker_refused_total{reason="payload-too-large"}'), 1)
})
