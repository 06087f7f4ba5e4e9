/**
 * Owns the packets of one client: from its bytes, by mqtt-packet's parser, to Aedes.
 *
 *   bytes --> parser --> packet --> a rule broken? --no--> anything before it to wait for? --no--> Aedes
 *                                        | yes                      | yes
 *                                        +--> disconnected          +--> `SubscribeOrder`
 *
 * Before the parser comes `PlainTelemetry`, which takes what it may of bytes that begin with a packet. A packet of MQTT 5 is made
 * one of MQTT 3.1.1 behind the first question, by `Level5`.
 *
 * Always true: a packet that breaks a rule of MQTT never reaches Aedes. The rule for a PUBLISH stands here, all others in
 * `packet-rules.ts`.
 * Bounds: a packet has at most `FRAME_BYTES_MAX` bytes and `FILTERS_PER_PACKET_MAX` topic filters; of a larger PUBLISH see
 * `Oversized`, of a CONNECT `PendingConnects`. For packets that are not whole yet see `PartialPackets`.
 */

import type { Client } from 'aedes'
import type { IConnectPacket, Packet } from 'mqtt-packet'
import { FILTERS_PER_PACKET_MAX, FRAME_BYTES_MAX, UNFINISHED_PROGRESS_BYTES_MIN } from '../../platform/limits.ts'
import { type Accept, detach, internals, type Parser } from '../aedes/internals.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import type { Level5, OpensLevel5 } from './level5.ts'
import { Oversized, type Publish } from './oversized.ts'
import {
  isGoodString,
  LEVEL_5,
  UNACCEPTABLE_PROTOCOL_VERSION,
  type Violation,
  violationOf,
  WITHOUT_ID,
} from './packet-rules.ts'
import type { LentParser, Parsers, Parses } from './parsers.ts'
import type { PartialPackets } from './partial-packets.ts'
import type { PlainTelemetry } from './plain-telemetry.ts'
import { SubscribeOrder } from './subscribe-order.ts'

const NOTHING = Buffer.alloc(0)
const PINGREQ = 0xc0
const PINGRESP = Buffer.of(0xd0, 0)
/** Reason codes of MQTT 5 (section 2.4): of its own, and by the return code of MQTT 3.1.1. */
const PACKET_TOO_LARGE = 0x95
const REASON_CODES: readonly (number | undefined)[] = [undefined, 0x84, 0x85]
/** Packets that a client may send before its CONNACK; one more closes the connection. */
const EARLY_PACKETS_MAX = 1_000
const ACKNOWLEDGEMENTS: ReadonlySet<string> = new Set(['puback', 'pubrec', 'pubcomp'])

export interface PacketsDependencies {
  readonly parsers: Parsers
  readonly partialPackets: PartialPackets
  readonly disconnects: Disconnects
  readonly mqtt5: OpensLevel5
  /** Takes a CONNECT, which is the first packet. */
  readonly connect: (packets: Packets, packet: IConnectPacket) => void
}

export class Packets implements Parses {
  readonly client: Client
  readonly #parsers: Parsers
  /** While a packet is parsed, or is not whole. */
  #parser: LentParser | undefined
  readonly #partialPackets: PartialPackets
  readonly #disconnects: Disconnects
  readonly #reader: { read(): void }
  /** From the first SUBSCRIBE on. */
  #order: SubscribeOrder | undefined
  readonly #connect: PacketsDependencies['connect']
  readonly #mqtt5: OpensLevel5
  /** Of a connection of MQTT 5, from its CONNECT on. */
  level5: Level5 | undefined
  /** Hands to Aedes what comes after the CONNACK, or a CONNECT. */
  readonly accept: Accept
  /** Those behind the CONNECT, until there is a CONNACK; undefined while there are none. */
  #early: Packet[] | undefined
  /** Packets taken that are no acknowledgements: these a subscriber that keeps up owes, and they cost nothing behind the broker. */
  requests = 0
  /** Bytes read that were not thrown away: those cost nothing there, either. */
  requestBytes = 0
  /** Packets taken, bytes read, and bytes that wait for the rest of theirs: whether a packet is stuck is seen from them. */
  #count = 0
  #bytes = 0
  #unfinishedBytes = 0
  #countAtLastLook = -1
  #bytesAtLastLook = 0
  /** The short way, once it is known who publishes; undefined where all goes the long way. */
  plain: PlainTelemetry | undefined
  /** A PUBLISH that is larger than a packet may be. */
  #oversized: Oversized | undefined
  /** The last string found good: a device's topics are nearly always the same one. */
  #lastString = ''
  /** Of the packet that is being parsed. */
  #strings = 0

