/**
 * Owns the Aedes subclass: MQTT 3.1 and 3.1.1 with our admission in front of it and telemetry kept out of its fan-out
 * while no MQTT subscriber wants any.
 *
 *   CONNECT --> authenticate --> session --> PUBLISH --> admission (holds the acknowledgement) --> publish --> subscribers
 *
 * Always true: every client that Aedes calls us about has a session; no hook throws or rejects (a throw in an Aedes hook
 * ends the process).
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { Aedes, type Client, type PublishPacket, type Subscription } from 'aedes'
import { selectionOf } from '../identity/topics.ts'
import type { Clock } from '../platform/clock.ts'
import {
  CLIENT_ID_CHARS_MAX,
  CONNECT_TIMEOUT_MS,
  CONNECTS_PER_CLIENT,
  QOS2_INFLIGHT_MAX,
  SUBSCRIBER_DRAIN_MS,
  UNCONNECTED_MAX,
} from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { Throttle } from '../platform/throttle.ts'
import type { Admission } from './admission.ts'
import { internals, type Persistence, type Registering, willOf } from './aedes/internals.ts'
import { patchRegistrations } from './aedes/registrations.ts'
import { authenticate, ConnectRefused, type Verifies } from './connect/authentication.ts'
import { PendingConnects } from './connect/pending-connects.ts'
import { Connection } from './inbound/connection.ts'
import { FairShare } from './inbound/fair-share.ts'
import { Inbound } from './inbound/inbound.ts'
import { PartialPackets } from './inbound/partial-packets.ts'
import { type Deliver, patchDeliveries, withoutWaiting } from './outbound/deliveries.ts'
import { Forwarding } from './outbound/forwarding.ts'
import { patchPersistence } from './outbound/persistence.ts'
import { PersistentSessions, SESSION_MARKER } from './outbound/persistent-sessions.ts'
import { RetainedMessages } from './outbound/retained.ts'
import { Sweeps } from './outbound/sweeps.ts'
import { Disconnect, type Disconnects } from './reports/disconnects.ts'
import type { BrokerMetrics } from './reports/metrics.ts'
import type { ThrottledLines } from './reports/throttled-lines.ts'
import { maySubscribe } from './session/access.ts'
import { AwaitingPubrel } from './session/awaiting-pubrel.ts'
import { type RateLimits, Rates } from './session/rate.ts'
import { ReceiveWindow, ReceiveWindowTotal } from './session/receive-window.ts'
import { Session } from './session/session.ts'
import { SubscriptionsTotal } from './session/subscriptions.ts'
import type { StatusBoard } from './status-board.ts'
import type { Verdicts } from './verdict.ts'

/** Packets that a client may send before its CONNACK; one more closes the connection. */
const EARLY_PACKETS_MAX = 1_000
/** Deliveries that Aedes has under way at once. */
const BROKER_DELIVERIES_MAX = 1_000

type Done = (error?: Error | null) => void
type Published = (error?: Error) => void
type PublishFor = (packet: PublishPacket, client: Client | null, done: Published) => void

/** A SUBACK's return code for a filter that was refused (section 3.9.3). */
const REFUSED = 0x80
/** A CONNACK's return code (section 3.2.2.3). */
const SERVER_UNAVAILABLE = 3

function nothing(): void {}

export interface TelemetryBrokerDependencies {
  /** Undefined: anyone may connect. */
  readonly identity: Verifies | undefined
  readonly admission: Admission
  readonly verdicts: Verdicts
  readonly statusBoard: StatusBoard
  readonly clock: Clock
  readonly metrics: BrokerMetrics
  readonly disconnects: Disconnects
  readonly lines: ThrottledLines
  readonly logger: Logger
}

export interface TelemetryBrokerOptions {
  readonly deviceRate: RateLimits
  readonly connectionsMax: number
}

