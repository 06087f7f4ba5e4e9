/**
 * Owns the bytes that come from one client, from its socket to Aedes. It takes the place of Aedes's own reading, which does
 * not limit the size of a packet and reads on while the client's messages wait.
 *
 *   socket --readable--> full? --no--> parse --> packet --> a rule broken? --no--> Aedes
 *                          | yes         |                         | yes
 *                          |             +--> more in the socket?  +--> the connection is closed
 *                          |                  its next turn
 *                          +--> left in the socket until a
 *                               message is released
 *
 * Bounds: a packet has at most `FRAME_BYTES_MAX` bytes and `FILTERS_PER_PACKET_MAX` topic filters; of a larger PUBLISH see
 * `Oversized`, of a CONNECT `PendingConnects`. At once, no more is read than takes about `TURN_MS`; what is left waits for its turn
 * (`FairShare`), longer if the client has used up its `CpuQuota`. For packets that are not whole yet see `PartialPackets`. For messages
 * that are held see `ReceiveWindow`, whose bounds the rest of a turn may exceed. A client that has left more than
 * `UNREAD_ANSWERS_BYTES_MAX` unread is not read from either.
 */

import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import type { Packet } from 'mqtt-packet'
import { FILTERS_PER_PACKET_MAX, FRAME_BYTES_MAX, UNFINISHED_PROGRESS_BYTES_MIN } from '../../platform/limits.ts'
import { internals, type Parser } from '../aedes/internals.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import type { ReceiveWindow } from '../session/receive-window.ts'
import { readBuffered } from './buffered.ts'
import { CpuQuota } from './cpu-quota.ts'
import type { FairShare } from './fair-share.ts'
import { Oversized } from './oversized.ts'
import { isGoodString, UNACCEPTABLE_PROTOCOL_VERSION, violationOf } from './packet-rules.ts'
import type { PartialPackets } from './partial-packets.ts'
import { SubscribeOrder } from './subscribe-order.ts'

/** How long reading from one client may take before others have their turn, about; its bytes per turn follow from it. */
const TURN_MS = 0.25
/** Bytes per turn of a client that has just connected, at least and at most. */
const TURN_BYTES_FIRST = 2 * 1024
const TURN_BYTES_MIN = 128
export const TURN_BYTES_MAX = 16 * 1024
/** Bytes that one client has not read yet, at which nothing is read from it: it must not grow a heap of acknowledgements. */
export const UNREAD_ANSWERS_BYTES_MAX = 256 * 1024

const ACKNOWLEDGEMENTS: ReadonlySet<string> = new Set(['puback', 'pubrec', 'pubcomp'])

interface OurParser extends Parser {
  inbound: Inbound
}

export interface InboundShares {
  readonly receiveWindow: ReceiveWindow
  readonly fairShare: FairShare
  readonly partialPackets: PartialPackets
  readonly metrics: BrokerMetrics
  readonly disconnects: Disconnects
  /** Whether no other client is connected. */
  readonly isAlone: () => boolean
}

export class Inbound {
  readonly receiveWindow: ReceiveWindow
  readonly #fairShare: FairShare
  readonly #partialPackets: PartialPackets
  readonly #metrics: BrokerMetrics
  readonly #disconnects: Disconnects
  readonly #isAlone: () => boolean
  readonly #cpuQuota = new CpuQuota(performance.now())
  readonly #client: Client
  /** Packets taken, bytes read, and bytes that wait for the rest of theirs: whether a packet is stuck is seen from them. */
  packets = 0
  /** Those of them that are no acknowledgements: a subscriber that keeps up owes them, and they cost nothing behind the broker. */
  requests = 0
  #bytes = 0
  #unfinishedBytes = 0
  #atLastLook = { packets: -1, bytes: 0 }
  /** So many take about `TURN_MS`. */
  #turnBytes = TURN_BYTES_FIRST
  /** The last string found good: a device's topics are nearly always the same one. */
  lastString = ''
  /** Of the packet that is being parsed. */
  strings = 0
  /** A PUBLISH that is larger than a packet may be. */
  #oversized: Oversized | undefined
  readonly #order: SubscribeOrder
  /** mqtt-packet's own decoding. */
  readonly parseString: () => string | null
  /** Aedes's own listener. */
  readonly accept: (packet: Packet) => void

