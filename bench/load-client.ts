/**
 * Owns one MQTT connection of the load generator: a raw socket, prepared bytes out, PUBACKs in. Always true: at most
 * `window` messages are unacknowledged; a PUBACK for an id that is not in flight fails the run, so a count of PUBACKs is
 * a count of messages. Costs the machine as little as it can: what it uses is taken from what is measured.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import { PACKET_ID_MAX, type Publishes, packetId } from './publishes.ts'

const CONNACK_MS = 10_000
const KEEPALIVE_S = 600
const PUBACK = 0x40
const CONNACK = 0x20

export class LoadClient {
  readonly #socket: Socket
  readonly #inFlight = new Uint8Array(PACKET_ID_MAX + 1)
  #publishes: Publishes | undefined
  /** Messages of the pieces before this one. */
  #before = 0
  #rest: Buffer = Buffer.alloc(0)
  /** Messages written, and of those acknowledged. */
  sent = 0
  acknowledged = 0
  /** Called after each chunk of acknowledgements. */
  onAcknowledged: () => void = () => {}
  onError: (error: Error) => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.onError(error))
    socket.on('close', () => this.onError(new Error(`connection closed, ${this.sent - this.acknowledged} in flight`)))
  }

  static async connect(port: number, device: string, token: string, protocolVersion?: 4 | 5): Promise<LoadClient> {
    return new LoadClient(await connectDevice({ port, device, token, protocolVersion }))
  }

  /** What the next messages are; all before must have been acknowledged. */
  load(publishes: Publishes): void {
    this.#publishes = publishes
    this.#before = 0
    this.sent = 0
    this.acknowledged = 0
  }

  /** What comes after the messages loaded, which must have been sent; made with `first` = `total`. Counts go on. */
  follow(publishes: Publishes): void {
    if (this.sent < this.total) throw new Error(`${this.total - this.sent} messages would be skipped`)
    this.#before = this.total
    this.#publishes = publishes
  }

  get total(): number {
    return this.#before + (this.#publishes?.ends.length ?? 0)
  }

  /** Writes the next messages up to number `until` (exclusive) of those loaded, in one piece. */
  sendUntil(until: number): void {
    if (this.#publishes === undefined) return
    const { bytes, ends } = this.#publishes
    const to = Math.min(until, this.total)
    if (to <= this.sent) return
    const start = this.sent === this.#before ? 0 : ends[this.sent - this.#before - 1]
    for (let index = this.sent; index < to; index++) this.#inFlight[packetId(index)] = 1
    this.sent = to
    this.#socket.write(bytes.subarray(start, ends[to - this.#before - 1]))
  }

  close(): void {
    this.onError = () => {}
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    while (at + 2 <= data.length) {
      // Only packets with a one-byte remaining length come to a client that subscribes to nothing.
      const end = at + 2 + (data[at + 1] ?? 0)
      if (end > data.length) break
      if (data[at] === PUBACK) this.#acknowledge(data.readUInt16BE(at + 2))
      at = end
    }
    this.#rest = data.subarray(at)
    this.onAcknowledged()
  }

  #acknowledge(id: number): void {
    if (this.#inFlight[id] !== 1) {
      this.onError(new Error(`PUBACK for ${id}, which is not in flight`))
      return
    }
    this.#inFlight[id] = 0
    this.acknowledged++
  }
}

export interface DeviceConnection {
  readonly port: number
  readonly device: string
  readonly token: string
  /** Address to connect from; 127.0.0.1 unless given. */
  readonly from?: string
  readonly keepaliveSeconds?: number
  /** Of MQTT; 4 (3.1.1) unless given. */
  readonly protocolVersion?: 4 | 5 | undefined
}

/** A socket on which `device` has its CONNACK. Rejects when the broker refuses, closes, or says nothing for `CONNACK_MS`. */
export async function connectDevice(connection: DeviceConnection): Promise<Socket> {
  const { port, device, token, from, keepaliveSeconds = KEEPALIVE_S, protocolVersion = 4 } = connection
  const socket = connect({ port, host: '127.0.0.1', ...(from === undefined ? {} : { localAddress: from }) })
  const onEnd = () => socket.destroy(new Error(`${device}: closed without a CONNACK`))
  socket.once('end', onEnd)
  try {
    socket.setNoDelay(true)
    await once(socket, 'connect')
    socket.write(
      generate({
        cmd: 'connect',
        clientId: device,
        username: device,
        password: Buffer.from(token),
        protocolId: 'MQTT',
        protocolVersion,
        clean: true,
        keepalive: keepaliveSeconds,
      }),
    )
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(CONNACK_MS) })) as [Buffer]
    if (answer[0] !== CONNACK || answer[3] !== 0) throw new Error(`${device}: CONNACK ${answer.toString('hex')}`)
    socket.off('end', onEnd)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Sends everything loaded, each client holding its window full, until all is acknowledged. Returns milliseconds. */
export function sendAll(clients: readonly LoadClient[], window: number, deadlineMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    let left = clients.length
    const timer = setTimeout(() => {
      const missing = clients.reduce((sum, client) => sum + client.total - client.acknowledged, 0)
      reject(new Error(`${missing} messages not acknowledged in ${deadlineMs} ms`))
    }, deadlineMs)
    for (const client of clients) {
      let done = false
      client.onError = reject
      client.onAcknowledged = () => {
        client.sendUntil(client.acknowledged + window)
        if (done || client.acknowledged < client.total) return
        done = true
        left--
        if (left > 0) return
        clearTimeout(timer)
        resolve(performance.now() - startedAt)
      }
      client.sendUntil(window)
    }
  })
}
