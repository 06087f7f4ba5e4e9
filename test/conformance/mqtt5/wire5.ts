/**
 * Owns what MQTT 5.0 has on the wire that 3.1.1 has not: packets with properties and reason codes made by hand, right and wrong
 * ones, and how those of a broker are read. Connections, and what is the same at both levels, are `../wire.ts`'s.
 *
 * Always true: what is read is read to its last byte, so that a packet of another form fails the check that met it.
 */

import assert from 'node:assert/strict'
import {
  CONNECT,
  DISCONNECT,
  type Frame,
  PUBLISH,
  PUBREL,
  type Publish,
  packet,
  SUBSCRIBE,
  text,
  UNSUBSCRIBE,
  u16,
} from '../wire.ts'

export const AUTH = 15

export const PAYLOAD_FORMAT = 0x01
export const MESSAGE_EXPIRY = 0x02
export const CONTENT_TYPE = 0x03
export const RESPONSE_TOPIC = 0x08
export const CORRELATION_DATA = 0x09
export const SUBSCRIPTION_ID = 0x0b
export const SESSION_EXPIRY = 0x11
export const ASSIGNED_CLIENT_ID = 0x12
export const SERVER_KEEP_ALIVE = 0x13
export const AUTHENTICATION_METHOD = 0x15
export const REQUEST_PROBLEM = 0x17
export const WILL_DELAY = 0x18
export const REQUEST_RESPONSE = 0x19
export const RESPONSE_INFORMATION = 0x1a
export const REASON_STRING = 0x1f
export const RECEIVE_MAXIMUM = 0x21
export const ALIAS_MAXIMUM = 0x22
export const ALIAS = 0x23
export const MAXIMUM_QOS = 0x24
export const USER_PROPERTY = 0x26
export const MAXIMUM_PACKET_SIZE = 0x27

type Kind = 'byte' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair'

/** Table 2-4 of the specification. */
const KINDS: ReadonlyMap<number, Kind> = new Map([
  [PAYLOAD_FORMAT, 'byte'],
  [MESSAGE_EXPIRY, 'u32'],
  [CONTENT_TYPE, 'string'],
  [RESPONSE_TOPIC, 'string'],
  [CORRELATION_DATA, 'binary'],
  [SUBSCRIPTION_ID, 'varint'],
  [SESSION_EXPIRY, 'u32'],
  [ASSIGNED_CLIENT_ID, 'string'],
  [SERVER_KEEP_ALIVE, 'u16'],
  [AUTHENTICATION_METHOD, 'string'],
  [0x16, 'binary'],
  [REQUEST_PROBLEM, 'byte'],
  [WILL_DELAY, 'u32'],
  [REQUEST_RESPONSE, 'byte'],
  [RESPONSE_INFORMATION, 'string'],
  [0x1c, 'string'],
  [REASON_STRING, 'string'],
  [RECEIVE_MAXIMUM, 'u16'],
  [ALIAS_MAXIMUM, 'u16'],
  [ALIAS, 'u16'],
  [MAXIMUM_QOS, 'byte'],
  [0x25, 'byte'],
  [USER_PROPERTY, 'pair'],
  [MAXIMUM_PACKET_SIZE, 'u32'],
  [0x28, 'byte'],
  [0x29, 'byte'],
  [0x2a, 'byte'],
])

export type Value = number | string | Buffer
/** An identifier and its value, or its two strings. Bytes go in as they are. */
export type Property = readonly [identifier: number, value: Value, second?: Value]

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
    left >>>= 7
  } while (left > 0)
  return Buffer.from(bytes)
}

function propertyBytes([identifier, value, second = '']: Property): Buffer {
  const kind = KINDS.get(identifier)
  if (kind === 'pair') return Buffer.concat([Buffer.of(identifier), text(value as string), text(second as string)])
  if (typeof value !== 'number') return Buffer.concat([Buffer.of(identifier), text(value)])
  if (kind === 'varint') return Buffer.concat([Buffer.of(identifier), varint(value)])
  const number = Buffer.alloc(kind === 'u32' ? 4 : kind === 'u16' ? 2 : 1)
  number.writeUIntBE(value, 0, number.length)
  return Buffer.concat([Buffer.of(identifier), number])
}

