/**
 * Owns the bytes that come from one client, from its socket to Aedes: it is Aedes's reading replaced, since that neither
 * limits a packet nor stops for a client whose messages wait.
 *
 *   socket --readable--> full? --no--> parse --> packet --> a rule broken? --no--> Aedes
 *                          | yes         |                         | yes
 *                          |             +--> more in the socket?  +--> the connection is closed
 *                          |                  its next turn
 *                          +--> left in the socket until a
 *                               message is released
 *
 * Bounds: a packet has at most `CONNECT_BYTES_MAX`, once connected `FRAME_BYTES_MAX` bytes (Aedes buffered 64 MB of one
 * CONNECT), and `FILTERS_PER_PACKET_MAX` topic filters. At once, no more is read than takes about `TURN_MS`; the rest waits
 * in `Turns`. Messages that are held: see `Held`; what was read in that turn may come on top. While more than
 * `UNREAD_ANSWERS_BYTES_MAX` wait for a client to read them, it is not read from either.
 */

import type { Client } from 'aedes'
import type { Packet } from 'mqtt-packet'
import {
  CONNECT_BYTES_MAX,
  FILTERS_PER_PACKET_MAX,
  FRAME_BYTES_MAX,
  TURN_BYTES_FIRST,
  TURN_BYTES_MAX,
  TURN_BYTES_MIN,
  TURN_MS,
  UNREAD_ANSWERS_BYTES_MAX,
} from '../platform/limits.ts'
import { internals, type Parser } from './aedes.ts'
import type { Held } from './held.ts'
import { isGoodString, UNACCEPTABLE_PROTOCOL_VERSION, violationOf } from './packet-rules.ts'
import type { Turns } from './turns.ts'

interface OurParser extends Parser {
  inbound: Inbound
}

export class Inbound {
  readonly held: Held
  readonly #turns: Turns
  readonly #client: Client
  /** Packets taken, and bytes that wait for the rest of theirs: whether a packet is stuck is seen from both. */
  packets = 0
  #unfinishedBytes = 0
  #packetsAtLastLook = -1
  /** So many take about `TURN_MS`. */
  #turnBytes = TURN_BYTES_FIRST
  /** The last string found good: a device's topics are nearly always the same one. */
  lastString = ''
  /** Of the packet that is being parsed. */
  strings = 0
  /** Packets behind an UNSUBSCRIBE that is under way; at most one turn's. */
  #behind: Packet[] | undefined
  /** mqtt-packet's own decoding. */
  readonly parseString: () => string | null
  /** Aedes's own listener. */
  readonly accept: (packet: Packet) => void

  /** Takes the place of Aedes's reading, right after Aedes has made the client. */
  constructor(client: Client, held: Held, turns: Turns) {
    this.#client = client
    this.held = held
    this.#turns = turns
    const inner = internals(client)
    const parser = inner._parser as OurParser
    this.accept = parser.listeners('packet')[0] as (packet: Packet) => void
    parser.inbound = this
    parser.removeAllListeners('packet')
    parser.on('packet', takePacket)
    parser.prependListener('error', refuseVersion)
    this.parseString = parser._parseString
    parser._parseString = parseGoodString
    const read = () => this.read()
    inner.conn.removeListener('readable', inner._nextBatch)
    inner.conn.on('readable', read)
    inner._parsingBatch = 0
    inner._nextBatch = (error) => {
      if (error) client.emit('error', error)
    }
    // After the packets that came before CONNACK, which Aedes takes from its own queue at this event.
    client.once('connected', read)
    held.onRoom = read
  }

