/**
 * Owns one connection to another MQTT broker: CONNECT, SUBSCRIBE, the messages that come, and their PUBACKs.
 *
 *   connecting --CONNACK--> subscribing --SUBACK--> up --close()--> closing (what waits is acknowledged) --> ended
 *        \___________________________\______________/'--a refusal, an error, silence--> ended
 *
 * It is no use of the `mqtt` library: that hands on one message at a time, the next when the PUBACK of the one before is written (its
 * `handlers/publish`), so that each would wait for a flush of its own. Here as many are appended together as are in flight, and each PUBACK
 * waits for its message and for those before it.
 *
 * Always true: messages are acknowledged in the order in which they came, and one that was refused is not, nor any behind it: the connection
 * ends, and their broker sends them again. QoS 2 is not asked for, so it comes as QoS 1. `ended` is called once, whatever happens.
 * Bounds: `HELD_MESSAGES_MAX` and `HELD_BYTES_MAX` wait to be durable; then nothing is read. What is published and not taken from us by
 * `OUTBOUND_BYTES_MAX` is not sent.
 */

import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls'
import mqttPacket, { type IConnackPacket, type IPublishPacket, type ISubackPacket, type Packet } from 'mqtt-packet'
import { type Done, OrderedAcks } from '../intake/receive-window.ts'
import { LOG_PENDING_BYTES_MAX } from '../platform/limits.ts'
import { framingOf } from '../schemas/content-type.ts'
import { Frames } from './frames.ts'
import { refusalText } from './refusals.ts'

/** Messages that wait to be durable; MQTT 5 tells their broker, which then sends no more. */
export const HELD_MESSAGES_MAX = 1_000
export const HELD_BYTES_MAX = 16 * 2 ** 20
assert(HELD_BYTES_MAX < LOG_PENDING_BYTES_MAX, 'the bridge must stop reading before the log refuses')
/** What a waiting message costs beside its payload, about. */
const HELD_MESSAGE_BYTES = 256
/** Until the connection is up. */
const OPEN_MS_MAX = 10_000
const KEEPALIVE_SECONDS = 30
/** How long they keep what comes while we are away, if they do as MQTT 5 asks. */
const SESSION_EXPIRY_SECONDS = 30 * 86_400
const OUTBOUND_BYTES_MAX = 2 ** 20
/** How long what waits to be durable may take when the connection is closed. */
const CLOSE_MS_MAX = 5_000
const SUBSCRIBE_ID = 1
const DISCONNECT_BYTES = Buffer.from([0xe0, 0])
const PINGREQ_BYTES = Buffer.from([0xc0, 0])
const PUBACK = 0x40

export interface Address {
  readonly host: string
  readonly port: number
  /** Undefined: plain TCP. */
  readonly tls?: TlsOptions | undefined
}

export interface ConnectionOptions {
  readonly address: Address
  readonly protocolVersion: 4 | 5
  readonly clientId: string
  readonly username?: string | undefined
  readonly password?: string | undefined
}

export interface Filter {
  readonly filter: string
  /** Whether what is retained is wanted at the subscription. By MQTT 3.1.1 it comes in any case. */
  readonly retained: boolean
}

export interface Arrival {
  readonly topic: string
  /** Of one that is larger than any may be, the beginning. */
  readonly payload: Buffer
  readonly qos: 0 | 1
  /** It was retained before we subscribed (MQTT 3.1.1 section 3.3.1.3). */
  readonly retain: boolean
  /** By its content type. */
  readonly framing: number
  /** Bytes of its packet. */
  readonly length: number
}

export interface ConnectionHandler {
  up(): void
  /** `done` is called once; with an error, the connection ends. */
  arrived(message: Arrival, done: Done): void
  acknowledged(count: number): void
  ended(error: Error): void
}

type Mode = 'connecting' | 'subscribing' | 'up' | 'closing' | 'ended'

