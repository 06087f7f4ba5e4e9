/**
 * Owns all that we use of Aedes beyond its documented interface, read in the source of version 1.2.0 and of mqtt-packet
 * 9.0.2 (the lockfile pins them), so that an upgrade has one file to check.
 */

import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { Client, PublishPacket } from 'aedes'
import type { IConnectPacket, Packet } from 'mqtt-packet'

const PACKET_ID_MAX = 65_535

/** A packet as Aedes's persistence sees it: with the number that it gave the message, and a packet id once it was sent. */
export interface QueuedPacket {
  readonly cmd: 'publish' | 'pubrel'
  readonly brokerCounter: number
  readonly topic: string
  readonly payload: Buffer
  messageId?: number | undefined
  qos: 0 | 1 | 2
  dup: boolean
  readonly retain?: boolean
  /** What Aedes hands on with a message, and does not look at. */
  readonly properties?: unknown
  /** Who published it, where that was noted. */
  readonly clientId?: string
}

export interface Acknowledgement {
  readonly cmd: string
  readonly messageId?: number
  /** The client will not have the message, or was never sent it: it is done with at either QoS. */
  readonly isRefused?: boolean
  /** Of a PUBACK by MQTT 5. */
  readonly reasonCode?: number
}

export interface PersistedSubscription {
  readonly topic: string
  readonly qos: 0 | 1 | 2
}

/** What `aedes-persistence` 11 does for Aedes. Aedes calls `then` with two callbacks on each answer, and nothing else. */
export interface Persistence {
  /** What is sent after each SUBACK. */
  createRetainedStreamCombi(filters: readonly string[]): NodeJS.ReadableStream
  /** Asked for a PUBLISH and for a PUBREL. Resolves with what was stored under this message id, rejects if there is none. */
  incomingGetPacket(client: Client, packet: Acknowledgement): Promise<unknown>
  /** Keeps a QoS 2 message until its PUBREL. Aedes only ever asks whether it is there. */
  incomingStorePacket(client: Client, packet: PublishPacket): Promise<void>
  incomingDelPacket(client: Client, packet: { readonly messageId?: number }): Promise<void>
  cleanIncoming(client: { readonly id: string }): Promise<void>
  addSubscriptions(client: Client, subscriptions: readonly PersistedSubscription[]): Promise<void>
  removeSubscriptions(client: Client, filters: readonly string[]): Promise<void>
  /** Called for every CONNECT without clean session, and for no other reason. */
  subscriptionsByClient(client: { readonly id: string }): Promise<readonly PersistedSubscription[]>
  /** Called for every CONNECT with clean session. */
  cleanSubscriptions(client: { readonly id: string }): Promise<void>
  /** Called for each message of QoS > 0, with the matching subscriptions of QoS > 0 of sessions that are not clean. */
  outgoingEnqueueCombi(
    subscriptions: readonly { readonly clientId: string; readonly qos: 0 | 1 | 2; readonly nl?: boolean }[],
    packet: QueuedPacket,
  ): Promise<void>
  outgoingEnqueue(subscriber: { readonly clientId: string }, packet: QueuedPacket): Promise<void>
  /** Before a stored message is sent, and when its PUBREC has come (`packet` is the PUBREL then). */
  outgoingUpdate(client: Client, packet: QueuedPacket): Promise<void>
  /**
   * Called for each PUBACK and PUBCOMP of a client, and for a PUBLISH that was not forwarded to it. Resolves with nothing: at a
   * reconnect Aedes puts what it resolves with into a stream that nobody reads, which is full with 16.
   */
  outgoingClearMessageId(client: Client, packet: Acknowledgement): Promise<void>
  /** What is sent again at a reconnect. */
  outgoingStream(client: { readonly id: string }): NodeJS.ReadableStream
}