  /** Reads one turn's bytes, unless it waits for its turn already. */
  read(): void {
    if (!this.#turns.has(this)) this.takeTurn()
  }

  takeTurn(): undefined {
    const { conn, _parser } = internals(this.#client)
    if (this.#client.connecting || this.#client.closed || this.#behind !== undefined) return
    if (conn.writableLength > UNREAD_ANSWERS_BYTES_MAX) {
      conn.once('drain', this.held.onRoom)
      return
    }
    if (this.held.isFull) {
      this.held.waitForRoom()
      return
    }
    const isMore = conn.readableLength > this.#turnBytes
    // Without a length, a stream whose last bytes these are ends.
    const chunk: Buffer | null = isMore ? conn.read(this.#turnBytes) : conn.read()
    if (chunk === null) return
    if (isMore) this.#turns.wait(this)
    const began = performance.now()
    this.#unfinishedBytes = _parser.parse(chunk)
    this.#adapt(performance.now() - began, isMore)
    const limit = this.#client.connected ? FRAME_BYTES_MAX : CONNECT_BYTES_MAX
    const { length } = _parser.packet
    if (length > limit) this.close(new Error(`a packet of ${length} bytes is larger than allowed, ${limit}`))
  }

  /** A PINGREQ takes two bytes, and half as long as a message of a hundred. */
  #adapt(tookMs: number, wasWhole: boolean): void {
    if (tookMs > TURN_MS) this.#turnBytes = Math.max(TURN_BYTES_MIN, this.#turnBytes / 2)
    else if (wasWhole && tookMs < TURN_MS / 4) this.#turnBytes = Math.min(TURN_BYTES_MAX, this.#turnBytes * 2)
  }

  /**
   * Hands a good packet to Aedes. What follows an UNSUBSCRIBE waits for it: Aedes carries it out a turn later, and took
   * away the subscription that a SUBSCRIBE right behind it had made.
   */
  take(packet: Packet): void {
    const inner = internals(this.#client)
    if (this.#behind !== undefined) this.#behind.push(packet)
    else if (packet.cmd !== 'unsubscribe' || !inner.connackSent) this.accept.call(inner._parser, packet)
    else {
      this.#behind = []
      const finished = inner._nextBatch
      inner._nextBatch = (error) => {
        if (error) finished(error)
        else this.#goOn()
      }
      // Aedes takes the callback from its client now.
      this.accept.call(inner._parser, packet)
      inner._nextBatch = finished
    }
  }

  #goOn(): void {
    const behind = this.#behind ?? []
    this.#behind = undefined
    if (this.#client.closed) return
    for (const packet of behind) this.take(packet)
    this.read()
  }

  /** Whether the same packet has been incomplete since the last look. */
  isStuck(): boolean {
    const stuck = this.#unfinishedBytes > 0 && this.packets === this.#packetsAtLastLook
    this.#packetsAtLastLook = this.#unfinishedBytes > 0 ? this.packets : -1
    return stuck
  }

  /** Closes the connection for what the client sent; with a return code, tells it by a CONNACK (section 3.2). */
  close(error: Error, returnCode?: number): void {
    if (this.#client.closed) return
    if (returnCode !== undefined) sendConnack(this.#client, returnCode)
    this.#client.emit('error', error)
  }
}

function takePacket(this: OurParser, packet: Packet): void {
  const { inbound } = this
  inbound.packets++
  inbound.strings = 0
  const violation = violationOf(packet, this._pos)
  if (violation === undefined) inbound.take(packet)
  else inbound.close(new Error(violation.message), violation.returnCode)
}

/**
 * mqtt-packet decodes any bytes, and any number of filters: 250,000 in one packet took 200 ms. `null` makes it report the
 * packet as malformed.
 */
function parseGoodString(this: OurParser): string | null {
  if (++this.inbound.strings > FILTERS_PER_PACKET_MAX) return null
  const start = this._pos + 2
  const text = this.inbound.parseString.call(this)
  if (text === null || text === this.inbound.lastString) return text
  if (!isGoodString(text, () => this._list.slice(start, this._pos))) return null
  this.inbound.lastString = text
  return text
}

/** An unknown protocol level is an error of mqtt-packet's, which ends the connection; section 3.1.2.2 wants a CONNACK first. */
function refuseVersion(this: OurParser, error: Error): void {
  if (error.message === 'Invalid protocol version') sendConnack(this.client, UNACCEPTABLE_PROTOCOL_VERSION)
}

function sendConnack(client: Client, returnCode: number): void {
  internals(client).conn.write(Buffer.of(0x20, 2, 0, returnCode))
}