  /** Takes the place of Aedes's parser. `reader` reads on when what waited in here has gone to Aedes. */
  constructor(client: Client, reader: { read(): void }, dependencies: PacketsDependencies) {
    const { parsers, partialPackets, disconnects, connect, mqtt5 } = dependencies
    this.client = client
    this.#reader = reader
    this.#parsers = parsers
    this.#partialPackets = partialPackets
    this.#disconnects = disconnects
    this.#connect = connect
    this.#mqtt5 = mqtt5
    this.accept = detach(client)
    internals(client)._nextBatch = (error) => {
      if (error) this.#disconnects.end(client, error)
    }
  }

  /** Packets wait in here, and nothing is to be read. */
  get isHolding(): boolean {
    return this.#order?.isHolding === true
  }

  /** Takes what was read. */
  parse(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#oversized !== undefined) {
      const rest = this.#skip(this.#oversized, chunk)
      if (rest === undefined || rest.length === 0) return
      chunk = rest
    } else this.requestBytes += chunk.length
    if (this.#parser === undefined && isPing(chunk) && this.client.connected && !this.isHolding) {
      this.#answerPing()
      return
    }
    const before = this.#count
    const unfinishedBefore = this.#unfinishedBytes
    const rest = this.plain === undefined ? chunk : this.#takePlain(this.plain, chunk)
    if (rest.length > 0) this.#parse(rest)
    this.#unfinishedBytes = this.#parser?._list.length ?? 0
    if (this.#parser !== undefined && this.#parser.packet.length > FRAME_BYTES_MAX) this.#tooLarge(this.#parser)
    if (this.#unfinishedBytes === 0 && unfinishedBefore === 0) return
    this.#partialPackets.note(this, this.client.closed ? 0 : this.#unfinishedBytes, before !== this.#count)
  }

  /** Most of what a fleet sends that has nothing to tell. A client that does not read its answers is ended after a while. */
  #answerPing(): void {
    this.#count++
    this.requests++
    const inner = internals(this.client)
    if (!inner.conn.write(PINGRESP) && !inner.errored) {
      inner.waitForDrain((error) => {
        if (error) this.#disconnects.end(this.client, error)
      })
    }
  }

  #parse(bytes: Buffer): void {
    this.#parser ??= this.#parsers.lend(this)
    this.#parser.parse(bytes)
    if (this.#parser !== undefined && this.#parsers.takeBack(this.#parser)) this.#parser = undefined
  }