  /** Takes the place of Aedes's reading, right after Aedes has made the client. */
  constructor(client: Client, shares: InboundShares) {
    const { receiveWindow, fairShare, partialPackets, metrics, disconnects, isAlone } = shares
    this.#client = client
    this.receiveWindow = receiveWindow
    this.#fairShare = fairShare
    this.#partialPackets = partialPackets
    this.#metrics = metrics
    this.#disconnects = disconnects
    this.#isAlone = isAlone
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
    this.#order = new SubscribeOrder({
      accept: (packet) => this.accept.call(parser, packet),
      unsubscribe: (packet, done) => this.#unsubscribe(packet, done),
      readOn: read,
      isConnected: () => inner.connackSent,
    })
    inner.conn.removeListener('readable', inner._nextBatch)
    inner.conn.on('readable', read)
    inner._parsingBatch = 0
    inner._nextBatch = (error) => {
      if (error) disconnects.end(client, error)
    }
    // After the packets that came before CONNACK, which Aedes takes from its own queue at this event.
    client.once('connected', read)
    inner.conn.once('close', () => this.#forget())
    this.#endAfterConnect()
    receiveWindow.onRoom = read
  }

  /** Reads one turn's bytes, unless it waits for its turn already. */
  read(): void {
    if (!this.#fairShare.has(this)) this.takeTurn()
  }

  takeTurn(): undefined {
    const { conn } = internals(this.#client)
    if (this.#client.connecting || this.#client.closed || this.#order.isHolding) return
    if (conn.writableLength > UNREAD_ANSWERS_BYTES_MAX) {
      // Each byte that comes meanwhile asks again.
      conn.removeListener('drain', this.receiveWindow.onRoom)
      conn.once('drain', this.receiveWindow.onRoom)
      return
    }
    if (this.receiveWindow.isFull) {
      this.receiveWindow.waitForRoom()
      return
    }
    const isMore = conn.readableLength > this.#turnBytes
    const chunk: Buffer | null = isMore ? conn.read(this.#turnBytes) : readBuffered(conn)
    if (chunk === null) return
    // Before parsing, so that nothing reads on in the middle of it.
    if (isMore) this.#fairShare.wait(this)
    this.#bytes += chunk.length
    const requestsBefore = this.requests
    // What is thrown away costs nothing behind the broker.
    const bytes = this.#oversized === undefined ? chunk.length : 0
    const began = performance.now()
    this.#parse(chunk)
    const now = performance.now()
    this.#adapt(now - began, isMore)
    const work = { tookMs: now - began, packets: this.requests - requestsBefore, bytes }
    const restMs = this.#isAlone() ? 0 : this.#cpuQuota.charge(now, work)
    if (restMs === 0) return
    this.#metrics.restedMs += restMs
    this.#fairShare.rest(this, restMs)
  }

  #parse(chunk: Buffer): void {
    const parser = internals(this.#client)._parser as OurParser
    if (this.#oversized !== undefined) {
      const rest = this.#oversized.skip(chunk)
      if (rest === undefined) return
      const { packet } = this.#oversized
      this.#oversized = undefined
      if (isGoodString(packet.topic, () => Buffer.from(packet.topic))) takePacket.call(parser, packet)
      else this.violated('the topic of a PUBLISH is no good string')
      if (rest.length === 0) return
      chunk = rest
    }
    const { packets } = this
    this.#unfinishedBytes = parser.parse(chunk)
    const { length, cmd } = parser.packet
    if (length > FRAME_BYTES_MAX && cmd !== 'publish') {
      this.violated(`a packet of ${length} bytes is larger than allowed, ${FRAME_BYTES_MAX}`)
    } else if (length > FRAME_BYTES_MAX && this.#client.connected) {
      this.#oversized = Oversized.takeOver(parser)
      if (this.#oversized !== undefined) this.#unfinishedBytes = 0
    }
    this.#partialPackets.note(this, this.#client.closed ? 0 : this.#unfinishedBytes, packets !== this.packets)
  }

  /** A PINGREQ takes two bytes, and half as long as a message of a hundred. */
  #adapt(tookMs: number, wasWhole: boolean): void {
    if (tookMs > TURN_MS) this.#turnBytes = Math.max(TURN_BYTES_MIN, this.#turnBytes / 2)
    else if (wasWhole && tookMs < TURN_MS / 4) this.#turnBytes = Math.min(TURN_BYTES_MAX, this.#turnBytes * 2)
  }

  /** Hands a good packet to Aedes, in its order. */
  take(packet: Packet): void {
    this.#order.take(packet)
  }

  #unsubscribe(packet: Packet, done: () => void): void {
    const inner = internals(this.#client)
    const finished = inner._nextBatch
    inner._nextBatch = (error) => {
      if (error) finished(error)
      else if (!this.#client.closed) done()
    }
    // Aedes takes the callback from its client now.
    this.accept.call(inner._parser, packet)
    inner._nextBatch = finished
  }

  /** What is retained has been sent for the SUBSCRIBE that was taken last. */
  delivered(): void {
    if (!this.#client.closed) this.#order.delivered()
  }

  /**
   * Whether the same packet has been incomplete since the last look, and next to nothing of it has come: a device on a slow
   * network sends 250 KiB in a minute.
   */
  isStuck(): boolean {
    const { packets, bytes } = this.#atLastLook
    const isUnfinished = this.#unfinishedBytes > 0 || this.#oversized !== undefined
    this.#atLastLook = { packets: isUnfinished ? this.packets : -1, bytes: this.#bytes }
    return isUnfinished && packets === this.packets && this.#bytes - bytes < UNFINISHED_PROGRESS_BYTES_MIN
  }

  makeRoom(): void {
    this.#end(new Disconnect('stuck-packet', 'a packet was begun and not finished, and others need the room'))
  }

  /** Ends the connection for what the client sent; with a return code, tells it by a CONNACK (section 3.2). */
  violated(rule: string, returnCode?: number): void {
    if (returnCode !== undefined && !this.#client.closed) sendConnack(this.#client, returnCode)
    this.#end(new Disconnect('protocol-error', rule))
  }

  #end(disconnect: Disconnect): void {
    if (!this.#client.closed) this.#disconnects.end(this.#client, disconnect)
  }

  /**
   * Lets go of what was read of a client that is gone, rather than leave it to V8 to find both dead: what is garbage in its old
   * generation holds what came after it, until a collection of the whole heap, for which all others wait.
   */
  #forget(): void {
    this.#partialPackets.note(this, 0, false)
    const { conn, _parser: parser } = internals(this.#client)
    readBuffered(conn)
    parser._list.consume(parser._list.length)
  }

  /**
   * A client that closes its end right behind CONNECT and PUBLISH, as the specification allows (section 3.1.4), has sent
   * them: Aedes closed the connection while the CONNECT had not been looked at yet, and the messages were lost. (A WebSocket has
   * no such end: its close is that of both sides, RFC 6455 section 7.)
   */
  #endAfterConnect(): void {
    const { conn } = internals(this.#client)
    const end = conn.listeners('end').find(({ name }) => name === 'bound close') as (() => void) | undefined
    assert(end, 'Aedes closes its client at the end of the connection')
    conn.removeListener('end', end)
    conn.on('end', () => {
      if (!this.#client.connecting) end()
      else this.#client.once('connected', end)
    })
  }
}

function takePacket(this: OurParser, packet: Packet): void {
  const { inbound } = this
  inbound.packets++
  if (!ACKNOWLEDGEMENTS.has(packet.cmd ?? '')) inbound.requests++
  inbound.strings = 0
  const violation = violationOf(packet, this._pos)
  if (violation === undefined) inbound.take(packet)
  else inbound.violated(violation.message, violation.returnCode)
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
