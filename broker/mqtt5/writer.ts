/**
 * Owns how the packets that Aedes sends one client of MQTT 5 are written: those of MQTT 3.1.1 that they are become packets of
 * MQTT 5, with reason codes, and with the properties of their messages.
 *
 * Always true: nothing is larger than the client's Maximum Packet Size (section 3.1.2.11.4): a Reason String is left out; a message
 * is not sent, which is counted, and is done with; for an answer that has no room the connection ends. A message that has expired
 * is not sent either (section 3.3.2.3.3).
 * Bound: that of `SendWindow`; for more, the client is disconnected as slow.
 */

import type { Duplex } from 'node:stream'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { sharedFilterOf } from '../../identity/topics.ts'
import { FRAME_BYTES_MAX, OUTBOUND_BYTES_MAX } from '../../platform/limits.ts'
import { printable } from '../../platform/printable.ts'
import type { PacketWriter } from '../aedes/writing.ts'
import type { BrokerMetrics, Drop } from '../reports/metrics.ts'
import type { Session } from '../session/session.ts'
import { type Agreement, TOKEN_METHOD } from './agreement.ts'
import { MessageProperties } from './message-properties.ts'
import { block, propertyBytes, SENT, text, u16, varint } from './properties.ts'
import { RECEIVE_MAXIMUM } from './reader.ts'
import {
  FAILURE_MIN,
  NO_SUBSCRIPTION_EXISTED,
  NOT_AUTHORIZED,
  QUOTA_EXCEEDED,
  refusedConnect,
  TOPIC_FILTER_INVALID,
  USE_ANOTHER_SERVER,
} from './reason-codes.ts'
import { SendWindow, type Sent } from './send-window.ts'
import { OutboundAliases, TOPIC_ALIASES_MAX } from './topic-aliases.ts'

/** Characters of a Reason String. */
const REASON_CHARS_MAX = 300
/** First bytes of packets. */
const CONNACK = 0x20
const PUBLISH = 0x30
const DISCONNECT = 0xe0
const AUTH = 0xf0
const ACKNOWLEDGEMENTS = { puback: 0x40, pubrec: 0x50 } as const
const ANSWERS = { suback: 0x90, unsuback: 0xb0 } as const
const SHARED = '$share/'
const NOTHING = Buffer.alloc(0)
const NONE: readonly Buffer[] = []
const SUCCESS = 0x00
const METHOD: readonly Buffer[] = [propertyBytes(SENT.authenticationMethod, TOKEN_METHOD)]

export interface WriterEvents {
  /** A message of QoS > 0 will not be sent: it is done with. */
  readonly discarded: (message: Sent) => void
  /** Too much waits for the client to acknowledge. */
  readonly slow: () => void
  /** The client's Maximum Packet Size has no room for an answer. */
  readonly unspeakable: () => void
  /** A PUBREC refuses the message: no PUBREL will come. */
  readonly refused: (messageId: number) => void
  readonly now: () => number
  readonly metrics: BrokerMetrics
  readonly serverReference: string | undefined
}

/** Why an acknowledgement has a code other than 0. */
interface Reason {
  readonly code: number
  readonly words: string
}

export class Writer implements PacketWriter {
  readonly #conn: Duplex
  readonly #agreement: Agreement
  readonly #events: WriterEvents
  readonly #window: SendWindow
  readonly #aliases: OutboundAliases
  /** From the authentication on. */
  session: Session | undefined
  /** Why the client is refused, before its CONNACK is written. */
  refusal: { readonly words: string; readonly code: number | undefined } | undefined
  hasConnack = false
  #hasGivenUp = false
  /** By packet id: the filters of a SUBSCRIBE or UNSUBSCRIBE that is not answered yet. */
  readonly #asked = new Map<number, readonly string[]>()
  /** By packet id: messages that are about to be acknowledged so. */
  readonly #notTaken = new Map<number, Reason>()

  constructor(conn: Duplex, agreement: Agreement, events: WriterEvents) {
    this.#conn = conn
    this.#agreement = agreement
    this.#events = events
    this.#window = new SendWindow(agreement.receiveMaximum)
    this.#aliases = new OutboundAliases(agreement.topicAliasMaximum)
  }

  write(packet: Packet): boolean {
    switch (packet.cmd) {
      case 'connack':
        return this.connack(packet.returnCode ?? 0, packet.sessionPresent === true)
      case 'publish':
        return this.#publish(packet as Sent)
      case 'puback':
      case 'pubrec':
        return this.#acknowledge(packet.cmd, packet.messageId ?? 0)
      case 'suback':
        return this.#answer(packet.cmd, packet.messageId ?? 0, (filters) => this.#granted(filters, packet.granted))
      case 'unsuback':
        return this.#answer(packet.cmd, packet.messageId ?? 0, (filters) => this.#ended(filters))
      default:
        // PUBREL, PUBCOMP and PINGRESP are the same.
        return this.#send(mqttPacket.generate(packet))
    }
  }