export class Connection {
  readonly #options: ConnectionOptions
  readonly #filters: readonly Filter[]
  readonly #handler: ConnectionHandler
  readonly #socket: Socket
  readonly #parser: ReturnType<typeof mqttPacket.parser>
  readonly #frames = new Frames()
  readonly #acks = new OrderedAcks()
  /** Packet ids whose PUBACK goes out at the end of this turn. */
  #ready: number[] = []
  #mode: Mode = 'connecting'
  #held = 0
  #heldBytes = 0
  #frameBytes = 0
  #timer: NodeJS.Timeout
  #heardAt = performance.now()
  #closed: (() => void) | undefined

  constructor(options: ConnectionOptions, filters: readonly Filter[], handler: ConnectionHandler) {
    const { address, protocolVersion } = options
    this.#options = options
    this.#filters = filters
    this.#handler = handler
    this.#parser = mqttPacket.parser({ protocolVersion })
    this.#parser.on('packet', (packet) => this.#take(packet))
    this.#parser.on('error', (error: Error) => this.#end(error))
    const { host, port, tls } = address
    this.#socket = tls === undefined ? connectTcp({ host, port }) : connectTls({ ...tls, host, port })
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('error', (error) => this.#end(error))
    this.#socket.on('close', () => this.#end(new Error('they ended the connection without a word')))
    this.#timer = setTimeout(() => this.#end(new Error(`no answer within ${OPEN_MS_MAX} ms`)), OPEN_MS_MAX)
    this.#send(this.#connectPacket())
  }

  /** Whether it was sent. QoS 0. */
  publish(topic: string, payload: Buffer): boolean {
    if (this.#mode !== 'up' || this.#socket.writableLength > OUTBOUND_BYTES_MAX) return false
    this.#send({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false })
    return true
  }

  /** Takes nothing more, acknowledges what becomes durable in time, and says goodbye. `ended` is called, too. */
  async close(): Promise<void> {
    if (this.#mode === 'up') {
      this.#mode = 'closing'
      this.#socket.pause()
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, CLOSE_MS_MAX)
        this.#closed = () => {
          clearTimeout(late)
          resolve()
        }
        if (this.#held === 0) this.#closed()
      })
      this.#acknowledge()
      if (this.#socket.writable) await new Promise<void>((resolve) => this.#socket.end(DISCONNECT_BYTES, resolve))
    }
    this.#end(new Error('the bridge was stopped'))
  }