export class TelemetryBroker extends Aedes {
  declare readonly persistence: Persistence
  /** Connected clients by id, without a prototype. */
  declare readonly clients: Readonly<Record<string, Client>>
  readonly #dependencies: TelemetryBrokerDependencies
  readonly #connections = new WeakMap<Client, Connection>()
  readonly #lines: ThrottledLines
  readonly #disconnects: Disconnects
  readonly #forwarding: Forwarding
  readonly #receiveWindow = new ReceiveWindowTotal()
  readonly #fairShare = new FairShare()
  readonly #subscriptionsTotal = new SubscriptionsTotal()
  readonly #partialPackets = new PartialPackets()
  readonly pendingConnects: PendingConnects
  readonly #persistentSessions: PersistentSessions
  readonly retained: RetainedMessages
  readonly sweeps: Sweeps
  readonly #rates: Rates
  readonly #connectThrottle = new Throttle(CONNECTS_PER_CLIENT)
  /** Aedes's delivery functions, and ours around them. */
  readonly #deliveries = new WeakMap<Deliver, Deliver>()
  /** Subscriptions that match telemetry; while there are none, telemetry stays out of Aedes. */
  #telemetrySubscriptions = 0
  /** A session that is not clean subscribed to telemetry at QoS > 0, once: it is queued for while it is away. */
  #queuesTelemetry = false

