/**
 * Owns what MQTT subscribers get: what each may subscribe to, which messages are forwarded to it, at which QoS and with which
 * packet id; those that are published now, and those that are retained when it subscribes.
 *
 * Always true: a subscriber gets only what it may have, whatever Aedes thinks that it subscribed to. While nobody subscribes to
 * telemetry, it is kept out of Aedes's fan-out (`wantTelemetry`).
 * Losing: one that does not read, or acknowledges nothing, is disconnected (`slow-client`). Bounds: those of `Subscriptions`,
 * `PersistentSessions` and `RetainedMessages`.
 */

import type { Client, PublishPacket, Subscription } from 'aedes'
import { selectsTelemetry, sharedFilterOf } from '../../identity/topics.ts'
import type { ThrottledLines } from '../../intake/throttled-lines.ts'
import type { Clock } from '../../platform/clock.ts'
import { internals, type Persistence, type QueuedPacket } from '../aedes/internals.ts'
import type { Connection } from '../inbound/connection.ts'
import type { FairShare } from '../inbound/fair-share.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import { mayReceive, maySubscribe } from '../session/access.ts'
import type { SubscriptionOptions } from '../session/subscriptions.ts'
import { grantedQos, isDrowning, isRepeated, keepQos, patchDeliveries } from './deliveries.ts'
import { FanOut } from './fan-out.ts'
import { patchPersistence, type Sessions } from './persistence.ts'
import { PersistentSessions, SESSION_MARKER } from './persistent-sessions.ts'
import { RetainedMessages } from './retained.ts'
import { SessionExpiry } from './session-expiry.ts'

export type { Deliver } from './deliveries.ts'

/** A SUBACK's return code for a filter that was refused (section 3.9.3). */
const REFUSED = 0x80

/** Retain Handling (MQTT 5 section 3.8.3.1). */
const RETAINED_IF_NEW = 1
const RETAINED_NEVER = 2

export interface SubscribersDependencies {
  readonly connections: Pick<WeakMap<Client, Connection>, 'get'>
  readonly isConnected: (clientId: string) => boolean
  /** A number for a message, from the same series as Aedes's own. */
  readonly nextCounter: () => number
  readonly clock: Clock
  readonly fairShare: FairShare
  readonly disconnects: Disconnects
  readonly lines: ThrottledLines
  readonly metrics: BrokerMetrics
}

export class Subscribers {
  readonly retained: RetainedMessages
  readonly persistent: PersistentSessions
  readonly sessionExpiry: SessionExpiry
  readonly #dependencies: SubscribersDependencies
  readonly fanOut = new FanOut()
  #forgetSession: (id: string) => void = () => undefined
  /** A session that is not clean subscribed to telemetry at QoS > 0, once: it is queued for while it is away. */
  #queuesTelemetry = false
  /** A session that is not clean subscribed with No Local, once: who published a message must be known when it is queued. */
  hasNoLocal = false

  constructor(dependencies: SubscribersDependencies) {
    const { metrics, fairShare, isConnected, clock } = dependencies
    this.#dependencies = dependencies
    this.retained = new RetainedMessages({ metrics, fairShare, clock })
    const persistent = new PersistentSessions({ isConnected, metrics, clock })
    this.persistent = persistent
    this.sessionExpiry = new SessionExpiry({
      persistent,
      drop: (id) => this.#forgetSession(id),
      now: () => clock.now(),
    })
  }

  /** Whether anybody subscribes to telemetry. */
  get wantTelemetry(): boolean {
    return this.fanOut.telemetrySubscriptions > 0 || this.#queuesTelemetry
  }

  patchPersistence(persistence: Persistence, acknowledged: Sessions['acknowledged']): void {
    const { connections } = this.#dependencies
    this.#forgetSession = (id) => void persistence.cleanSubscriptions({ id })
    const { persistent } = this
    const session = (client: Client) => connections.get(client)?.session
    const awaitingPubrel = (client: Client) => persistent.awaitingPubrel(client, session(client))
    patchPersistence(persistence, { session, awaitingPubrel, persistent, acknowledged })
  }

  /** Begins the session of a CONNECT; false if there is one that was left, to be restored. */
  beginSession(client: Client, level5: Mqtt5Connection | undefined): boolean {
    const { persistent } = this
    this.sessionExpiry.begin(client, level5)
    const wasLeft = persistent.has(client.id)
    if (wasLeft) {
      if (!client.clean) return false
      this.#forgetSession(client.id)
    } else if (!client.clean) {
      persistent.resume(client.id)
      void persistent.makeRoom()
    }
    return true
  }

  /** Drops what is kept of a session; nothing of one that ends with its connection. */
  endSession(id: string): void {
    if (this.persistent.has(id)) this.#forgetSession(id)
  }

