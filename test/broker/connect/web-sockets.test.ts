import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { WebSocket } from 'ws'
import { until } from '../../until.ts'
import { connectAs, publish, startBroker } from '../harness.ts'

test('each packet leaves in a frame of its own, also when many leave at once', async (t) => {
  const bench = await startBroker(t, { auth: 'off', listeners: { webSocketPort: 0 } })
  const { port } = bench.broker.addresses.find(({ scheme }) => scheme === 'ws') ?? assert.fail()
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'mqtt')
  t.after(() => socket.terminate())
  const packets: Packet[] = []
  const perFrame: number[] = []
  socket.on('message', (frame: Buffer) => {
    const parser = mqttPacket.parser({ protocolVersion: 4 })
    const before = packets.length
    parser.on('packet', (packet) => packets.push(packet))
    perFrame.push(parser.parse(frame) === 0 ? packets.length - before : Number.NaN)
  })
  await once(socket, 'open')
  const send = (...all: Packet[]) => socket.send(Buffer.concat(all.map((packet) => mqttPacket.generate(packet))))
  send(connectAs('truck-7'), { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1 }] })
  const payload = Buffer.alloc(10_000, 1)
  const messages = Array.from({ length: 50 }, (_, index) => publish('a', index + 1, 1, payload))
  send(...messages, { cmd: 'pingreq' })
  await until(() => packets.filter(({ cmd }) => cmd === 'publish').length === messages.length)
  await until(() => packets.filter(({ cmd }) => cmd === 'puback').length === messages.length)
  assert.deepEqual(new Set(perFrame), new Set([1]))
})
