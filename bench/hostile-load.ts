/**
 * Owns the process of one client that misbehaves, in the manner named on its command line, until it is ended:
 *
 *   hostile-load.ts <manner> <options as JSON>
 *
 * It prints `ready`, and begins when it is told anything. What the broker closes is opened again. Bounds: `SOCKETS` connections
 * at once, or `HALF_CONNECTS` of those that do nothing; bytes are written only as fast as the broker reads them.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { generate, type Packet } from 'mqtt-packet'
import type { HostileOptions, Manner } from './hostile.ts'
import { connectDevice } from './load-client.ts'

const SOCKETS = 32
const HALF_CONNECTS = 2_000
const AGAIN_MS = 10
const CHUNK_BYTES = 64 * 1024
const LARGE_BYTES = 256 * 1024
const FILTERS = 1_000
const READING = Buffer.from('{"temperature":21.5,"humidity":40,"pressure":1013,"battery":90,"rssi":-60}')

const manner = process.argv[2] as Manner
const options = JSON.parse(process.argv[3] ?? '{}') as HostileOptions

const MISBEHAVE: Readonly<Record<Manner, () => Promise<void>>> = {
  pings: () => flood(repeated(generate({ cmd: 'pingreq' }))),
  readings: () => flood(repeated(publish(`devices/${options.device}/telemetry/environment`, READING))),
  malformed: () => flood(repeated(publish(`devices/${options.device}/telemetry/environment`, Buffer.from('{')))),
  forbidden: () => flood(repeated(publish('not/mine', Buffer.from('x')))),
  large: () => flood(publish(`devices/${options.device}/telemetry/environment`, Buffer.alloc(LARGE_BYTES, 0x20))),
  filters: () => flood(Buffer.concat([subscribe(), unsubscribe()])),
  frozen: async () => {
    const socket = await connectDevice({ port: options.port, device: 'app', token: options.appToken })
    const filter = 'devices/+/telemetry/#'
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos: 0 }] }))
    socket.pause()
  },
  garbage: async () => repeatedly(SOCKETS, () => Buffer.alloc(CHUNK_BYTES, 0xff)),
  'bad-tokens': async () => {
    const packet = generate(connectPacket('e30.e30.e30'))
    return repeatedly(SOCKETS, () => packet)
  },
  reconnects: async () => {
    const packet = Buffer.concat([generate(connectPacket(options.deviceToken)), generate({ cmd: 'disconnect' })])
    return repeatedly(SOCKETS, () => packet)
  },
  takeovers: async () => {
    const packet = generate(connectPacket(options.deviceToken))
    return repeatedly(2, () => packet)
  },
  'half-connects': async () => {
    const packet = generate(connectPacket('x'))
    return repeatedly(HALF_CONNECTS, () => packet.subarray(0, packet.length - 1))
  },
}

console.log('ready')
await once(process.stdin, 'data')
await MISBEHAVE[manner]()

/** One device that writes `bytes` again and again, as fast as they are taken, and reads no answer. */
async function flood(bytes: Buffer): Promise<void> {
  const { port, device, deviceToken } = options
  const socket = await connectDevice({ port, device, token: deviceToken })
  socket.on('error', () => undefined)
  socket.on('close', () => setTimeout(() => void flood(bytes), AGAIN_MS))
  socket.resume()
  const write = () => {
    while (socket.write(bytes));
  }
  socket.on('drain', write)
  write()
}

/** `count` connections, each of which writes its bytes and is opened again when it is closed. */
function repeatedly(count: number, bytes: () => Buffer): void {
  const open = () => {
    const socket: Socket = connect(options.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('close', () => setTimeout(open, AGAIN_MS))
    socket.on('connect', () => socket.write(bytes()))
    socket.resume()
  }
  for (let opened = 0; opened < count; opened++) open()
}

function repeated(packet: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: Math.ceil(CHUNK_BYTES / packet.length) }, () => packet))
}

function connectPacket(token: string): Packet {
  const { device } = options
  const protocol = { protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 600 } as const
  return { cmd: 'connect', clientId: device, username: device, password: Buffer.from(token), ...protocol }
}

function publish(topic: string, payload: Buffer): Buffer {
  return generate({ cmd: 'publish', topic, payload, qos: 1, messageId: 1, dup: false, retain: false })
}

function subscribe(): Buffer {
  const subscriptions = Array.from({ length: FILTERS }, (_, number) => ({ topic: filter(number), qos: 0 as const }))
  return generate({ cmd: 'subscribe', messageId: 1, subscriptions })
}

function unsubscribe(): Buffer {
  const unsubscriptions = Array.from({ length: FILTERS }, (_, number) => filter(number))
  return generate({ cmd: 'unsubscribe', messageId: 1, unsubscriptions })
}

function filter(number: number): string {
  return `devices/${options.device}/commands/${number}`
}