  /** Whether a client may subscribe so; if so, that is counted, and what is refused is told. */
  mayHave(client: Client, subscription: SubscriptionOfLevel5): boolean {
    const { topic, qos } = subscription
    const { connections, metrics, lines } = this.#dependencies
    if (topic === SESSION_MARKER.topic || client.closed) return false
    const session = connections.get(client)?.session
    if (subscription.rh === RETAINED_IF_NEW && session?.subscriptions.has(topic)) subscription.rh = RETAINED_NEVER
    if (
      session !== undefined &&
      maySubscribe(session, topic, qos, client.clean) &&
      session.subscriptions.add(topic, qos, optionsOf(subscription))
    ) {
      patchDeliveries(client, session)
      if (!client.clean && qos > 0 && selectsTelemetry(topic)) this.#queuesTelemetry = true
      if (!client.clean && subscription.nl) this.hasNoLocal = true
      return true
    }
    const reason = 'subscribe-forbidden'
    metrics.refused(reason)
    lines.say(`subscription refused: ${topic}`, { client: client.id, reason })
    return false
  }

  /** After the UNSUBACK. */
  forget(client: Client, filters: readonly string[]): void {
    const { connections } = this.#dependencies
    for (const filter of filters) connections.get(client)?.session?.subscriptions.delete(filter)
  }

  /**
   * Whether a subscriber may have a message that matches its filter; lowers the message's QoS to what was granted. One that
   * has a packet id is sent again, or is a retained one that was looked at already.
   */
  mayReceive(client: Client, packet: PublishPacket): boolean {
    const { connections, disconnects } = this.#dependencies
    const session = connections.get(client)?.session
    if (session === undefined || client.closed || !internals(client).connackSent) return false
    if (!mayReceive(session, packet.topic)) return false
    if (isDrowning(client)) {
      disconnects.end(client, new Disconnect('slow-client', 'it does not read what it subscribed to'))
      return false
    }
    const queued = packet as unknown as QueuedPacket
    if (queued.qos > 0) keepQos(client, queued.topic)
    if (queued.messageId !== undefined) return true
    if (isRepeated(session, queued)) return false
    if (queued.qos > 0) queued.qos = Math.min(queued.qos, grantedQos(session, queued)) as 0 | 1 | 2
    if (queued.qos === 0) return true
    if (!client.clean) return this.persistent.keeps(client.id, queued)
    queued.messageId = session.inFlight.take(client, queued.qos)
    if (queued.messageId !== undefined) return true
    disconnects.end(client, new Disconnect('slow-client', 'it acknowledges nothing of what it subscribed to'))
    return false
  }

  /** After the SUBACK: sends what is retained. Resolves when it has left, or the client has. */
  async sendRetained(client: Client, subscriptions: readonly SubscriptionOfLevel5[]): Promise<void> {
    const { connections, nextCounter } = this.#dependencies
    const connection = connections.get(client)
    const session = connection?.session
    if (session === undefined) return
    const filters = subscriptions
      .filter(({ qos, rh }) => (qos as number) !== REFUSED && rh !== RETAINED_NEVER)
      .map(({ topic }) => topic)
      // What is retained is not for a group (MQTT 5 section 4.8.2).
      .filter((topic) => sharedFilterOf(topic) === undefined)
    const inner = internals(client)
    try {
      for await (const kept of this.retained.find(filters, () => !client.closed)) {
        const { topic, payload, qos } = kept
        const brokerCounter = nextCounter()
        const granted = Math.min(qos, grantedQos(session, { topic, qos, brokerCounter })) as 0 | 1 | 2
        const message = { topic, payload: Buffer.from(payload), qos: granted, brokerCounter }
        const { properties } = kept as { readonly properties?: unknown }
        const packet: QueuedPacket = { cmd: 'publish', ...message, retain: true, dup: false, properties }
        if (granted > 0 && !client.clean && !this.persistent.keepFor(client, packet)) continue
        await new Promise<void>((resolve) => inner.deliverQoS(packet, resolve))
      }
    } finally {
      connection?.inbound.packets.delivered()
    }
  }
}

/** As `Reader` and Aedes's persistence have it (MQTT 5 section 3.8). */
interface SubscriptionOfLevel5 extends Subscription {
  readonly subscriptionIdentifier?: number
  readonly rap?: boolean
  readonly nl?: boolean
  rh?: number
}

function optionsOf(subscription: SubscriptionOfLevel5): SubscriptionOptions | undefined {
  const { subscriptionIdentifier: identifier, rap: retainAsPublished = false } = subscription
  return identifier === undefined && !retainAsPublished ? undefined : { identifier, retainAsPublished }
}