  /** Answers a CONNECT, with a return code of MQTT 3.1.1. */
  connack(returnCode: number, sessionPresent: boolean): boolean {
    if (returnCode > 0) {
      const { words = '', code = refusedConnect(returnCode) } = this.refusal ?? {}
      return this.refuse(code, words)
    }
    const { assignedClientId, serverKeepalive, mayRenew } = this.#agreement
    const properties = [
      propertyBytes(SENT.receiveMaximum, RECEIVE_MAXIMUM),
      propertyBytes(SENT.maximumPacketSize, FRAME_BYTES_MAX),
      propertyBytes(SENT.topicAliasMaximum, TOPIC_ALIASES_MAX),
      ...(assignedClientId === undefined ? NONE : [propertyBytes(SENT.assignedClientIdentifier, assignedClientId)]),
      ...(serverKeepalive === undefined ? NONE : [propertyBytes(SENT.serverKeepalive, serverKeepalive)]),
      ...(mayRenew ? METHOD : NONE),
    ]
    return this.#connack(Buffer.of(sessionPresent ? 1 : 0, 0), properties)
  }

  /** The token that the client has shown holds from now on. */
  renewed(): boolean {
    return this.#send(packetOf(AUTH, [Buffer.of(SUCCESS), block(METHOD)]))
  }

  refuse(code: number, words: string): boolean {
    return this.#connack(Buffer.of(0, code), this.#explained(CONNACK_BYTES, code, words))
  }