/** With their length before them. */
export function properties(list: readonly Property[] = []): Buffer {
  const bytes = Buffer.concat(list.map(propertyBytes))
  return Buffer.concat([varint(bytes.length), bytes])
}

export interface Will5 {
  readonly topic: string | Buffer
  readonly payload: string
  readonly qos?: number
  readonly retain?: boolean
  readonly properties?: readonly Property[]
}

export interface ConnectFields5 {
  readonly protocol?: string
  readonly level?: number
  /** All connect flags, instead of those that follow from the fields. */
  readonly flags?: number
  readonly clean?: boolean
  /** Seconds. */
  readonly keepalive?: number
  readonly properties?: readonly Property[]
  readonly will?: Will5
  readonly username?: string | Buffer
  readonly password?: string
}

export function connect5(id: string | Buffer, fields: ConnectFields5 = {}): Buffer {
  const { protocol = 'MQTT', level = 5, clean = true, keepalive = 0, will, username, password } = fields
  const willFlags = will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0)
  const credentials = (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40)
  const flags = fields.flags ?? (clean ? 0x02 : 0) | willFlags | credentials
  const head = [text(protocol), Buffer.of(level, flags), u16(keepalive), properties(fields.properties)]
  const testament = will === undefined ? [] : [properties(will.properties), text(will.topic), text(will.payload)]
  const rest = [username, password].filter((each) => each !== undefined).map(text)
  return packet(CONNECT, 0, ...head, text(id), ...testament, ...rest)
}

export interface PublishFields5 {
  readonly qos?: number
  readonly id?: number
  readonly retain?: boolean
  readonly dup?: boolean
  readonly properties?: readonly Property[]
}