  constructor(options: TelemetryBrokerOptions, dependencies: TelemetryBrokerDependencies) {
    super({
      concurrency: BROKER_DELIVERIES_MAX,
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: SUBSCRIBER_DRAIN_MS,
      queueLimit: EARLY_PACKETS_MAX,
      maxInflightInbound: QOS2_INFLIGHT_MAX,
      maxClientsIdLength: CLIENT_ID_CHARS_MAX,
    })
    this.#dependencies = dependencies
    const { metrics } = dependencies
    this.#lines = dependencies.lines
    this.#disconnects = dependencies.disconnects
    this.sweeps = new Sweeps({
      clients: () => Object.values(this.clients),
      connectionOf: (client) => this.#connections.get(client),
      disconnects: this.#disconnects,
    })
    this.#rates = new Rates(options.deviceRate)
    this.retained = new RetainedMessages({ metrics, fairShare: this.#fairShare })
    this.authenticate = (client, username, password, done) => {
      this.#authenticate(client, username, password).then(
        () => done(null, true),
        (error: ConnectRefused) => {
          // Aedes ends it, with a CONNACK.
          this.#disconnects.ended(client, error)
          done(error, null)
        },
      )
    }
    this.authorizePublish = (client, packet, done) => this.#authorizePublish(client, packet, done)
    this.authorizeSubscribe = (client, subscription, done) => {
      done(null, this.#authorizeSubscribe(client, subscription) ? subscription : null)
    }
    this.authorizeForward = (client, packet) => {
      const session = this.#sessionOf(client)
      return session !== undefined && this.#forwarding.mayForward(client, session, packet) ? packet : null
    }
    patchRegistrations(this as unknown as Registering, (client) =>
      this.#disconnects.end(client, new Disconnect('taken-over', 'its client id has connected again')),
    )
    const shares = {
      fairShare: this.#fairShare,
      partialPackets: this.#partialPackets,
      metrics,
      disconnects: this.#disconnects,
      broker: this,
    }
    const handle = this.handle
    this.handle = (stream, request) => {
      const client = handle(stream, request)
      const inbound = new Inbound(client, { ...shares, receiveWindow: new ReceiveWindow(this.#receiveWindow) })
      this.#connections.set(client, new Connection(inbound))
      // Node does not always say that what was put back is readable.
      inbound.read()
      return client
    }
    this.pendingConnects = new PendingConnects({
      max: Math.min(UNCONNECTED_MAX, options.connectionsMax / 2),
      partialPackets: this.#partialPackets,
      fairShare: this.#fairShare,
      arrived: (stream) => this.handle(stream),
      disconnects: this.#disconnects,
    })
    this.preConnect = (client, _packet, done) => {
      this.#fairShare.wait({
        takeTurn: () => {
          if (!client.closed) done(null, true)
          return 'work follows'
        },
      })
    }
    this.#persistentSessions = new PersistentSessions({
      isConnected: (id) => this.clients[id] !== undefined,
      metrics,
    })
    this.#forwarding = new Forwarding({
      kept: this.#persistentSessions,
      retained: this.retained,
      disconnects: this.#disconnects,
      nextCounter: () => ++(this as unknown as { counter: number }).counter,
    })
    this.#listen()
  }

  override async listen(): Promise<void> {
    await super.listen()
    patchPersistence(this.persistence, {
      session: (client) => this.#sessionOf(client),
      awaitingPubrel: (client) => this.#awaitingPubrel(client, this.#sessionOf(client)),
      persistent: this.#persistentSessions,
    })
  }

  /** Called by Aedes after the acknowledgement (QoS 1) or before it (QoS 2): hands the message to MQTT subscribers. */
  override publish(packet: PublishPacket, client: Client | Published | null, done?: Published): void {
    if (typeof client === 'function') {
      super.publish(packet, client)
      return
    }
    const finished = done ?? nothing
    const session = client ? this.#sessionOf(client) : undefined
    if (session === undefined) {
      this.#superPublish(packet, client, finished)
      return
    }
    packet.dup = false
    if (packet.qos === 2 && client && !this.#awaitingPubrel(client, session).publish(packet.messageId ?? 0)) {
      // The same packet id twice: the first is on its way to the subscribers.
      finished()
      return
    }
    const isTelemetry = session.topic(packet.topic)?.kind === 'telemetry'
    if (isTelemetry && session.holder.kind !== 'anyone') packet.retain = false
    const unwanted = isTelemetry && !packet.retain && this.#telemetrySubscriptions === 0 && !this.#queuesTelemetry
    // The PUBREC, which comes after this callback, does not wait for subscribers: it would come late, and out of order.
    finished()
    if (!unwanted && !this.#dependencies.verdicts.wasDropped(packet)) this.#superPublish(packet, client, nothing)
  }

  override subscribe(topic: string, deliver: Deliver, done: () => void): void {
    if (selectionOf(topic) !== undefined) this.#telemetrySubscriptions++
    const ours = withoutWaiting(deliver)
    this.#deliveries.set(deliver, ours)
    super.subscribe(topic, ours, done)
  }

  override unsubscribe(topic: string, deliver: Deliver, done: () => void): void {
    if (selectionOf(topic) !== undefined) {
      this.#telemetrySubscriptions--
      assert(this.#telemetrySubscriptions >= 0, 'who unsubscribes has subscribed')
    }
    super.unsubscribe(topic, this.#deliveries.get(deliver) ?? deliver, done)
  }

  #superPublish(packet: PublishPacket, client: Client | null, done: Published): void {
    if (packet.retain) {
      // Here, because Aedes waits after it, and the next message would overtake this one. Subscribers that are established
      // get RETAIN 0 anyway (section 3.3.1.3).
      this.retained.keep(packet)
      packet.retain = false
    }
    // Aedes takes the client as its second argument here; its types do not show it.
    const publish: unknown = super.publish
    ;(publish as PublishFor).call(this, packet, client, done)
  }

  async #authenticate(client: Client, username: string | undefined, password: Buffer | undefined): Promise<void> {
    const { identity } = this.#dependencies
    const connection = this.#connections.get(client)
    assert(connection, 'Aedes knows a client from its connection only')
    const { receiveWindow } = connection.inbound
    const rates = this.#rates
    const subscriptionsTotal = this.#subscriptionsTotal
    const session = identity
      ? await authenticate(client, username, password, identity, { receiveWindow, subscriptionsTotal, rates })
      : new Session({ kind: 'anyone' }, { receiveWindow, subscriptionsTotal, rate: rates.of(client.id) })
    await this.#waitForItsTime(client)
    internals(client).conn.once('close', () => session.subscriptions.clear())
    patchDeliveries(client, session)
    connection.session = session
  }

  /** After its token was checked: who only has somebody's id must not keep that one waiting. */
  async #waitForItsTime(client: Client): Promise<void> {
    const waitMs = this.#connectThrottle.wait(this.#dependencies.clock.now(), client.id)
    if (waitMs === undefined) {
      throw new ConnectRefused(SERVER_UNAVAILABLE, 'too-many-connects', 'this client id connects again and again')
    }
    if (waitMs === 0) return
    this.#dependencies.metrics.connectDelayed('client')
    await delay(waitMs, undefined, { ref: false })
  }

  #authorizePublish(client: Client | null, packet: PublishPacket, done: Done): void {
    const { admission, verdicts } = this.#dependencies
    assert(client, 'only a client asks whether it may publish')
    const session = this.#sessionOf(client)
    assert(session, 'a client that publishes was authenticated')
    if (packet === willOf(client)) {
      admission.admitWill(session, packet, (verdict) => verdicts.carryOut(verdict, session, packet, done))
    } else if (packet.qos === 0) this.#admit(session, packet, done)
    else if (packet.qos === 1) this.#admit(session, packet, session.acks.enter(done))
    else {
      const ids = this.#awaitingPubrel(client, session)
      ids.admit(packet.messageId ?? 0, (told) => this.#admit(session, packet, told), session.acks.enter(done))
    }
  }

  #sessionOf(client: Client): Session | undefined {
    return this.#connections.get(client)?.session
  }

  #admit(session: Session, packet: PublishPacket, done: Done): void {
    const { admission, verdicts } = this.#dependencies
    admission.admit(session, packet, (verdict) => verdicts.carryOut(verdict, session, packet, done))
  }

  #awaitingPubrel(client: Client, session: Session | undefined): AwaitingPubrel {
    if (session?.awaitingPubrel !== undefined) return session.awaitingPubrel
    const received = (client.clean ? undefined : this.#persistentSessions.received(client.id)) ?? new AwaitingPubrel()
    if (session !== undefined) session.awaitingPubrel = received
    return received
  }

  #authorizeSubscribe(client: Client, subscription: Subscription): boolean {
    const session = this.#sessionOf(client)
    const { topic, qos } = subscription
    if (topic === SESSION_MARKER.topic || client.closed) return false
    if (
      session !== undefined &&
      maySubscribe(session, topic, qos, client.clean) &&
      session.subscriptions.add(topic, qos)
    ) {
      if (!client.clean && qos > 0 && selectionOf(topic) !== undefined) this.#queuesTelemetry = true
      return true
    }
    const reason = 'subscribe-forbidden'
    this.#dependencies.metrics.refused(reason)
    this.#lines.say(`subscription refused: ${topic}`, { client: client.id, reason })
    return false
  }

  #listen(): void {
    const { statusBoard, logger } = this.#dependencies
    this.on('client', (client) => {
      const holder = this.#sessionOf(client)?.holder
      if (holder?.kind === 'device') statusBoard.connected(holder.device, willOf(client))
    })
    this.on('clientDisconnect', (client) => {
      const holder = this.#sessionOf(client)?.holder
      if (holder?.kind === 'device') statusBoard.disconnected(holder.device)
    })
    this.on('subscribe', (subscriptions, client) => {
      const session = this.#sessionOf(client)
      const filters = subscriptions.filter(({ qos }) => (qos as number) !== REFUSED).map(({ topic }) => topic)
      if (session === undefined) return
      this.#forwarding
        .sendRetained(client, session, filters)
        .catch((error: unknown) => logger.error({ err: error }, 'retained messages could not be sent'))
        .finally(() => this.#connections.get(client)?.inbound.packets.delivered())
    })
    this.on('unsubscribe', (filters, client) => {
      for (const filter of filters) this.#sessionOf(client)?.subscriptions.delete(filter)
    })
    this.on('clientError', (client, error) => this.#disconnects.ended(client, error))
    this.on('connectionError', (client, error) => this.#disconnects.ended(client, error))
    // A rejected will arrives here; without a listener it would end the process.
    ;(this as NodeJS.EventEmitter).on('error', (error: Error) => logger.warn({ error: error.message }, 'broker'))
  }
}