  #connack(head: Buffer, properties: readonly Buffer[]): boolean {
    const packet = packetOf(CONNACK, [head, block(properties)])
    this.hasConnack = packet.length <= this.#agreement.maximumPacketSize
    return this.#send(packet)
  }

  /** Says why the connection ends. */
  disconnect(code: number, words: string): boolean {
    return this.#send(packetOf(DISCONNECT, [Buffer.of(code), block(this.#explained(DISCONNECT_BYTES, code, words))]))
  }

  /** A message will be acknowledged so. */
  notTaken(messageId: number, reason: Reason): void {
    this.#notTaken.set(messageId, reason)
  }

  asked(messageId: number, filters: readonly string[]): void {
    this.#asked.set(messageId, filters)
  }

  /** The client is done with a message. */
  release(messageId: number): void {
    this.#window.release(messageId, (message) => this.#deliver(message))
  }

  #publish(message: Sent): boolean {
    if (message.qos === 0 || this.#window.take(message)) return this.#deliver(message)
    if (this.#window.waitingBytes > OUTBOUND_BYTES_MAX) this.#events.slow()
    return true
  }

  #deliver(message: Sent): boolean {
    const { qos, payload, dup, messageId = 0 } = message
    const own = MessageProperties.of(message)
    const options = this.session?.subscriptions.optionsOf(message.topic)
    const properties = options?.identifiers.map((id) => propertyBytes(SENT.subscriptionIdentifier, id)) ?? []
    if (own !== undefined) {
      properties.push(own.bytes)
      if (own.expiresAt !== undefined) {
        const seconds = Math.ceil((own.expiresAt - this.#events.now()) / 1_000)
        if (seconds <= 0 && !dup) return this.#discard(message, 'message-expired')
        properties.push(propertyBytes(SENT.messageExpiryInterval, Math.max(0, seconds)))
      }
    }
    const { maximumPacketSize, topicAliasMaximum } = this.#agreement
    if (maximumPacketSize < LARGEST && this.#sizeOf(message, properties) > maximumPacketSize) {
      return this.#discard(message, 'packet-too-large')
    }
    const { topic, alias } =
      topicAliasMaximum === 0 ? { topic: message.topic, alias: undefined } : this.#aliases.of(message.topic)
    if (alias !== undefined) properties.push(propertyBytes(SENT.topicAlias, alias))
    const isRetained = message.retain || (own?.isRetained === true && options?.retainAsPublished === true)
    const flags = PUBLISH + (dup ? 8 : 0) + qos * 2 + (isRetained ? 1 : 0)
    const head = [text(topic), qos > 0 ? u16(messageId) : NOTHING, block(properties)]
    return this.#send(packetOf(flags, head, payload.length), payload as Buffer)
  }

  /** With its alias, at most. */
  #sizeOf({ topic, payload, qos }: Sent, properties: readonly Buffer[]): number {
    const alias = this.#agreement.topicAliasMaximum > 0 ? ALIAS_BYTES : 0
    const propertiesBytes = block(properties).length + alias
    const rest = 2 + Buffer.byteLength(topic) + (qos > 0 ? 2 : 0) + propertiesBytes + payload.length
    return 1 + varint(rest).length + rest
  }

  #discard(message: Sent, reason: Drop): boolean {
    this.#events.metrics.dropped(reason)
    if (message.qos > 0) this.#events.discarded(message)
    return true
  }

  #acknowledge(cmd: 'puback' | 'pubrec', messageId: number): boolean {
    const reason = this.#notTaken.get(messageId)
    if (reason === undefined) return this.#send(packetOf(ACKNOWLEDGEMENTS[cmd], [u16(messageId)]))
    this.#notTaken.delete(messageId)
    if (cmd === 'pubrec' && reason.code >= FAILURE_MIN) this.#events.refused(messageId)
    const properties = this.#reason(ACKNOWLEDGEMENT_BYTES, reason.words, this.#agreement.wantsReasons)
    return this.#send(packetOf(ACKNOWLEDGEMENTS[cmd], [u16(messageId), Buffer.of(reason.code), block(properties)]))
  }

  #answer(cmd: keyof typeof ANSWERS, messageId: number, codes: (filters: readonly string[]) => number[]): boolean {
    const filters = this.#asked.get(messageId) ?? []
    this.#asked.delete(messageId)
    return this.#send(packetOf(ANSWERS[cmd], [u16(messageId), block(NONE), Buffer.from(codes(filters))]))
  }

  /** Aedes answers a filter once that is named twice; a client of MQTT 5 is answered for each (section 3.9.3). */
  #granted(filters: readonly string[], granted: readonly (number | object)[]): number[] {
    const unique = [...new Set(filters)]
    const byFilter = new Map(unique.map((filter, index) => [filter, Number(granted[index] ?? NOT_GRANTED)]))
    return filters.map((filter) => {
      const qos = byFilter.get(filter) ?? NOT_GRANTED
      return qos === NOT_GRANTED ? this.#whyNot(filter) : qos
    })
  }

  #whyNot(filter: string): number {
    if (filter.startsWith(SHARED) && sharedFilterOf(filter) === undefined) return TOPIC_FILTER_INVALID
    return this.session?.subscriptions.isFull ? QUOTA_EXCEEDED : NOT_AUTHORIZED
  }

  /** The UNSUBACK is written before the filters are forgotten; one that is named again has ended by then (section 3.10.4). */
  #ended(filters: readonly string[]): number[] {
    const ended = new Set<string>()
    return filters.map((filter) => {
      if (ended.has(filter) || !this.session?.subscriptions.has(filter)) return NO_SUBSCRIPTION_EXISTED
      ended.add(filter)
      return 0
    })
  }

  /** A Reason String, if it is wanted and fits into a packet that has so many bytes without it. */
  #reason(bytes: number, words: string, isWanted: boolean): readonly Buffer[] {
    if (!isWanted || words === '') return NONE
    return this.#fitting(bytes, SENT.reasonString, printable(words.slice(0, REASON_CHARS_MAX)))
  }

  #fitting(bytes: number, identifier: number, value: string): readonly Buffer[] {
    const property = propertyBytes(identifier, value)
    return bytes + property.length <= this.#agreement.maximumPacketSize ? [property] : NONE
  }

  /** Where to go instead, and why; each if it fits. */
  #explained(bytes: number, code: number, words: string): readonly Buffer[] {
    const { serverReference = '' } = this.#events
    const where = code === USE_ANOTHER_SERVER ? this.#fitting(bytes, SENT.serverReference, serverReference) : NONE
    return [...where, ...this.#reason(bytes + (where[0]?.length ?? 0), words, true)]
  }

  /** What must be said is too large for the client; a farewell, which may be so too, is not said. */
  #giveUp(): boolean {
    if (!this.#hasGivenUp) {
      this.#hasGivenUp = true
      this.#events.unspeakable()
    }
    return true
  }

  /** Corked until the end of the turn, as mqtt-packet does: what is written leaves together, and over WebSocket packet by packet. */
  #send(packet: Buffer, payload: Buffer = NOTHING): boolean {
    if (packet.length + payload.length > this.#agreement.maximumPacketSize) return this.#giveUp()
    const conn = this.#conn
    conn.cork()
    process.nextTick(uncork, conn)
    const isTaken = conn.write(packet)
    return payload.length === 0 ? isTaken : conn.write(payload)
  }
}

/** A SUBACK's return code of MQTT 3.1.1. */
const NOT_GRANTED = 0x80
/** No packet to a client is larger, about. */
const LARGEST = 2 * FRAME_BYTES_MAX
const ALIAS_BYTES = 3
/** Bytes of packets without a Reason String, at most. */
const CONNACK_BYTES = 10
const DISCONNECT_BYTES = 10
const ACKNOWLEDGEMENT_BYTES = 10

/** A packet without its payload, of which so many bytes follow. */
function packetOf(flags: number, fields: readonly Buffer[], payloadBytes = 0): Buffer {
  const length = fields.reduce((sum, each) => sum + each.length, payloadBytes)
  return Buffer.concat([Buffer.of(flags), varint(length), ...fields])
}

function uncork(conn: Duplex): void {
  conn.uncork()
}
