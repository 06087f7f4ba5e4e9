/**
 * Owns the properties of MQTT 5 (section 2.2.2): which there are, in which packets of a client each may stand, how they are read
 * and written.
 *
 * Always true of what is read: each property was whole, allowed in its packet, within its range, and there once (a user property
 * as often as it likes); strings are well-formed. Names are those of this table, never a client's. What an application sent for
 * another (section 3.3.2.3) is kept as the bytes it came in, so that order and repetition stay.
 * Bound: `USER_PROPERTIES_MAX` a packet, whose bytes are bounded like all packets'.
 */

import { isGoodString } from '../inbound/packet-rules.ts'
import { Disconnect } from '../reports/disconnects.ts'
import { MALFORMED_PACKET, PROTOCOL_ERROR } from './reason-codes.ts'

/** User properties in one packet; one more ends the connection. Each is two strings to check. */
export const USER_PROPERTIES_MAX = 1_000

/** Where properties stand. A will has its own, within a CONNECT. */
export type Place =
  | 'connect'
  | 'will'
  | 'publish'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'auth'

export interface Properties {
  sessionExpiryInterval?: number
  willDelayInterval?: number
  messageExpiryInterval?: number
  receiveMaximum?: number
  maximumPacketSize?: number
  topicAliasMaximum?: number
  topicAlias?: number
  subscriptionIdentifier?: number
  requestProblemInformation?: number
  requestResponseInformation?: number
  payloadFormatIndicator?: number
  contentType?: string
  responseTopic?: string
  reasonString?: string
  authenticationMethod?: string
  correlationData?: Buffer
  authenticationData?: Buffer
  /** What goes on to subscribers as it is: a copy. */
  forwarded?: Buffer
}

/** What was read of a packet, or of its will: mqtt-packet's types are those of its own reading. */
export function propertiesOf({ properties }: { readonly properties?: unknown }): Properties {
  return (properties ?? {}) as Properties
}

type Kind = 'flag' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair'

interface Property {
  readonly name: string
  readonly kind: Kind
  readonly places: ReadonlySet<Place>
  /** 0 is a protocol error. */
  readonly isPositive: boolean
  /** It belongs to the message, and not to this connection. */
  readonly isForwarded: boolean
}

const ACKNOWLEDGEMENTS: readonly Place[] = ['puback', 'pubrec', 'pubrel', 'pubcomp']
const MESSAGES: readonly Place[] = ['publish', 'will']
const ALL: readonly Place[] = [
  ...ACKNOWLEDGEMENTS,
  ...MESSAGES,
  'connect',
  'subscribe',
  'unsubscribe',
  'disconnect',
  'auth',
]

const property = (name: string, kind: Kind, places: readonly Place[], more: Partial<Property> = {}): Property => ({
  isPositive: false,
  isForwarded: false,
  ...more,
  name,
  kind,
  places: new Set(places),
})

const FORWARDED = { isForwarded: true }
const POSITIVE = { isPositive: true }

/** What a client may send, by identifier (table 2-4). */
const PROPERTIES: ReadonlyMap<number, Property> = new Map([
  [0x01, property('payloadFormatIndicator', 'flag', MESSAGES, FORWARDED)],
  [0x02, property('messageExpiryInterval', 'u32', MESSAGES)],
  [0x03, property('contentType', 'string', MESSAGES, FORWARDED)],
  [0x08, property('responseTopic', 'string', MESSAGES, FORWARDED)],
  [0x09, property('correlationData', 'binary', MESSAGES, FORWARDED)],
  [0x0b, property('subscriptionIdentifier', 'varint', ['subscribe'], POSITIVE)],
  [0x11, property('sessionExpiryInterval', 'u32', ['connect', 'disconnect'])],
  [0x15, property('authenticationMethod', 'string', ['connect', 'auth'])],
  [0x16, property('authenticationData', 'binary', ['connect', 'auth'])],
  [0x17, property('requestProblemInformation', 'flag', ['connect'])],
  [0x18, property('willDelayInterval', 'u32', ['will'])],
  [0x19, property('requestResponseInformation', 'flag', ['connect'])],
  [0x1f, property('reasonString', 'string', [...ACKNOWLEDGEMENTS, 'disconnect', 'auth'])],
  [0x21, property('receiveMaximum', 'u16', ['connect'], POSITIVE)],
  [0x22, property('topicAliasMaximum', 'u16', ['connect'])],
  [0x23, property('topicAlias', 'u16', ['publish'])],
  [0x26, property('userProperty', 'pair', ALL, FORWARDED)],
  [0x27, property('maximumPacketSize', 'u32', ['connect'], POSITIVE)],
])

