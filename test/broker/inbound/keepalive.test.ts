import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { UNFINISHED_PROGRESS_BYTES_MIN } from '../../../platform/limits.ts'
import { until } from '../../until.ts'
import { connectAs, publish, RawClient, startBroker } from '../harness.ts'

const TOPIC = 'devices/truck-7/telemetry/environment'
/** Seconds. */
const KEEPALIVE = 1
/** A connection without a byte for so long is cut rightly: then the machine was busy, and the upload is tried again. */
const BUSY_MS = 1_000 * KEEPALIVE
const PIECE_BYTES = UNFINISHED_PROGRESS_BYTES_MIN + 100
const PIECES = 40
const EVERY_MS = 100

const connecting = (id: string): Packet => ({ ...connectAs(id), keepalive: KEEPALIVE }) as Packet
const upload = mqttPacket.generate(publish(TOPIC, 5, 1, Buffer.alloc(PIECES * PIECE_BYTES, 0x20)))

/** Writes it in pieces, over more than twice the time after which silence ends a connection; the longest time between two. */
async function trickle(socket: Socket, bytes: Buffer): Promise<number> {
  let longestMs = 0
  let before = performance.now()
  for (let at = 0; at < bytes.length && !socket.destroyed; at += PIECE_BYTES) {
    socket.write(bytes.subarray(at, at + PIECE_BYTES))
    await delay(EVERY_MS)
    longestMs = Math.max(longestMs, performance.now() - before)
    before = performance.now()
  }
  return longestMs
}

test('a PUBLISH that takes longer to come than the keep alive is taken, for its bytes come', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  await until(async () => {
    const client = await RawClient.open(t, bench.port)
    client.send(connecting('truck-7'))
    await client.next('connack')
    const longestMs = await trickle(client.socket, upload)
    if (client.closed) {
      assert(longestMs > BUSY_MS, 'it was cut while its bytes came')
      return false
    }
    assert.equal((await client.next('puback')).messageId, 5)
    return true
  })
})

/** A frame of a client (RFC 6455 section 5.2) whose mask changes nothing. */
function frame(bytes: Buffer): Buffer {
  const head = Buffer.alloc(14)
  head[0] = 0x82
  head[1] = 0xff
  head.writeUInt32BE(bytes.length, 6)
  return Buffer.concat([head, bytes])
}

test('so it is over WebSocket, where a frame is seen when it is whole', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  await until(async () => {
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
    })
    await once(socket, 'connect')
    const key = Buffer.alloc(16).toString('base64')
    const head = ['GET / HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13']
    socket.write([...head, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Protocol: mqtt', '', ''].join('\r\n'))
    socket.write(frame(mqttPacket.generate(connecting('truck-7'))))
    await until(() => received.includes(Buffer.of(0x20, 2, 0, 0)))
    const longestMs = await trickle(socket, frame(upload))
    if (socket.destroyed) {
      assert(longestMs > BUSY_MS, 'it was cut while its bytes came')
      return false
    }
    await until(() => received.includes(Buffer.of(0x40, 2, 0, 5)))
    return true
  })
})

test('a client that has begun a packet and says no more is ended like one that says nothing', async (t) => {
  const bench = await startBroker(t, { auth: 'off' })
  const client = await RawClient.open(t, bench.port)
  client.send(connecting('truck-7'))
  await client.next('connack')
  client.socket.write(upload.subarray(0, 1_000))
  await client.untilClosed()
})
