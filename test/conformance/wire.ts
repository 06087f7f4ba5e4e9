/**
 * Owns MQTT 3.1.1 as bytes: packets made by hand, right and wrong ones, and a client that shows each packet as it came,
 * flags and all. No MQTT library has a part in it, so that none can hide what a broker does.
 *
 * Always true: every wait ends after `WAIT_MS`, with an assertion that says what did not come.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** No broker on loopback takes so long for what it does at once, however busy the machine is. */
export const WAIT_MS = 20_000

export const CONNECT = 1
export const CONNACK = 2
export const PUBLISH = 3
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const SUBACK = 9
export const UNSUBSCRIBE = 10
export const UNSUBACK = 11
export const PINGREQ = 12
export const PINGRESP = 13
export const DISCONNECT = 14

/** A packet of any type and flags, whatever its body says. */
export function packet(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.of((type << 4) | flags), remainingLength(body.length), body])
}

function remainingLength(length: number): Buffer {
  const bytes: number[] = []
  do {
    const rest = length >>> 7
    bytes.push((length & 0x7f) | (rest > 0 ? 0x80 : 0))
    length = rest
  } while (length > 0)
  return Buffer.from(bytes)
}

export const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)

/** A length-prefixed string (section 1.5.3); a Buffer goes in as it is. */
export function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u16(bytes.length), bytes])
}

export interface ConnectFields {
  readonly protocol?: string
  readonly level?: number
  /** All connect flags, instead of those that follow from the fields. */
  readonly flags?: number
  readonly clean?: boolean
  /** Seconds. */
  readonly keepalive?: number
  readonly will?: { readonly topic: string | Buffer; readonly payload: string; qos?: number; retain?: boolean }
  readonly username?: string | Buffer
  readonly password?: string
}

export function connectPacket(id: string | Buffer, fields: ConnectFields = {}): Buffer {
  const { protocol = 'MQTT', level = 4, clean = true, keepalive = 0, will, username, password } = fields
  const willFlags = will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0)
  const credentials = (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40)
  const flags = fields.flags ?? (clean ? 0x02 : 0) | willFlags | credentials
  const payload = [id, will?.topic, will?.payload, username, password].filter((each) => each !== undefined)
  return packet(CONNECT, 0, text(protocol), Buffer.of(level, flags), u16(keepalive), ...payload.map(text))
}

export interface PublishFields {
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
}

export function publishPacket(topic: string | Buffer, payload: string, fields: PublishFields = {}): Buffer {
  const { qos = 0, id = 1, retain = false, dup = false } = fields
  const flags = (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  const identifier = qos > 0 ? [u16(id)] : []
  return packet(PUBLISH, flags, text(topic), ...identifier, Buffer.from(payload))
}

export function subscribePacket(id: number, ...filters: readonly (readonly [string | Buffer, number])[]): Buffer {
  return packet(SUBSCRIBE, 2, u16(id), ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.of(qos)]))
}

export function unsubscribePacket(id: number, ...filters: readonly (string | Buffer)[]): Buffer {
  return packet(UNSUBSCRIBE, 2, u16(id), ...filters.map(text))
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export const answer = (type: number, id: number): Buffer => packet(type, type === PUBREL ? 2 : 0, u16(id))

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly body: Buffer
}

export interface Publish {
  readonly topic: string
  readonly payload: string
  readonly qos: number
  readonly id: number
  readonly retain: boolean
  readonly dup: boolean
}