/** mqtt-packet's streaming parser. */
export interface Parser extends NodeJS.EventEmitter {
  /** Of the last CONNECT, all of it. */
  settings: { readonly protocolVersion?: number }
  readonly error: Error | null
  /** The packet being read; `length` is its remaining length, -1 until the fixed header is whole. */
  readonly packet: {
    readonly cmd: string
    readonly length: number
    readonly protocolVersion?: number
    /** Of a CONNECT; properties that come after it are those of the will. */
    readonly clientId?: string
    reasonCode?: number
    properties?: object
  }
  /** What of a packet is read next: 0 its first byte, 1 its remaining length, 2 the rest. */
  readonly _stateCounter: number
  /** Where in the packet the next field is read. */
  _pos: number
  /** The bytes of the packet being read, without its fixed header. */
  readonly _list: {
    readonly length: number
    slice(start: number, end: number): Buffer
    readUInt16BE(at: number): number
    consume(bytes: number): void
  }
  /** Takes a chunk, emits its packets, returns how many bytes wait for the rest of theirs. */
  parse(chunk: Buffer): number
  _parseString: () => string | null
  /** Called for packets of level 5 only; what it returns becomes the packet's `properties`, unless it is empty. */
  _parseProperties: () => object
  _parseDisconnect: () => boolean
  _parseAuth: () => boolean
  _emitError(error: Error): void
  /** Forgets the packet being read, and all its bytes. */
  _resetState(): void
}

/** What Aedes's client calls of its broker when it has its CONNACK, and when it has ended. */
export interface Registering {
  /** Connected clients by id, without a prototype. */
  readonly clients: Record<string, Client>
  connectedClients: number
  registerClient(client: Client): void
  unregisterClient(client: Client): void
  emit(event: 'client' | 'clientDisconnect', client: Client): boolean
}

export interface ClientInternals {
  readonly conn: Duplex
  /** Aedes listens for its packets; it has a queue for those before CONNACK, which is taken when that has been sent. */
  _parser: {
    listeners(event: 'packet'): readonly unknown[]
    removeAllListeners(event: 'packet'): void
    _queue: Packet[] | null
  }
  /** Of a CONNECT that is looked at; `will` is that of a client that was let in. */
  readonly _will: PublishPacket | null | undefined
  will: PublishPacket | null | undefined
  /** Says to what happens at its end that it was registered. */
  _authorized: boolean
  /** Takes away its listeners for the end of the connection. */
  _eos: () => void
  /** Waits for a CONNECT. */
  _connectTimer: NodeJS.Timeout | null
  /** Packets taken; Aedes looks only whether the one before CONNACK is the first. */
  _parsingBatch: number
  /** Called when a packet has been dealt with. */
  _nextBatch: (error?: Error | null) => void
  _nextId: number
  /** Ends a client that is silent; null without a keep alive, and before its CONNACK is prepared. Milliseconds. */
  _keepaliveTimer: NodeJS.Timeout | null
  _keepaliveInterval: number
  /** Packet ids of QoS 2 messages that came and await their PUBREL; with `maxInflightInbound`, one more ends the connection. */
  _inboundInflight: Set<number | undefined>
  /** Its CONNECT has come, and no answer yet. */
  connecting: boolean
  connackSent: boolean
  connected: boolean
  /** It has sent a DISCONNECT. */
  readonly _disconnected: boolean
  /** An error is ending it. */
  readonly errored: boolean
  /** Calls back when its socket has taken what was written, or with an error: not within the drain timeout, or closed. */
  waitForDrain(callback: (error: Error | null) => void): void
  /** By topic filter, without a prototype. */
  readonly subscriptions: Readonly<Record<string, { qos: number }>>
  /** The newest message delivered, by broker: Aedes drops what is older, though messages may overtake one another. */
  duplicates: object
  deliver0(packet: Packet, callback: () => void): void
  /** Sends at the QoS of the packet. Takes a packet id as it is, if there is one. */
  deliverQoS(packet: QueuedPacket, callback: () => void): void
}

