/**
 * Owns how the packets of one client of MQTT 5 become those of MQTT 3.1.1 that Aedes knows: aliases are written out, properties
 * are taken off, or go with the message, and what has no counterpart is done here.
 *
 * Always true: a packet that breaks a rule of MQTT 5 never reaches Aedes: a `Disconnect` is thrown.
 * Bound: `RECEIVE_MAXIMUM` messages of QoS 2 that await their PUBREL; those of QoS 1 are bounded by the receive window.
 */

import type { IConnectPacket, Packet } from 'mqtt-packet'
import { HELD_MESSAGES_PER_CLIENT_MAX } from '../../intake/receive-window.ts'
import { framingOf } from '../../schemas/content-type.ts'
import type { Acknowledgement } from '../aedes/internals.ts'
import { Disconnect } from '../reports/disconnects.ts'
import { type Agreement, TOKEN_METHOD } from './agreement.ts'
import { MessageProperties } from './message-properties.ts'
import { propertiesOf } from './properties.ts'
import {
  FAILURE_MIN,
  MALFORMED_PACKET,
  PROTOCOL_ERROR,
  RECEIVE_MAXIMUM_EXCEEDED,
  TOPIC_NAME_INVALID,
} from './reason-codes.ts'
import { InboundAliases } from './topic-aliases.ts'

/**
 * Messages of QoS > 0 that a client may send before they are acknowledged, as its CONNACK says. Half of what stops the
 * reading, so that its PINGREQs are read while its messages wait; larger ones may stop it by their bytes.
 */
export const RECEIVE_MAXIMUM = HELD_MESSAGES_PER_CLIENT_MAX / 2

/** Of a DISCONNECT (section 3.14.2.1): a normal one, after which no will is published. */
const NORMAL = 0x00
/** What else a client may say, and to which its will belongs. */
const CLIENT_REASONS: ReadonlySet<number> = new Set([
  0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
])
/** Of an AUTH (section 3.15.2.1): the one that a client has reason to send, for its CONNECT had all that is asked. */
const REAUTHENTICATE = 0x19
const SHARED = '$share/'
const NOTHING = Buffer.alloc(0)

type PublishPacket = Extract<Packet, { cmd: 'publish' }>
type SubscribePacket = Extract<Packet, { cmd: 'subscribe' }>

/** What the rest of the connection does with what was read. */
export interface ReaderEvents {
  /** A client connects. Throws a `Disconnect` for what cannot be agreed on. */
  readonly agree: (connect: IConnectPacket) => Agreement
  /** SUBACK or UNSUBACK will have a code for each of these. */
  readonly asked: (messageId: number, filters: readonly string[]) => void
  /** The client is done with a message that it was sent. */
  readonly acknowledged: (messageId: number) => void
  /** The client ends the connection, and wants its will published. */
  readonly left: (reasonCode: number) => void
  /** It shows another token (section 4.12.1). */
  readonly renewing: (token: Buffer) => void
  readonly hasConnack: () => boolean
  readonly now: () => number
}

export class Reader {
  readonly #events: ReaderEvents
  readonly aliases = new InboundAliases()
  /** Packet ids of QoS 2. */
  readonly #unreleased = new Set<number>()
  #agreement: Agreement | undefined

  constructor(events: ReaderEvents) {
    this.#events = events
  }

  translate(packet: Packet): Packet | undefined {
    if (this.#agreement?.mayRenew && packet.cmd !== 'disconnect' && !this.#events.hasConnack()) {
      // Section 3.1.2.11.9.
      throw wrong(`a client that named an authentication method sends a ${packet.cmd} before its CONNACK`)
    }
    switch (packet.cmd) {
      case 'connect':
        return this.#connect(packet)
      case 'publish':
        return this.#publish(packet)
      case 'subscribe':
        return this.#subscribe(packet)
      case 'unsubscribe':
        this.#events.asked(packet.messageId ?? 0, packet.unsubscriptions)
        return packet
      case 'puback':
      case 'pubcomp':
      case 'pubrec':
        return this.#acknowledge(packet as Acknowledged)
      case 'pubrel':
        this.#unreleased.delete(packet.messageId ?? 0)
        return packet
      case 'disconnect':
        return this.#disconnect(packet)
      case 'auth':
        this.#authenticate(packet)
        return undefined
      default:
        return packet
    }
  }

  #connect(packet: IConnectPacket): Packet {
    if (this.#agreement !== undefined) throw wrong('a second CONNECT')
    this.#agreement = this.#events.agree(packet)
    return this.#agreement.connect as Packet
  }

