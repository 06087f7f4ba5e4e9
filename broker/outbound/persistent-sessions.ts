/**
 * Owns the sessions that are not clean: which there are, and the messages of QoS > 0 each is still owed. It takes the
 * place of the outgoing queues of Aedes's persistence, which have no bound, know no DUP and search by walking.
 *
 *   resumed --CONNACK--> replaying (what is owed is sent again; new messages wait behind it) --all sent--> live --> away
 *
 * Always true: a session's messages are sent again in the order they came, PUBREL in the place of its PUBLISH, with the
 * packet id they had (MQTT 3.1.1 sections 4.4 and 4.6), DUP set on what was sent before; nothing new overtakes them.
 * Bounds: `SESSIONS_KEPT_MAX` sessions and `SESSIONS_KEPT_BYTES_MAX`: beyond, the one that has been away longest is forgotten. Of
 * a session `SESSION_QUEUE_MESSAGES_MAX` messages and `SESSION_QUEUE_BYTES_MAX`.
 * Losing: what comes to a full queue is dropped and counted, as are sessions forgotten; all sessions end with the process.
 */

import type { Client } from 'aedes'
import type { Clock } from '../../platform/clock.ts'
import { CONNECTIONS_MAX } from '../../platform/limits.ts'
import {
  type Acknowledgement,
  nextPacketId,
  type PersistedSubscription,
  type QueuedPacket,
} from '../aedes/internals.ts'
import { MessageProperties } from '../mqtt5/message-properties.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import { AwaitingPubrel, type AwaitingPubrelEvents } from '../session/awaiting-pubrel.ts'
import type { Session } from '../session/session.ts'
import { subscriptionBytes } from '../session/subscriptions.ts'

/** Messages of QoS > 0 kept for one session that is not clean, unsent and unacknowledged; more are dropped and counted. */
export const SESSION_QUEUE_MESSAGES_MAX = 1_000
/** Payload bytes of those; more are dropped and counted. */
export const SESSION_QUEUE_BYTES_MAX = 1 * 1024 * 1024
/** Sessions that are not clean; for one more, the one that has been away longest is forgotten and counted. */
export const SESSIONS_KEPT_MAX = CONNECTIONS_MAX
/** What is kept of them: client ids, filters, messages, packet ids; for more, likewise. */
export const SESSIONS_KEPT_BYTES_MAX = 256 * 1024 * 1024

/** Asked for at a reconnect, when a session has no subscriptions: Aedes sets Session Present only for those that have some. */
export const SESSION_MARKER: PersistedSubscription = { topic: '$session', qos: 0 }

/** One way through the messages owed, from the first to the last, at a reconnect. */
interface Replay {
  /** To be called when the message that was handed over last is being sent. */
  sent: () => void
}

class PersistentSession {
  /** By the broker's number of the message; in the order they came. */
  readonly messages = new Map<number, QueuedPacket>()
  /** Packet id -> number, of those that were sent. */
  readonly sent = new Map<number, number>()
  readonly filters = new Set<string>()
  /** What the client has sent. */
  readonly awaitingPubrel: AwaitingPubrel
  messageBytes = 0
  /** All of it, about. */
  bytes: number
  replay: Replay | undefined

  constructor(id: string, awaiting: AwaitingPubrelEvents) {
    this.bytes = 2 * id.length
    this.awaitingPubrel = new AwaitingPubrel(awaiting)
  }
}

export interface PersistentSessionsDependencies {
  readonly isConnected: (clientId: string) => boolean
  readonly metrics: BrokerMetrics
  readonly clock: Clock
}

export class PersistentSessions {
  readonly #isConnected: (clientId: string) => boolean
  readonly #metrics: BrokerMetrics
  readonly #clock: Clock
  /** In the order of their last CONNECT. */
  readonly #sessions = new Map<string, PersistentSession>()
  #bytes = 0
  /** Forgets a session wherever else it is known. */
  forgetElsewhere: (id: string) => Promise<void> = async () => undefined

  constructor(dependencies: PersistentSessionsDependencies) {
    this.#isConnected = dependencies.isConnected
    this.#metrics = dependencies.metrics
    this.#clock = dependencies.clock
  }