const malformed = (message: string) => new Disconnect('protocol-error', message, MALFORMED_PACKET)
const wrong = (message: string) => new Disconnect('protocol-error', message, PROTOCOL_ERROR)

/** Reads fields one after the other. Throws at what is not whole. */
class Fields {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length
  }

  #take(length: number): number {
    const from = this.at
    if (from + length > this.#bytes.length) throw malformed('a property is cut off')
    this.at += length
    return from
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  /** Section 1.5.5: at most four bytes, and no more than it takes. */
  varint(): number {
    let value = 0
    for (let factor = 1; factor <= 0x80 ** 3; factor *= 0x80) {
      const byte = this.byte()
      value += (byte % 0x80) * factor
      if (byte >= 0x80) continue
      if (byte === 0 && factor > 1) break
      return value
    }
    throw malformed('a variable byte integer is longer than it may be')
  }

  binary(): Buffer {
    const length = this.u16()
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }

  string(): string {
    const bytes = this.binary()
    const text = bytes.toString('utf8')
    if (!isGoodString(text, () => bytes)) throw malformed('a property is no well-formed string')
    return text
  }

  value(kind: Kind): number | string | Buffer {
    switch (kind) {
      case 'flag': {
        const byte = this.byte()
        if (byte > 1) throw wrong('a property is neither 0 nor 1')
        return byte
      }
      case 'u16':
        return this.u16()
      case 'u32':
        return this.u32()
      case 'varint':
        return this.varint()
      case 'string':
        return this.string()
      case 'pair':
        this.string()
        return this.string()
      case 'binary':
        return Buffer.from(this.binary())
    }
  }
}

/** How long the properties are that `bytes` begins with: their length, and that of the number that says it. Throws likewise. */
export function lengthOf(bytes: Buffer): { readonly length: number; readonly lengthBytes: number } {
  const fields = new Fields(bytes)
  const length = fields.varint()
  return { length, lengthBytes: fields.at }
}

/** Reads properties, without their length. Throws a `Disconnect`: malformed, or a protocol error. */
export function readProperties(bytes: Buffer, place: Place): Properties {
  const fields = new Fields(bytes)
  const values = new Map<string, number | string | Buffer>()
  const forwarded: Buffer[] = []
  let userProperties = 0
  while (!fields.isAtEnd) {
    const from = fields.at
    const identifier = fields.byte()
    const property = PROPERTIES.get(identifier)
    if (property === undefined) throw malformed(`a client sends no property 0x${identifier.toString(16)}`)
    const { name, kind, places, isPositive, isForwarded } = property
    if (!places.has(place)) throw wrong(`${name} is no property of a ${place}`)
    if (values.has(name)) throw wrong(`a ${place} has ${name} twice`)
    const value = fields.value(kind)
    if (isPositive && value === 0) throw wrong(`${name} is 0`)
    if (kind !== 'pair') values.set(name, value)
    else if (++userProperties > USER_PROPERTIES_MAX) throw wrong(`a ${place} has too many user properties`)
    if (isForwarded && MESSAGES.includes(place)) forwarded.push(bytes.subarray(from, fields.at))
  }
  if (forwarded.length > 0) values.set('forwarded', Buffer.concat(forwarded))
  return Object.fromEntries(values)
}

/** What a server sends of properties, by identifier. */
export const SENT = {
  messageExpiryInterval: 0x02,
  subscriptionIdentifier: 0x0b,
  assignedClientIdentifier: 0x12,
  serverKeepalive: 0x13,
  authenticationMethod: 0x15,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumPacketSize: 0x27,
} as const

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  do {
    const byte = left % 0x80
    left = Math.floor(left / 0x80)
    bytes.push(left > 0 ? byte + 0x80 : byte)
  } while (left > 0)
  return Buffer.from(bytes)
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u16(bytes.length), bytes])
}

/** A property to send: its identifier and its value. */
export function propertyBytes(identifier: number, value: number | string): Buffer {
  const kind = identifier === SENT.messageExpiryInterval || identifier === SENT.maximumPacketSize ? 4 : 2
  if (typeof value === 'string') return Buffer.concat([Buffer.of(identifier), text(value)])
  if (identifier === SENT.subscriptionIdentifier) return Buffer.concat([Buffer.of(identifier), varint(value)])
  const bytes = Buffer.alloc(1 + kind)
  bytes[0] = identifier
  bytes.writeUIntBE(value, 1, kind)
  return bytes
}

/** Properties with their length before them. */
export function block(properties: readonly Buffer[]): Buffer {
  const length = properties.reduce((sum, each) => sum + each.length, 0)
  return Buffer.concat([varint(length), ...properties])
}