  /** The packet itself, for it is nobody else's. */
  #publish(packet: PublishPacket): Packet {
    const { topicAlias, forwarded, messageExpiryInterval, responseTopic, contentType } = propertiesOf(packet)
    if (packet.dup && packet.qos === 0) {
      // Section 3.3.1.1.
      throw new Disconnect('protocol-error', 'a PUBLISH of QoS 0 has DUP', MALFORMED_PACKET)
    }
    packet.topic = this.aliases.topicOf(packet.topic as string, topicAlias)
    if (/[+#]/.test(packet.topic)) {
      throw new Disconnect('protocol-error', 'the topic of a PUBLISH has a wildcard', TOPIC_NAME_INVALID)
    }
    if (responseTopic !== undefined && (responseTopic === '' || /[+#]/.test(responseTopic))) {
      throw wrong('a response topic is empty or has a wildcard')
    }
    if (packet.qos === 2) this.#count(packet.messageId ?? 0)
    if (packet.properties !== undefined) Object.assign(packet, { properties: undefined })
    if (forwarded !== undefined || messageExpiryInterval !== undefined) {
      const expiresAt =
        messageExpiryInterval === undefined ? undefined : this.#events.now() + messageExpiryInterval * 1_000
      Object.assign(packet, { properties: new MessageProperties(forwarded ?? NOTHING, expiresAt) })
    }
    if (contentType !== undefined) Object.assign(packet, { framing: framingOf(contentType) })
    return packet
  }

  #count(messageId: number): void {
    this.#unreleased.add(messageId)
    if (this.#unreleased.size <= RECEIVE_MAXIMUM) return
    const message = `more than ${RECEIVE_MAXIMUM} messages of QoS 2 are not released`
    throw new Disconnect('protocol-error', message, RECEIVE_MAXIMUM_EXCEEDED)
  }

  /** A PUBREC was sent that refuses the message: no PUBREL comes. */
  refused(messageId: number): void {
    this.#unreleased.delete(messageId)
  }

  #subscribe(packet: SubscribePacket): Packet {
    const { subscriptionIdentifier } = propertiesOf(packet)
    for (const subscription of packet.subscriptions) {
      if (subscription.nl && subscription.topic.startsWith(SHARED)) {
        // Section 3.8.3.1.
        throw wrong('a shared subscription has No Local')
      }
      if (subscriptionIdentifier !== undefined) Object.assign(subscription, { subscriptionIdentifier })
    }
    const filters = packet.subscriptions.map(({ topic }) => topic)
    this.#events.asked(packet.messageId ?? 0, filters)
    return packet
  }

  /** A PUBREC that refuses a message ends it (section 4.3.3): there is no PUBREL to it. */
  #acknowledge({ cmd, messageId, reasonCode }: Acknowledged): Packet {
    const isRefused = cmd === 'pubrec' && reasonCode >= FAILURE_MIN
    if (cmd !== 'pubrec' || isRefused) this.#events.acknowledged(messageId)
    const acknowledgement: Acknowledgement = isRefused
      ? { cmd: 'pubcomp', messageId, isRefused }
      : { cmd, messageId, reasonCode }
    return acknowledgement as Packet
  }

  #authenticate(packet: AuthPacket): void {
    const { authenticationMethod: method, authenticationData } = propertiesOf(packet)
    if (!this.#agreement?.mayRenew) throw wrong('an AUTH of a client whose CONNECT named no authentication method')
    if (packet.reasonCode !== REAUTHENTICATE)
      throw wrong(`a client sends no AUTH with reason code ${packet.reasonCode}`)
    // A DISCONNECT has no 0x8C (section 3.14.2.1).
    if (method !== TOKEN_METHOD) throw wrong('an AUTH does not name the authentication method of the CONNECT')
    this.#events.renewing(authenticationData ?? NOTHING)
  }

  #disconnect(packet: Extract<Packet, { cmd: 'disconnect' }>): Packet | undefined {
    const { reasonCode = NORMAL } = packet
    const { sessionExpiryInterval } = propertiesOf(packet)
    if (sessionExpiryInterval !== undefined) this.#agreement?.changeExpiry(sessionExpiryInterval)
    if (reasonCode === NORMAL) return { cmd: 'disconnect' }
    if (!CLIENT_REASONS.has(reasonCode)) throw wrong(`a client does not disconnect with reason code ${reasonCode}`)
    this.#events.left(reasonCode)
    return undefined
  }
}

type AuthPacket = Extract<Packet, { cmd: 'auth' }>

interface Acknowledged {
  readonly cmd: 'puback' | 'pubcomp' | 'pubrec'
  readonly messageId: number
  readonly reasonCode: number
}

const wrong = (message: string) => new Disconnect('protocol-error', message, PROTOCOL_ERROR)