  #connectPacket(): Packet {
    const { protocolVersion, clientId, username, password } = this.#options
    const properties = { sessionExpiryInterval: SESSION_EXPIRY_SECONDS, receiveMaximum: HELD_MESSAGES_MAX }
    return {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion,
      clean: false,
      clientId,
      keepalive: KEEPALIVE_SECONDS,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password: Buffer.from(password) }),
      ...(protocolVersion === 5 && { properties }),
    }
  }

  #send(packet: Packet): void {
    this.#socket.write(mqttPacket.generate(packet, { protocolVersion: this.#options.protocolVersion }))
  }

  #read(chunk: Buffer): void {
    this.#heardAt = performance.now()
    try {
      this.#frames.push(chunk, (frame, length) => {
        if (this.#mode === 'ended' || this.#mode === 'closing') return
        this.#frameBytes = length
        this.#parser.parse(frame)
      })
    } catch (error) {
      this.#end(error as Error)
    }
  }

  #take(packet: Packet): void {
    switch (packet.cmd) {
      case 'connack':
        this.#connected(packet)
        break
      case 'suback':
        this.#subscribed(packet)
        break
      case 'publish':
        this.#arrived(packet)
        break
      case 'disconnect':
        this.#end(new Error(`they ended the connection: ${refusalText(packet.reasonCode ?? 0)}`))
        break
      default:
    }
  }

  #connected(packet: IConnackPacket): void {
    const code = packet.reasonCode ?? packet.returnCode ?? 0
    if (code !== 0) {
      this.#end(new Error(`they let us not in: ${refusalText(code)}`))
      return
    }
    this.#mode = 'subscribing'
    const subscriptions = this.#filters.map(({ filter, retained }) => {
      // Retain handling: 0 sends what is retained, 2 does not.
      return { topic: filter, qos: 1 as const, nl: false, rap: false, rh: retained ? 0 : 2 }
    })
    this.#send({ cmd: 'subscribe', messageId: SUBSCRIBE_ID, subscriptions })
    const keepaliveMs = (packet.properties?.serverKeepAlive || KEEPALIVE_SECONDS) * 1_000
    clearTimeout(this.#timer)
    const openUntil = performance.now() + OPEN_MS_MAX
    this.#timer = setInterval(() => this.#look(keepaliveMs, openUntil), Math.max(1, keepaliveMs / 2))
  }

  /** They must hear of us once in a keep alive, and we of them in one and a half. */
  #look(keepaliveMs: number, openUntil: number): void {
    const now = performance.now()
    if (this.#mode === 'subscribing' && now > openUntil) this.#end(new Error('no answer to the subscription'))
    // Who is not read from is not heard.
    else if (now - this.#heardAt > keepaliveMs * 1.5 && !this.#socket.isPaused())
      this.#end(new Error(`nothing came for ${Math.round(now - this.#heardAt)} ms, not even an answer to a PINGREQ`))
    else this.#socket.write(PINGREQ_BYTES)
  }

  #subscribed({ granted }: ISubackPacket): void {
    const at = (granted as number[]).findIndex((code) => code >= 0x80)
    if (at >= 0) {
      const { filter } = this.#filters[at] ?? assert.fail('more was granted than asked for')
      const code = (granted as number[])[at] ?? 0
      // MQTT 3.1.1 has one code, which says nothing.
      const why = code === 0x80 ? 'it is not allowed there' : refusalText(code)
      this.#end(new Error(`they refuse the subscription to ${filter}: ${why}`))
    } else if (this.#mode === 'subscribing') {
      this.#mode = 'up'
      this.#handler.up()
    }
  }

  #arrived(packet: IPublishPacket): void {
    const { qos, topic, retain, messageId } = packet
    if (qos === 2) {
      this.#end(new Error('they sent a message of QoS 2, and QoS 1 was asked for'))
      return
    }
    const payload = packet.payload as Buffer
    this.#hold(payload.length)
    const answer = this.#acks.enter((error) => {
      if (error) this.#end(error)
      else if (messageId !== undefined) this.#ack(messageId)
    })
    const framing = framingOf(packet.properties?.contentType)
    this.#handler.arrived({ topic, payload, qos, retain, framing, length: this.#frameBytes }, (error) => {
      answer(error)
      this.#release(payload.length)
    })
  }

  #hold(bytes: number): void {
    this.#held++
    this.#heldBytes += bytes + HELD_MESSAGE_BYTES
    if (this.#isFull) this.#socket.pause()
  }

  #release(bytes: number): void {
    this.#held--
    this.#heldBytes -= bytes + HELD_MESSAGE_BYTES
    assert(this.#held >= 0 && this.#heldBytes >= 0, 'no more is released than was held')
    if (this.#held === 0) this.#closed?.()
    if ((this.#mode === 'up' || this.#mode === 'subscribing') && !this.#isFull) this.#socket.resume()
  }

  get #isFull(): boolean {
    return this.#held >= HELD_MESSAGES_MAX || this.#heldBytes >= HELD_BYTES_MAX
  }

  #ack(messageId: number): void {
    if (this.#mode === 'ended') return
    // All of a commit are called back in one go.
    if (this.#ready.length === 0) queueMicrotask(() => this.#acknowledge())
    this.#ready.push(messageId)
  }

  #acknowledge(): void {
    const ids = this.#ready
    this.#ready = []
    if (ids.length === 0 || this.#mode === 'ended') return
    const bytes = Buffer.allocUnsafe(4 * ids.length)
    for (const [index, id] of ids.entries()) {
      bytes[4 * index] = PUBACK
      bytes[4 * index + 1] = 2
      bytes.writeUInt16BE(id, 4 * index + 2)
    }
    this.#socket.write(bytes)
    this.#handler.acknowledged(ids.length)
  }

  #end(error: Error): void {
    if (this.#mode === 'ended') return
    this.#acknowledge()
    this.#mode = 'ended'
    clearTimeout(this.#timer)
    this.#socket.destroy()
    this.#closed?.()
    this.#handler.ended(error)
  }
}