  /** Has telemetry go the short way, behind the rest of a PUBLISH that was begun; returns what is left for the parser. */
  #takePlain(plain: PlainTelemetry, chunk: Buffer): Buffer {
    const { client } = this
    let at = 0
    for (let parser = this.#parser; parser && isBegunPublish(parser) && !client.closed; parser = this.#parser) {
      if (at === chunk.length) break
      const piece = chunk.subarray(at, at + missingBytes(parser))
      this.#parse(piece)
      at += piece.length
    }
    if (this.#parser === undefined && client.connected && !client.closed && !this.isHolding) {
      const before = plain.count
      at = plain.take(chunk, at)
      this.#count += plain.count - before
      this.requests += plain.count - before
    }
    if (client.closed) return NOTHING
    return at === 0 ? chunk : chunk.subarray(at)
  }

  #tooLarge(parser: LentParser): void {
    const { length, cmd } = parser.packet
    if (cmd !== 'publish' || this.isLevel5) {
      const rule = `a packet of ${length} bytes is larger than allowed, ${FRAME_BYTES_MAX}`
      this.#end(new Disconnect('protocol-error', rule, PACKET_TOO_LARGE))
    } else if (this.client.connected) {
      this.#oversized = Oversized.takeOver(parser)
      if (this.#oversized === undefined) return
      this.#unfinishedBytes = 0
      if (this.#parsers.takeBack(parser)) this.#parser = undefined
    }
  }

  /** What of a chunk is not the oversized packet's; undefined while more of that is to come. */
  #skip(oversized: Oversized, chunk: Buffer): Buffer | undefined {
    const rest = oversized.skip(chunk)
    if (rest === undefined) return undefined
    const { packet } = oversized
    this.#oversized = undefined
    if (isGoodString(packet.topic, () => Buffer.from(packet.topic))) this.take(packet, 0)
    else this.violated('the topic of a PUBLISH is no good string')
    return rest
  }

  /** Hands a good packet to Aedes, in its order. `parsed` of its bytes were read as fields; a payload is not among them. */
  take(packet: Packet, parsed: number): void {
    if (this.client.closed) return
    const { cmd } = packet
    this.#count++
    if (!ACKNOWLEDGEMENTS.has(cmd ?? '')) this.requests++
    this.#strings = 0
    if (cmd === 'connect' && packet.protocolVersion === LEVEL_5) this.#openLevel5()
    const violation =
      packet.cmd === 'publish' ? publishViolation(packet, parsed) : violationOf(packet, parsed, this.isLevel5)
    if (violation !== undefined) this.violated(violation.message, violation.returnCode)
    else if (this.level5 !== undefined) this.#translate(this.level5, packet)
    else this.#handOn(packet)
  }

  get isLevel5(): boolean {
    return this.level5 !== undefined
  }

  #openLevel5(): void {
    this.level5 ??= this.#mqtt5.open(this.client, (packet) => this.accept(packet))
  }

  #translate(level5: Level5, packet: Packet): void {
    try {
      const translated = level5.translate(packet)
      if (translated !== undefined) this.#handOn(translated)
    } catch (error) {
      if (!(error instanceof Disconnect)) throw error
      this.#end(error)
    }
  }

  #handOn(packet: Packet): void {
    const { cmd } = packet
    if (cmd === 'subscribe' || cmd === 'unsubscribe' || this.isHolding) this.#inOrder().take(packet)
    else this.#hand(packet)
  }

  /** To Aedes; what comes behind the CONNECT, when there is a CONNACK. */
  #hand(packet: Packet): void {
    if (internals(this.client).connackSent) {
      this.accept(packet)
      return
    }
    if (packet.cmd === 'connect' && !this.client.connecting) {
      this.#connect(this, packet)
      return
    }
    this.#early ??= []
    if (this.#early.length < EARLY_PACKETS_MAX) this.#early.push(packet)
    else this.violated(`it sent more than ${EARLY_PACKETS_MAX} packets before its CONNACK`)
  }

  /** There is a CONNACK. */
  connected(): void {
    const early = this.#early ?? []
    this.#early = undefined
    for (const packet of early) this.accept(packet)
  }

  #inOrder(): SubscribeOrder {
    this.#order ??= new SubscribeOrder({
      accept: (packet) => this.#hand(packet),
      unsubscribe: (packet, done) => this.#unsubscribe(packet, done),
      readOn: () => this.#reader.read(),
      isConnected: () => internals(this.client).connackSent,
    })
    return this.#order
  }

  #unsubscribe(packet: Packet, done: () => void): void {
    const inner = internals(this.client)
    const finished = inner._nextBatch
    inner._nextBatch = (error) => {
      if (error) finished(error)
      else if (!this.client.closed) done()
    }
    // Aedes takes the callback from its client now.
    this.accept(packet)
    inner._nextBatch = finished
  }

  /** What is retained has been sent for the SUBSCRIBE that was taken last. */
  delivered(): void {
    if (!this.client.closed) this.#order?.delivered()
  }

  /**
   * Whether the same packet has been incomplete since the last look, and next to nothing of it has come: a device on a slow
   * network sends 250 KiB in a minute.
   */
  isStuck(): boolean {
    const isUnfinished = this.#unfinishedBytes > 0 || this.#oversized !== undefined
    const isSame = isUnfinished && this.#countAtLastLook === this.#count
    const isStuck = isSame && this.#bytes - this.#bytesAtLastLook < UNFINISHED_PROGRESS_BYTES_MIN
    this.#countAtLastLook = isUnfinished ? this.#count : -1
    this.#bytesAtLastLook = this.#bytes
    return isStuck
  }

  makeRoom(): void {
    this.#end(new Disconnect('stuck-packet', 'a packet was begun and not finished, and others need the room'))
  }

  /** Ends the connection for what the client sent; with a return code, tells it by a CONNACK (section 3.2). */
  violated(rule: string, returnCode?: number): void {
    if (returnCode !== undefined && !this.isLevel5 && !this.client.closed) sendConnack(this.client, returnCode)
    this.#end(new Disconnect('protocol-error', rule, REASON_CODES[returnCode ?? 0]))
  }

  #end(disconnect: Disconnect): void {
    if (!this.client.closed) this.#disconnects.end(this.client, disconnect)
  }

  /**
   * Lets go of what was read of a client that is gone, rather than leave it to V8 to find both dead: what is garbage in its old
   * generation holds what came after it, until a collection of the whole heap, for which all others wait.
   */
  forget(): void {
    this.#partialPackets.note(this, 0, false)
    const list = this.#parser?._list
    list?.consume(list.length)
    this.#parser = undefined
    this.#early = undefined
  }

  /** mqtt-packet takes any number of filters: 250,000 in one packet took 200 ms. */
  isGood(text: string, bytes: () => Uint8Array): boolean {
    if (++this.#strings > FILTERS_PER_PACKET_MAX) return false
    if (text === this.#lastString) return true
    if (!isGoodString(text, bytes)) return false
    this.#lastString = text
    return true
  }

  /** An unknown protocol level is an error of mqtt-packet's, which ends the connection; section 3.1.2.2 wants a CONNACK first. */
  failed(error: Error): void {
    if (this.client.closed) return
    const { cmd, protocolVersion } = this.#parser?.packet ?? {}
    if (cmd === 'connect' && protocolVersion === LEVEL_5) this.#openLevel5()
    if (error.message === 'Invalid protocol version') sendConnack(this.client, UNACCEPTABLE_PROTOCOL_VERSION)
    this.#disconnects.end(this.client, error)
  }
}

/** A PINGREQ that came alone, as it nearly always does. */
function isPing(chunk: Buffer): boolean {
  return chunk.length === 2 && chunk[0] === PINGREQ && chunk[1] === 0
}

/** mqtt-packet gives -1 for a packet id that is not there. */
function publishViolation({ length = 0, qos, messageId = 0 }: Publish, parsed: number): Violation | undefined {
  if (parsed > length) return { message: 'a PUBLISH ends within its topic or packet id' }
  return qos > 0 && messageId <= 0 ? WITHOUT_ID : undefined
}

/** A PUBLISH of which bytes are missing; of one that is too large, those are not waited for. */
function isBegunPublish({ _stateCounter: state, packet }: Parser): boolean {
  return state > 0 && packet.cmd === 'publish' && packet.length <= FRAME_BYTES_MAX
}

/** How many bytes the parser needs, at least, to go on with the packet: all that are missing, once its length is known. */
function missingBytes({ _stateCounter: state, packet, _list: list }: Parser): number {
  return state === 2 ? Math.max(1, packet.length - list.length) : 1
}

function sendConnack(client: Client, returnCode: number): void {
  internals(client).conn.write(Buffer.of(0x20, 2, 0, returnCode))
}
