/**
 * Owns the fuzzing of the MQTT listener: valid packets of every kind, in random order, mutated or not, on many connections
 * at once. The broker may close any of them; it must stay up, go on serving an honest device, and not grow.
 *
 * After each few packets comes a PINGREQ, and its answer or the end of the connection is waited for, so that what is
 * counted was looked at by the broker, not only handed to the kernel. A mutated length may make the broker wait for more:
 * after `ANSWER_MS_MAX` the connection is ended by us and counted as such, once the broker has closed it, too.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { type Random, seededRandom } from '../../devices/simulator/signals/random.ts'
import { mutate, pick } from './mutation.ts'

export interface PacketTarget {
  readonly port: number
  /** Good devices and their tokens, one for each connection at once, so that what follows the CONNECT is looked at too. */
  readonly devices: readonly Device[]
}

export interface Device {
  readonly id: string
  readonly token: string
}

export interface PacketReport {
  packets: number
  connections: number
  closedByBroker: number
  givenUp: number
}

const PACKETS_PER_CONNECTION_MAX = 300
/** Written at once: a chunk that the broker's parser gets in one piece. */
const PACKETS_PER_WRITE_MAX = 4
const ANSWER_MS_MAX = 60
const PINGREQ = mqttPacket.generate({ cmd: 'pingreq' })

/** Sends `count` packets. Rejects if the broker does not let anybody connect any more. */
export async function fuzzPackets(count: number, seed: number, target: PacketTarget): Promise<PacketReport> {
  const report = { packets: 0, connections: 0, closedByBroker: 0, givenUp: 0 }
  const share = Math.ceil(count / target.devices.length)
  const lane = async (device: Device, number: number) => {
    const random = seededRandom(seed, number)
    for (let left = share; left > 0; ) left -= await oneConnection(random, left, device, target.port, report)
  }
  await Promise.all(target.devices.map(lane))
  return report
}

async function oneConnection(random: Random, most: number, device: Device, port: number, report: PacketReport) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  report.connections++
  const answers = new Answers(socket)
  let sent = 0
  // Mostly an honest beginning, or little would get past the first packet.
  if (random.next() < 0.9) socket.write(mqttPacket.generate(connectPacket(device)))
  while (sent < Math.min(most, PACKETS_PER_CONNECTION_MAX)) {
    const packets = Array.from({ length: 1 + random.below(PACKETS_PER_WRITE_MAX) }, () => bytes(random, device))
    sent += packets.length
    socket.write(Buffer.concat([...packets, PINGREQ]))
    const answer = await answers.next()
    if (answer === 'closed') report.closedByBroker++
    if (answer === 'nothing') report.givenUp++
    if (answer !== 'pong') break
  }
  socket.end()
  await answers.closed()
  report.packets += sent
  return sent
}

/** What the broker says to a PINGREQ. */
class Answers {
  readonly #socket: Socket
  #pongs = 0
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.#socket = socket
    const parser = mqttPacket.parser({ protocolVersion: 4 })
    parser.on('packet', ({ cmd }) => {
      if (cmd === 'pingresp') this.#pongs++
      this.#wake()
    })
    socket.on('data', (chunk) => parser.parse(chunk))
    socket.on('close', () => this.#wake())
  }

  /** The broker has dealt with all that was sent, and has closed the connection. */
  async closed(): Promise<void> {
    if (!this.#socket.destroyed) await once(this.#socket, 'close')
  }

  async next(): Promise<'pong' | 'closed' | 'nothing'> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake()
    }, ANSWER_MS_MAX)
    while (this.#pongs === 0 && !this.#socket.destroyed && !late) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    clearTimeout(timer)
    if (this.#pongs > 0) {
      this.#pongs = 0
      return 'pong'
    }
    return this.#socket.destroyed ? 'closed' : 'nothing'
  }
}

function connectPacket({ id, token }: Device): Packet {
  const credentials = { username: id, password: Buffer.from(token) }
  const protocol = { protocolId: 'MQTT', protocolVersion: 4 } as const
  return { cmd: 'connect', clientId: id, clean: true, keepalive: 30, ...protocol, ...credentials }
}

function bytes(random: Random, device: Device): Buffer {
  const packet = mqttPacket.generate(anyPacket(random, device))
  return random.next() < 0.7 ? mutate(random, packet) : packet
}

function anyPacket(random: Random, device: Device): Packet {
  const own = `devices/${device.id}`
  const topic = pick(random, [`${own}/telemetry/environment`, `${own}/status`, 'elsewhere', `${own}/errors`, '$SYS/x'])
  const filter = pick(random, [`${own}/errors`, `${own}/commands`, '#', '+/+', '$share/a/b', `${own}/#`])
  const messageId = 1 + random.below(65_535)
  const qos = pick(random, [0, 1, 2] as const)
  const payload = Buffer.alloc(random.below(200), random.below(256))
  const flags = { dup: random.next() < 0.2 && qos > 0, retain: random.next() < 0.2 }
  switch (random.below(10)) {
    case 0:
      return connectPacket(device)
    case 1:
      return { cmd: 'subscribe', messageId, subscriptions: [{ topic: filter, qos }] }
    case 2:
      return { cmd: 'unsubscribe', messageId, unsubscriptions: [filter] }
    case 3:
      return { cmd: pick(random, ['puback', 'pubrec', 'pubcomp']), messageId }
    case 4:
      return { cmd: 'pubrel', messageId }
    case 5:
      return { cmd: 'pingreq' }
    default:
      return { cmd: 'publish', topic, payload, qos, messageId, ...flags }
  }
}
