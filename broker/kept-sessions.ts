/**
 * Owns the sessions that are not clean: which there are, and the messages of QoS > 0 each is still owed. It takes the
 * place of the outgoing queues of Aedes's persistence, which have no bound, know no DUP and search by walking.
 *
 * Always true: a session's messages are sent again in the order they came, PUBREL in the place of its PUBLISH, with the
 * packet id they had (MQTT 3.1.1 sections 4.4 and 4.6), DUP set on what was sent before.
 * Bounds: `SESSIONS_KEPT_MAX` sessions; of a session `SESSION_QUEUE_MESSAGES_MAX` messages and `SESSION_QUEUE_BYTES_MAX`.
 * Losing: what comes to a full queue is dropped and counted; all sessions end with the process.
 */

import { Readable } from 'node:stream'
import type { Client } from 'aedes'
import { SESSION_QUEUE_BYTES_MAX, SESSION_QUEUE_MESSAGES_MAX, SESSIONS_KEPT_MAX } from '../platform/limits.ts'
import { internals, type PersistedSubscription, type Persistence, type QueuedPacket } from './aedes.ts'
import type { BrokerMetrics } from './metrics.ts'

/** Asked for at a reconnect, when a session has no subscriptions: Aedes sets Session Present only for those that have some. */
export const SESSION_MARKER: PersistedSubscription = { topic: '$session', qos: 0 }

interface Queue {
  /** By the broker's number of the message; in the order they came. */
  readonly messages: Map<number, QueuedPacket>
  /** Packet id -> number, of those that were sent. */
  readonly sent: Map<number, number>
  bytes: number
}

export interface KeptSessionsDependencies {
  readonly isConnected: (clientId: string) => boolean
  readonly metrics: BrokerMetrics
}

export class KeptSessions {
  readonly #isConnected: (clientId: string) => boolean
  readonly #metrics: BrokerMetrics
  /** In the order of their last CONNECT. */
  readonly #queues = new Map<string, Queue>()

  constructor(dependencies: KeptSessionsDependencies) {
    this.#isConnected = dependencies.isConnected
    this.#metrics = dependencies.metrics
  }

  /** Puts itself in front of `persistence`. */
  install(persistence: Persistence): void {
    const { subscriptionsByClient, cleanSubscriptions } = persistence
    const forget = async (id: string) => {
      this.#queues.delete(id)
      await cleanSubscriptions.call(persistence, { id })
    }
    persistence.subscriptionsByClient = async (client) => {
      const known = this.#resume(client.id)
      for (const id of this.#surplus()) {
        await forget(id)
        await persistence.cleanIncoming({ id })
      }
      const subscriptions = await subscriptionsByClient.call(persistence, client)
      return known && subscriptions.length === 0 ? [SESSION_MARKER] : subscriptions
    }
    persistence.cleanSubscriptions = ({ id }) => forget(id)
    persistence.outgoingEnqueue = async ({ clientId }, packet) => this.#add(clientId, packet)
    persistence.outgoingEnqueueCombi = async (subscribers, packet) => {
      for (const { clientId } of subscribers) this.#add(clientId, packet)
    }
    persistence.outgoingUpdate = async (client, packet) => this.#update(client, packet)
    persistence.outgoingClearMessageId = async (client, packet) => this.#clear(client.id, packet.messageId)
    persistence.outgoingStream = (client) => Readable.from(this.#again(client.id))
  }

  /** Whether `packet` may be sent to a client whose session is not clean: it is kept, so that it can be sent again. */
  keeps(clientId: string, packet: QueuedPacket): boolean {
    return this.#queues.get(clientId)?.messages.has(packet.brokerCounter) ?? false
  }

  #resume(id: string): boolean {
    const queue = this.#queues.get(id)
    this.#queues.delete(id)
    this.#queues.set(id, queue ?? { messages: new Map(), sent: new Map(), bytes: 0 })
    return queue !== undefined
  }

  #surplus(): string[] {
    const surplus: string[] = []
    for (const id of this.#queues.keys()) {
      if (this.#queues.size - surplus.length <= SESSIONS_KEPT_MAX) break
      if (!this.#isConnected(id)) surplus.push(id)
    }
    return surplus
  }

  #add(id: string, packet: QueuedPacket): void {
    const queue = this.#queues.get(id)
    if (queue === undefined) return
    const bytes = queue.bytes + packet.payload.length
    if (queue.messages.size >= SESSION_QUEUE_MESSAGES_MAX || bytes > SESSION_QUEUE_BYTES_MAX) {
      this.#metrics.dropped('session-queue-full')
      return
    }
    queue.bytes = bytes
    // The payload is a view of the socket's chunk, which it would keep alive.
    queue.messages.set(packet.brokerCounter, { ...packet, payload: Buffer.from(packet.payload), dup: false })
  }

  #update(client: Client, packet: QueuedPacket): void {
    const queue = this.#queues.get(client.id)
    if (queue === undefined) return
    if (packet.cmd === 'pubrel') {
      const number = queue.sent.get(packet.messageId ?? 0)
      const kept = number === undefined ? undefined : queue.messages.get(number)
      if (number !== undefined && kept !== undefined) queue.messages.set(number, { ...kept, ...packet })
      return
    }
    const kept = queue.messages.get(packet.brokerCounter)
    if (kept === undefined) return
    if (kept.messageId === undefined) {
      // Ids begin anywhere at each connection: one may be in use by a message of the connection before.
      const inner = internals(client)
      while (queue.sent.has(packet.messageId ?? 0)) {
        packet.messageId = inner._nextId
        inner._nextId = inner._nextId >= 65_535 ? 1 : inner._nextId + 1
      }
      kept.messageId = packet.messageId
    }
    queue.sent.set(packet.messageId ?? 0, packet.brokerCounter)
  }

  #clear(id: string, messageId: number | undefined): QueuedPacket | undefined {
    const queue = this.#queues.get(id)
    const number = queue?.sent.get(messageId ?? 0)
    if (queue === undefined || number === undefined) return undefined
    const kept = queue.messages.get(number)
    queue.sent.delete(messageId ?? 0)
    queue.messages.delete(number)
    queue.bytes -= kept?.payload.length ?? 0
    return kept
  }

  *#again(id: string): Generator<QueuedPacket> {
    for (const kept of [...(this.#queues.get(id)?.messages.values() ?? [])]) {
      yield kept.cmd === 'publish' && kept.messageId !== undefined ? { ...kept, dup: true } : kept
    }
  }
}