export class WireClient {
  readonly socket: Socket
  readonly #frames: Frame[] = []
  #buffer = Buffer.alloc(0)
  closed = false
  #arrived: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.#arrived?.()
    })
  }

  static async open(port: number): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new WireClient(socket)
  }

  send(...packets: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(packets))
  }

  /** The next packet; it must be of this type. */
  async next(type: number): Promise<Frame> {
    const frame = await this.#nextFrame(`packet type ${type}`)
    assert.equal(frame.type, type, `a packet of type ${type} was due, one of type ${frame.type} came`)
    return frame
  }

  /** The next packets, of whatever type. */
  async some(count: number): Promise<Frame[]> {
    const frames: Frame[] = []
    while (frames.length < count) frames.push(await this.#nextFrame('another packet'))
    return frames
  }

  /** The next packet of this type, after any others. */
  async later(type: number): Promise<Frame> {
    for (;;) {
      const frame = await this.#nextFrame(`packet type ${type}`)
      if (frame.type === type) return frame
    }
  }

  async publish(): Promise<Publish> {
    return readPublish(await this.next(PUBLISH))
  }

  /** All that comes until the answer to a PINGREQ sent now. */
  async untilPong(): Promise<Frame[]> {
    this.send(packet(PINGREQ, 0))
    const before: Frame[] = []
    for (;;) {
      const frame = await this.#nextFrame('PINGRESP')
      if (frame.type === PINGRESP) return before
      before.push(frame)
    }
  }

  /** Resolves when the broker has closed the connection; fails with what it said instead. */
  async closes(waitMs = WAIT_MS): Promise<Frame[]> {
    const deadline = performance.now() + waitMs
    while (!this.closed) {
      const came = await this.#wait(deadline)
      assert(came, 'the connection stayed open')
    }
    return this.#frames.splice(0)
  }

  /** The first packet, or none if the connection is closed instead. */
  async closesOrSends(): Promise<Frame[]> {
    const deadline = performance.now() + WAIT_MS
    while (!this.closed && this.#frames.length === 0) {
      assert(await this.#wait(deadline), 'the connection stayed open, and nothing came')
    }
    return this.#frames.splice(0, 1)
  }

  /** Closed, and not one packet came before. */
  async closesSilently(): Promise<void> {
    assert.deepEqual(await this.closes(), [], 'a packet came before the connection was closed')
  }

  /** Ends the connection without a DISCONNECT. */
  async cut(): Promise<void> {
    if (this.closed) return
    this.socket.destroy()
    await once(this.socket, 'close')
  }

  async disconnect(): Promise<void> {
    this.send(packet(DISCONNECT, 0))
    await this.closes()
  }

  async #nextFrame(awaited: string): Promise<Frame> {
    const deadline = performance.now() + WAIT_MS
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined) return frame
      assert(!this.closed, `the connection was closed before ${awaited} came`)
      assert(await this.#wait(deadline), `${awaited} did not come`)
    }
  }

  #wait(deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, deadline - performance.now()))
      this.#arrived = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
  }

  #take(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    for (;;) {
      const frame = splitFrame(this.#buffer)
      if (frame === undefined) break
      this.#frames.push(frame)
      this.#buffer = this.#buffer.subarray(frame.size)
    }
    this.#arrived?.()
  }
}

function splitFrame(buffer: Buffer): (Frame & { readonly size: number }) | undefined {
  let length = 0
  for (let at = 1; at < Math.min(buffer.length, 5); at++) {
    const byte = buffer.readUInt8(at)
    length += (byte & 0x7f) * 2 ** (7 * (at - 1))
    if (byte >= 0x80) continue
    const size = at + 1 + length
    if (buffer.length < size) return undefined
    const first = buffer.readUInt8(0)
    return { type: first >> 4, flags: first & 0x0f, body: buffer.subarray(at + 1, size), size }
  }
  return undefined
}

export function readPublish(frame: Frame): Publish {
  const qos = (frame.flags >> 1) & 3
  const end = 2 + frame.body.readUInt16BE(0)
  return {
    topic: frame.body.toString('utf8', 2, end),
    payload: frame.body.toString('utf8', qos > 0 ? end + 2 : end),
    qos,
    id: qos > 0 ? frame.body.readUInt16BE(end) : 0,
    retain: (frame.flags & 1) === 1,
    dup: (frame.flags & 8) === 8,
  }
}

/** The packet identifier of an acknowledgement, SUBACK or UNSUBACK. */
export const idOf = (frame: Frame): number => frame.body.readUInt16BE(0)