export function publish5(topic: string | Buffer, payload: string, fields: PublishFields5 = {}): Buffer {
  const { qos = 0, id = 1, retain = false, dup = false } = fields
  const flags = (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  const head = [text(topic), ...(qos > 0 ? [u16(id)] : []), properties(fields.properties)]
  return packet(PUBLISH, flags, ...head, Buffer.from(payload))
}

/** Subscription options: the QoS, and these bits. */
export const NO_LOCAL = 0x04
export const RETAIN_AS_PUBLISHED = 0x08
/** Retain Handling 1: retained messages for a new subscription only; 2: none. */
export const RETAINED_IF_NEW = 0x10
export const RETAINED_NEVER = 0x20

export type Asked = readonly [filter: string | Buffer, options: number]

export function subscribe5(id: number, asked: readonly Asked[], list: readonly Property[] = []): Buffer {
  const payload = asked.flatMap(([filter, options]) => [text(filter), Buffer.of(options)])
  return packet(SUBSCRIBE, 2, u16(id), properties(list), ...payload)
}

export function unsubscribe5(id: number, ...filters: readonly (string | Buffer)[]): Buffer {
  return packet(UNSUBSCRIBE, 2, u16(id), properties(), ...filters.map(text))
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export function answer5(type: number, id: number, code = 0): Buffer {
  return packet(type, type === PUBREL ? 2 : 0, u16(id), ...(code === 0 ? [] : [Buffer.of(code)]))
}

export function disconnect5(code = 0, list: readonly Property[] = []): Buffer {
  return code === 0 && list.length === 0
    ? packet(DISCONNECT, 0)
    : packet(DISCONNECT, 0, Buffer.of(code), properties(list))
}

/** Properties that were read; each value as often as it came. */
export class Properties {
  readonly all: readonly Property[]

  constructor(all: readonly Property[]) {
    this.all = all
  }

  /** The values of one. */
  values(identifier: number): readonly Value[] {
    return this.all.filter(([each]) => each === identifier).map(([, value]) => value)
  }

  number(identifier: number): number | undefined {
    return this.values(identifier)[0] as number | undefined
  }

  string(identifier: number): string | undefined {
    return this.values(identifier)[0] as string | undefined
  }

  get pairs(): readonly (readonly [Value, Value | undefined])[] {
    return this.all.filter(([each]) => each === USER_PROPERTY).map(([, name, value]) => [name, value] as const)
  }
}

/** Reads fields of a packet's body one after the other. */
class Fields {
  readonly #body: Buffer
  at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  number(bytes: number): number {
    this.at += bytes
    return this.#body.readUIntBE(this.at - bytes, bytes)
  }

  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.number(1)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  bytes(length: number): Buffer {
    this.at += length
    assert(this.at <= this.#body.length, 'a field is longer than its packet')
    return this.#body.subarray(this.at - length, this.at)
  }

  string(): string {
    return this.bytes(this.number(2)).toString()
  }

  rest(): Buffer {
    return this.bytes(this.#body.length - this.at)
  }

  get isAtEnd(): boolean {
    return this.at >= this.#body.length
  }

  properties(): Properties {
    const length = this.varint()
    const end = this.at + length
    const all: Property[] = []
    while (this.at < end) all.push(this.#property(this.varint()))
    assert.equal(this.at, end, 'properties have another length than they say')
    return new Properties(all)
  }

  #property(identifier: number): Property {
    const kind = KINDS.get(identifier)
    assert(kind !== undefined, `there is no property 0x${identifier.toString(16)}`)
    if (kind === 'pair') return [identifier, this.string(), this.string()]
    if (kind === 'string') return [identifier, this.string()]
    if (kind === 'binary') return [identifier, this.bytes(this.number(2))]
    if (kind === 'varint') return [identifier, this.varint()]
    return [identifier, this.number(kind === 'u32' ? 4 : kind === 'u16' ? 2 : 1)]
  }
}

export interface Connack {
  readonly flags: number
  readonly code: number
  readonly properties: Properties
  readonly bytes: number
}

export function readConnack({ body }: Frame): Connack {
  const fields = new Fields(body)
  const [flags, code, list] = [fields.number(1), fields.number(1), fields.properties()]
  assert(fields.isAtEnd, 'a CONNACK has more than its properties')
  return { flags, code, properties: list, bytes: body.length + 2 }
}

export interface Publish5 extends Publish {
  readonly properties: Properties
}

export function readPublish5(frame: Frame): Publish5 {
  const fields = new Fields(frame.body)
  const qos = (frame.flags >> 1) & 3
  const topic = fields.string()
  const id = qos > 0 ? fields.number(2) : 0
  const list = fields.properties()
  const payload = fields.rest().toString()
  return { topic, payload, qos, id, retain: frame.flags % 2 === 1, dup: frame.flags >= 8, properties: list }
}

export interface Answer {
  readonly id: number
  readonly code: number
  readonly properties: Properties
  readonly bytes: number
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP: code and properties may be left out. */
export function readAnswer({ body }: Frame): Answer {
  const fields = new Fields(body)
  const id = fields.number(2)
  const code = fields.isAtEnd ? 0 : fields.number(1)
  const list = fields.isAtEnd ? new Properties([]) : fields.properties()
  assert(fields.isAtEnd, 'an acknowledgement has more than its properties')
  return { id, code, properties: list, bytes: body.length + 2 }
}

/** SUBACK, UNSUBACK. */
export function readCodes({ body }: Frame): Omit<Answer, 'code'> & { readonly codes: readonly number[] } {
  const fields = new Fields(body)
  const [id, list] = [fields.number(2), fields.properties()]
  return { id, properties: list, codes: [...fields.rest()], bytes: body.length + 2 }
}

export type Goodbye = Omit<Answer, 'id'>

export function readDisconnect({ body }: Frame): Goodbye {
  const fields = new Fields(body)
  const code = fields.isAtEnd ? 0 : fields.number(1)
  const list = fields.isAtEnd ? new Properties([]) : fields.properties()
  assert(fields.isAtEnd, 'a DISCONNECT has more than its properties')
  return { code, properties: list, bytes: body.length + 2 }
}
