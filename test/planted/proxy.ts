/**
 * Owns a man in the middle of devices and their broker: what a bad gateway, modem or load balancer does to MQTT. It reads whole packets both ways,
 * and lets a fault have each PUBLISH that a device sends.
 *
 * Always true: packets of one device go on in their order, but for those that a fault holds back; a connection that ends on one side ends on the other.
 * Bound: what a socket does not take waits in it, for a test's traffic only.
 */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { generate, type IPublishPacket, type Packet, parser } from 'mqtt-packet'

/** What a fault may do with a PUBLISH. */
export interface Between {
  /** To the broker. */
  forward(packet: Packet): void
  /** To the broker once more, as a message of its own, of whose acknowledgement the device hears nothing. */
  repeat(packet: IPublishPacket): void
  /** To the device. */
  answer(packet: Packet): void
}

/** Does with each PUBLISH of any device what it likes; `number` counts them from 1. */
export type OnPublish = (packet: IPublishPacket, number: number, between: Between) => void

/** Of a message that no device has sent: far from those in flight, which are in a row from wherever the device began. */
const ownId = (messageId = 0): number => messageId ^ 0x8000 || 1

export const faults = {
  /** Every `n`th is answered, and goes no further. */
  drops: (n) => (packet, number, between) => {
    if (number % n === 0) between.answer({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    else between.forward(packet)
  },
  /** Every `n`th goes twice, as two messages. */
  doubles: (n) => (packet, number, between) => {
    between.forward(packet)
    if (number % n === 0) between.repeat(packet)
  },
  /** Of every `n`th one bit of the payload is another: in the middle of the last third, where there are values. */
  alters: (n) => (packet, number, between) => {
    const payload = Buffer.from(packet.payload)
    const at = Math.floor((payload.length * 5) / 6)
    if (number % n === 0) payload[at] = (payload[at] ?? 0) ^ 1
    between.forward({ ...packet, payload })
  },
  /** Every `n`th waits for so long, and what is behind it goes before it. */
  delays: (n, ms) => (packet, number, between) => {
    if (number % n === 0) setTimeout(() => between.forward(packet), ms)
    else between.forward(packet)
  },
} satisfies Record<string, (n: number, ms: number) => OnPublish>

export interface RunningProxy {
  /** `mqtt://`... */
  readonly url: string
  stop(): Promise<void>
}

/** Before the broker on this port of the loopback. */
export async function startProxy(brokerPort: number, onPublish: OnPublish): Promise<RunningProxy> {
  const open = new Set<Socket>()
  let count = 0
  const server = createServer((device) => {
    const broker = connect(brokerPort, '127.0.0.1')
    /** Of MQTT: both ends write and read by the one that the CONNECT names. */
    const level = { protocolVersion: 4 }
    const write = (socket: Socket, packet: Packet) => {
      if (!socket.destroyed) socket.write(generate(packet, level))
    }
    const own = new Set<number>()
    const between = {
      forward: (packet: Packet) => write(broker, packet),
      repeat: (packet: IPublishPacket) => {
        const messageId = ownId(packet.messageId)
        own.add(messageId)
        write(broker, { ...packet, messageId })
      },
      answer: (packet: Packet) => write(device, packet),
    }
    const fromDevice = parser(level)
    fromDevice.on('packet', (packet) => {
      if (packet.cmd === 'connect') level.protocolVersion = packet.protocolVersion ?? level.protocolVersion
      if (packet.cmd !== 'publish' || packet.qos !== 1) between.forward(packet)
      else onPublish(packet, ++count, between)
    })
    const fromBroker = parser(level)
    fromBroker.on('packet', (packet) => {
      const isOwn = packet.cmd === 'puback' && own.delete(packet.messageId ?? 0)
      if (!isOwn) between.answer(packet)
    })
    for (const [socket, reader, other] of [
      [device, fromDevice, broker],
      [broker, fromBroker, device],
    ] as const) {
      open.add(socket)
      socket.on('data', (bytes) => reader.parse(bytes))
      socket.on('error', () => undefined)
      reader.on('error', () => socket.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `mqtt://127.0.0.1:${port}`,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
