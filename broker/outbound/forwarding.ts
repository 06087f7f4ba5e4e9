/**
 * Owns what is forwarded to one MQTT subscriber: which messages, at which QoS, with which packet id; those that are published
 * now, and those that are retained when it subscribes.
 *
 * Always true: a subscriber gets only what it may have, whatever Aedes thinks that it subscribed to.
 * Losing: one that does not read, or acknowledges nothing, is disconnected (`slow-client`).
 */

import type { Client, PublishPacket } from 'aedes'
import { internals, type QueuedPacket } from '../aedes/internals.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import { mayReceive } from '../session/access.ts'
import type { Session } from '../session/session.ts'
import { grantedQos, isDrowning, isRepeated, keepQos } from './deliveries.ts'
import type { PersistentSessions } from './persistent-sessions.ts'
import type { RetainedMessages } from './retained.ts'

export interface ForwardingDependencies {
  readonly kept: PersistentSessions
  readonly retained: RetainedMessages
  readonly disconnects: Disconnects
  /** A number for a message, from the same series as Aedes's own. */
  readonly nextCounter: () => number
}

export class Forwarding {
  readonly #dependencies: ForwardingDependencies

  constructor(dependencies: ForwardingDependencies) {
    this.#dependencies = dependencies
  }

  /**
   * Whether a subscriber may have a message that matches its filter; lowers the message's QoS to what was granted. One that
   * has a packet id is sent again, or is a retained one that was looked at already.
   */
  mayForward(client: Client, session: Session, packet: PublishPacket): boolean {
    if (client.closed || !internals(client).connackSent || !mayReceive(session, packet.topic)) return false
    if (isDrowning(client)) {
      this.#dependencies.disconnects.end(
        client,
        new Disconnect('slow-client', 'it does not read what it subscribed to'),
      )
      return false
    }
    const queued = packet as unknown as QueuedPacket
    if (queued.qos > 0) keepQos(client, queued.topic)
    if (queued.messageId !== undefined) return true
    if (isRepeated(session, queued)) return false
    if (queued.qos > 0) queued.qos = Math.min(queued.qos, grantedQos(session, queued)) as 0 | 1 | 2
    if (queued.qos === 0) return true
    if (!client.clean) return this.#dependencies.kept.keeps(client.id, queued)
    queued.messageId = session.inFlight.take(client, queued.qos)
    if (queued.messageId !== undefined) return true
    const disconnect = new Disconnect('slow-client', 'it acknowledges nothing of what it subscribed to')
    this.#dependencies.disconnects.end(client, disconnect)
    return false
  }

  /** Sends what is retained, for a SUBSCRIBE with these filters. Resolves when it has left, or the client has. */
  async sendRetained(client: Client, session: Session, filters: readonly string[]): Promise<void> {
    const { kept, retained, nextCounter } = this.#dependencies
    const inner = internals(client)
    for await (const { topic, payload, qos } of retained.find(filters, () => !client.closed)) {
      const brokerCounter = nextCounter()
      const granted = Math.min(qos, grantedQos(session, { topic, qos, brokerCounter })) as 0 | 1 | 2
      const message = { topic, payload: Buffer.from(payload), qos: granted, brokerCounter }
      const packet: QueuedPacket = { cmd: 'publish', ...message, retain: true, dup: false }
      if (granted > 0 && !client.clean && !kept.keepFor(client, packet)) continue
      await new Promise<void>((resolve) => inner.deliverQoS(packet, resolve))
    }
  }
}