export function internals(client: Client): ClientInternals {
  return client as unknown as ClientInternals
}

function nothing(): void {}

/** Hands a packet to Aedes: one that is a CONNECT, or comes after the CONNACK. `this` is who has the client. */
export type Accept = (this: { readonly client: Client }, packet: Packet) => void

/** In the place of the parser that Aedes makes for each client. */
const NO_PARSER: ClientInternals['_parser'] = { listeners: () => [], removeAllListeners: () => undefined, _queue: null }

/** In the place of a client's own: what is counted in it is counted elsewhere. */
const NO_INFLIGHT = new Set<number | undefined>()
NO_INFLIGHT.add = () => NO_INFLIGHT

/**
 * Takes from a client that has just been made all by which it hears of its connection, which is 2 KiB: its parser, what it
 * listens to, its timer. Whoever calls this hears of it in its place. Returns what Aedes would do with the parser's packets.
 */
export function detach(client: Client): Accept {
  const inner = internals(client)
  const accept = inner._parser.listeners('packet')[0] as Accept
  inner._parser = NO_PARSER
  if (inner._connectTimer !== null) clearTimeout(inner._connectTimer)
  inner._connectTimer = null
  inner._inboundInflight = NO_INFLIGHT
  const { conn } = inner
  inner._eos()
  inner._eos = nothing
  conn.removeListener('readable', inner._nextBatch)
  for (const event of ['end', 'error']) {
    const own = conn.listeners(event).find(({ name }) => name === 'bound close' || name === 'bound emit')
    assert(own, `Aedes listens for the ${event} of a connection`)
    conn.removeListener(event, own as () => void)
  }
  client.removeAllListeners('connected')
  // Aedes takes a packet before CONNACK only if it is the first.
  inner._parsingBatch = 0
  return accept
}

/** Whether a connection became a client that was sent its CONNACK; Aedes notes its client there. */
export function hasConnack(connection: Duplex): boolean {
  const { client } = connection as { client?: Client }
  return client !== undefined && internals(client).connackSent
}

/** The packet id of the next message to a client, as Aedes counts them (it begins anywhere). */
export function nextPacketId(client: Client): number {
  const inner = internals(client)
  const id = inner._nextId
  inner._nextId = id >= PACKET_ID_MAX ? 1 : id + 1
  return id
}

/** The number of the broker's next message, as Aedes counts them. */
export function nextCounter(broker: object): number {
  return ++(broker as { counter: number }).counter
}

/** The will of a client that is being authenticated; Aedes sets it before `authenticate`. */
export function willOf(client: Client): PublishPacket | undefined {
  return internals(client)._will ?? undefined
}

/** Notes who a client says that it is, as Aedes does before it authenticates it. */
export function identify(client: Client, { clean, protocolVersion, will }: IConnectPacket, id: string): void {
  Object.assign(client, { id, clean, version: protocolVersion, _will: will })
}

/** Notes that it was let in, as Aedes does before it registers it. `keepaliveSeconds`: 0 for none. */
export function letIn(client: Client, keepaliveSeconds: number): void {
  const inner = internals(client)
  inner._authorized = true
  inner.will = inner._will
  // [MQTT-3.1.2-24]
  inner._keepaliveInterval = keepaliveSeconds > 0 ? keepaliveSeconds * 1_500 + 1 : -1
}

/** Takes away the timer that would end a silent client; returns after how many milliseconds, 0 for never. */
export function takeKeepalive(client: Client): number {
  const inner = internals(client)
  const ms = Math.max(0, inner._keepaliveInterval)
  if (inner._keepaliveTimer !== null) clearTimeout(inner._keepaliveTimer)
  inner._keepaliveTimer = null
  inner._keepaliveInterval = -1
  return ms
}

/** Renames a client that is being authenticated: Aedes registers it by this id afterwards. */
export function renameClient(client: Client, id: string): void {
  Object.assign(client, { id })
}