  /** The QoS 2 messages that a client has sent; one whose session is not clean shares them with its connections before. */
  awaitingPubrel(client: Client, session: Session | undefined): AwaitingPubrel {
    if (session?.awaitingPubrel !== undefined) return session.awaitingPubrel
    const received = client.clean ? undefined : this.#sessions.get(client.id)?.awaitingPubrel
    const awaiting = received ?? new AwaitingPubrel({ grow: () => undefined, forgotten: this.#idForgotten })
    if (session !== undefined) session.awaitingPubrel = awaiting
    return awaiting
  }

  /** Whether `packet` may be sent now to a client whose session is not clean: it is kept, so that it can be sent again. */
  keeps(clientId: string, packet: QueuedPacket): boolean {
    const session = this.#sessions.get(clientId)
    return session !== undefined && session.replay === undefined && session.messages.has(packet.brokerCounter)
  }

  /** Keeps a message that is to be sent to this client alone, and gives it its packet id; false if there is no room. */
  keepFor(client: Client, packet: QueuedPacket): boolean {
    if (!this.add(client.id, packet, packet.qos)) return false
    packet.messageId = nextPacketId(client)
    this.update(client, packet)
    return true
  }

  /** Whether the session is still owed the message of this number. */
  owes(clientId: string, number: number): boolean {
    return this.#sessions.get(clientId)?.messages.has(number) === true
  }

  /** The number of the message that was sent with this packet id. */
  numberOf(clientId: string, messageId: number): number | undefined {
    return this.#sessions.get(clientId)?.sent.get(messageId)
  }

  /** Takes a message of QoS 1 from a session whose client is away. */
  withdraw(clientId: string, number: number): void {
    const session = this.#sessions.get(clientId)
    const kept = session?.messages.get(number)
    if (session === undefined || kept === undefined) return
    session.messages.delete(number)
    if (kept.messageId !== undefined) session.sent.delete(kept.messageId)
    this.#shrink(session, kept)
  }

  has(id: string): boolean {
    return this.#sessions.has(id)
  }

  /** At a CONNECT; whether the session was known. */
  resume(id: string): boolean {
    const known = this.#sessions.get(id)
    const session = known ?? this.#begin(id)
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    // A replay whose connection ended before it did is over.
    session.replay?.sent()
    session.replay = undefined
    if (known === undefined) this.#bytes += session.bytes
    return known !== undefined
  }

  #begin(id: string): PersistentSession {
    const session: PersistentSession = new PersistentSession(id, {
      grow: (bytes) => {
        // An append of one that was forgotten meanwhile may still end.
        if (this.#sessions.get(id) === session) this.#grow(session, bytes)
      },
      forgotten: this.#idForgotten,
    })
    return session
  }

  readonly #idForgotten = (): void => this.#metrics.packetIdForgotten()

  drop(id: string): void {
    this.#bytes -= this.#sessions.get(id)?.bytes ?? 0
    this.#sessions.delete(id)
  }

  /** Forgets those that have been away longest, as far as there are too many. The newest may be of one that is connecting. */
  async makeRoom(): Promise<void> {
    if (this.#sessions.size <= SESSIONS_KEPT_MAX && this.#bytes <= SESSIONS_KEPT_BYTES_MAX) return
    for (const id of [...this.#sessions.keys()].slice(0, -1)) {
      if (this.#sessions.size <= SESSIONS_KEPT_MAX && this.#bytes <= SESSIONS_KEPT_BYTES_MAX) break
      if (this.#isConnected(id) || !this.#sessions.has(id)) continue
      this.#metrics.dropped('session-forgotten')
      this.drop(id)
      await this.forgetElsewhere(id)
    }
  }

  noteFilters(id: string, added: readonly string[], removed: readonly string[]): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    for (const filter of added) {
      if (session.filters.has(filter)) continue
      session.filters.add(filter)
      this.#grow(session, subscriptionBytes(filter))
    }
    for (const filter of removed) if (session.filters.delete(filter)) this.#grow(session, -subscriptionBytes(filter))
  }

  #grow(session: PersistentSession, bytes: number): void {
    session.bytes += bytes
    this.#bytes += bytes
  }

  /** Once for each subscription that matches: the message is kept once, at the greatest QoS granted. */
  add(id: string, packet: QueuedPacket, granted: 0 | 1 | 2): boolean {
    const session = this.#sessions.get(id)
    if (session === undefined) return false
    const qos = packet.qos < granted ? packet.qos : granted
    const before = session.messages.get(packet.brokerCounter)
    if (before !== undefined) {
      if (qos > before.qos) before.qos = qos
      return true
    }
    const length = bytesOf(packet)
    if (
      session.messages.size >= SESSION_QUEUE_MESSAGES_MAX ||
      session.messageBytes + length > SESSION_QUEUE_BYTES_MAX
    ) {
      this.#metrics.dropped('session-queue-full')
      return false
    }
    session.messageBytes += length
    this.#grow(session, length)
    // The payload is a view of the socket's chunk, which it would keep alive.
    session.messages.set(packet.brokerCounter, { ...packet, qos, payload: Buffer.from(packet.payload), dup: false })
    if (this.#bytes > SESSIONS_KEPT_BYTES_MAX) void this.makeRoom()
    return true
  }

  update(client: Client, packet: QueuedPacket): void {
    const session = this.#sessions.get(client.id)
    if (session === undefined) return
    session.replay?.sent()
    if (packet.cmd === 'pubrel') {
      const number = session.sent.get(packet.messageId ?? 0)
      const kept = number === undefined ? undefined : session.messages.get(number)
      // A PUBREC for a message of QoS 1 means nothing.
      if (number !== undefined && kept?.qos === 2) session.messages.set(number, { ...kept, ...packet })
      return
    }
    const kept = session.messages.get(packet.brokerCounter)
    if (kept === undefined) return
    if (kept.messageId === undefined) {
      // Ids begin anywhere at each connection: one may be in use by a message of the connection before.
      while (session.sent.has(packet.messageId ?? 0)) packet.messageId = nextPacketId(client)
      kept.messageId = packet.messageId
      session.sent.set(packet.messageId ?? 0, packet.brokerCounter)
    } else packet.messageId = kept.messageId
  }

  /** A PUBACK ends a message of QoS 1, a PUBCOMP one of QoS 2 whose PUBREC has come; what does not fit ends nothing. */
  acknowledged(client: Client, { cmd, messageId = 0, isRefused }: Acknowledgement): void {
    // Aedes clears what may not be sent to a client; one that has gone is still owed it.
    if (cmd === 'publish' && client.closed) return
    const session = this.#sessions.get(client.id)
    const number = session?.sent.get(messageId)
    if (session === undefined || number === undefined) return
    const kept = session.messages.get(number)
    const isFitting = cmd === 'puback' ? kept?.qos === 1 : cmd !== 'pubcomp' || kept?.cmd === 'pubrel'
    if (!isFitting && !isRefused) return
    session.sent.delete(messageId)
    session.messages.delete(number)
    if (kept !== undefined) this.#shrink(session, kept)
  }

  #shrink(session: PersistentSession, gone: QueuedPacket): void {
    const bytes = bytesOf(gone)
    session.messageBytes -= bytes
    this.#grow(session, -bytes)
  }

  /** All that is owed, and what comes meanwhile; each when the one before it is being sent. */
  async *again(id: string): AsyncGenerator<QueuedPacket> {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    const replay: Replay = { sent: () => undefined }
    session.replay = replay
    for (const [number, kept] of session.messages) {
      // One that was sent before goes on (MQTT 5 section 3.3.2.3.3).
      if (kept.messageId === undefined && MessageProperties.hasExpired(kept, this.#clock.now())) {
        this.#metrics.dropped('message-expired')
        session.messages.delete(number)
        this.#shrink(session, kept)
        continue
      }
      const sent = new Promise<void>((resolve) => {
        replay.sent = resolve
      })
      yield kept.cmd === 'publish' && kept.messageId !== undefined ? { ...kept, dup: true } : kept
      await sent
      if (session.replay !== replay) return
    }
    session.replay = undefined
  }
}

function bytesOf(packet: QueuedPacket): number {
  return packet.payload.length + MessageProperties.bytesOf(packet)
}
