/**
 * Owns the Aedes subclass: MQTT 3.1 and 3.1.1 with our admission in front of it and telemetry kept out of its fan-out
 * while no MQTT subscriber wants any.
 *
 *   CONNECT --> authenticate --> session --> PUBLISH --> admission (holds the acknowledgement) --> publish --> subscribers
 *
 * Always true: every client that Aedes calls us about has a session; no hook throws or rejects (a throw in an Aedes hook
 * ends the process). QoS 2: a message id is appended once until its PUBREL, though Aedes asks again for each duplicate.
 */

import { Aedes, type Client, type PublishPacket, type Subscription } from 'aedes'
import { selectionOf } from '../devices/topics.ts'
import type { Clock } from '../platform/clock.ts'
import {
  BROKER_DELIVERIES_MAX,
  CONNECT_TIMEOUT_MS,
  EARLY_PACKETS_MAX,
  QOS2_INFLIGHT_MAX,
  SUBSCRIBER_DRAIN_MS,
} from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { mayReceive, maySubscribe } from './access.ts'
import type { Admission } from './admission.ts'
import { internals, type Persistence, type QueuedPacket, type Registering, willOf } from './aedes.ts'
import { authenticate, type ConnectRefused, type Verifies } from './authentication.ts'
import { GrantedTotal } from './granted.ts'
import { Held, HeldTotal } from './held.ts'
import { Inbound } from './inbound.ts'
import { KeptSessions, SESSION_MARKER } from './kept-sessions.ts'
import type { BrokerMetrics } from './metrics.ts'
import { type Deliver, grantedQos, isDrowning, isRepeated, tameDeliveries, withoutWaiting } from './outbound.ts'
import { type RateLimits, Rates } from './rate.ts'
import { RefusalLines } from './refusal-lines.ts'
import { tameRegistrations } from './registrations.ts'
import { RetainedMessages } from './retained.ts'
import { Session } from './session.ts'
import type { StatusBoard } from './status-board.ts'
import { Turns } from './turns.ts'

type Done = (error?: Error | null) => void
type Published = (error?: Error) => void
type PublishFor = (packet: PublishPacket, client: Client | null, done: Published) => void

/** A client id may be as long as MQTT 3.1.1 allows for 3.1 clients too: years-old firmware has long ids. */
const CLIENT_ID_CHARS_MAX = 65_535
const NOTHING = Buffer.alloc(0)

export interface TelemetryBrokerDependencies {
  /** Undefined: anyone may connect. */
  readonly identity: Verifies | undefined
  readonly admission: Admission
  readonly statusBoard: StatusBoard
  readonly clock: Clock
  readonly metrics: BrokerMetrics
  readonly logger: Logger
}

export class TelemetryBroker extends Aedes {
  declare readonly persistence: Persistence
  /** Connected clients by id, without a prototype. */
  declare readonly clients: Readonly<Record<string, Client>>
  readonly #dependencies: TelemetryBrokerDependencies
  readonly #sessions = new WeakMap<Client, Session>()
  readonly #inbounds = new WeakMap<Client, Inbound>()
  readonly #refusals: RefusalLines
  readonly #held = new HeldTotal()
  readonly #turns = new Turns()
  readonly #grantedTotal = new GrantedTotal()
  readonly #kept: KeptSessions
  readonly retained: RetainedMessages
  readonly #rates: Rates
  /** Aedes's delivery functions, and ours around them. */
  readonly #deliveries = new WeakMap<Deliver, Deliver>()
  /** Subscriptions that match telemetry; while there are none, telemetry stays out of Aedes. */
  #telemetrySubscriptions = 0
  /** A session that is not clean subscribed to telemetry: Aedes must queue for it while it is away. */
  #queuesTelemetry = false

  constructor(options: { readonly deviceRate: RateLimits }, dependencies: TelemetryBrokerDependencies) {
    super({
      concurrency: BROKER_DELIVERIES_MAX,
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: SUBSCRIBER_DRAIN_MS,
      queueLimit: EARLY_PACKETS_MAX,
      maxInflightInbound: QOS2_INFLIGHT_MAX,
      maxClientsIdLength: CLIENT_ID_CHARS_MAX,
    })
    this.#dependencies = dependencies
    this.#refusals = new RefusalLines(dependencies)
    this.#rates = new Rates(options.deviceRate)
    this.retained = new RetainedMessages(dependencies.metrics)
    this.authenticate = (client, username, password, done) => {
      this.#authenticate(client, username, password).then(
        () => done(null, true),
        (error: ConnectRefused) => this.#refuse(client, error, done),
      )
    }
    this.authorizePublish = (client, packet, done) => this.#authorizePublish(client, packet, done)
    this.authorizeSubscribe = (client, subscription, done) => {
      done(null, this.#authorizeSubscribe(client, subscription) ? subscription : null)
    }
    this.authorizeForward = (client, packet) => (this.#mayForward(client, packet) ? packet : null)
    tameRegistrations(this as unknown as Registering)
    const handle = this.handle
    this.handle = (stream, request) => {
      const client = handle(stream, request)
      this.#inbounds.set(client, new Inbound(client, new Held(this.#held), this.#turns))
      return client
    }
    this.preConnect = (client, _packet, done) => {
      this.#turns.wait({
        takeTurn: () => {
          done(client.closed ? new Error('closed before its turn') : null, true)
          return 'work follows'
        },
      })
    }
    this.#kept = new KeptSessions({
      isConnected: (id) => this.clients[id] !== undefined,
      metrics: dependencies.metrics,
    })
    this.#listen()
  }

  override async listen(): Promise<void> {
    await super.listen()
    const { persistence } = this
    this.#kept.install(persistence)
    this.retained.install(persistence)
    const { addSubscriptions, incomingStorePacket } = persistence
    // The packet id is all that is needed: with payloads, a client that sends no PUBREL would hold 256 MB.
    persistence.incomingStorePacket = (client, packet) =>
      incomingStorePacket.call(persistence, client, { ...packet, topic: '', payload: NOTHING })
    // Aedes hands over all filters of a SUBSCRIBE once for each of them, and the refused ones too, which it restored at the
    // next connection. They are stored once, when all have been looked at.
    const storing = new WeakMap<object, Promise<void>>()
    persistence.addSubscriptions = (client, all) => {
      const stored =
        storing.get(all) ??
        Promise.resolve().then(() => {
          const granted = all.filter(({ topic }) => this.#sessions.get(client)?.granted.has(topic))
          return addSubscriptions.call(persistence, client, granted)
        })
      storing.set(all, stored)
      return stored
    }
  }

  /** Called by Aedes after the acknowledgement (QoS 1) or before it (QoS 2): hands the message to MQTT subscribers. */
  override publish(packet: PublishPacket, client: Client | Published | null, done?: Published): void {
    if (typeof client === 'function') {
      super.publish(packet, client)
      return
    }
    const finished = done ?? (() => undefined)
    const session = client ? this.#sessions.get(client) : undefined
    if (session === undefined) {
      this.#superPublish(packet, client, finished)
      return
    }
    packet.dup = false
    if (packet.qos === 2 && !session.appending.delete(packet.messageId ?? 0)) {
      // The same packet id twice before Aedes knew it: the first is on its way to the subscribers.
      finished()
      return
    }
    const isTelemetry = session.topic(packet.topic)?.kind === 'telemetry'
    if (isTelemetry && session.holder.kind !== 'anyone') packet.retain = false
    const unwanted = isTelemetry && !packet.retain && this.#telemetrySubscriptions === 0 && !this.#queuesTelemetry
    if (unwanted || this.#dependencies.admission.wasDropped(packet)) finished()
    else this.#superPublish(packet, client, finished)
  }

  override subscribe(topic: string, deliver: Deliver, done: () => void): void {
    if (selectionOf(topic) !== undefined) this.#telemetrySubscriptions++
    const ours = withoutWaiting(deliver)
    this.#deliveries.set(deliver, ours)
    super.subscribe(topic, ours, done)
  }

  override unsubscribe(topic: string, deliver: Deliver, done: () => void): void {
    if (selectionOf(topic) !== undefined) this.#telemetrySubscriptions--
    super.unsubscribe(topic, this.#deliveries.get(deliver) ?? deliver, done)
  }

  /** Ends the connections whose token has expired, and those whose packet made no progress since the last sweep. */
  sweep(now: number): void {
    const { metrics } = this.#dependencies
    for (const client of Object.values(this.clients)) {
      if (this.#sessions.get(client)?.hasExpired(now)) {
        metrics.refused('expired-token')
        this.#refusals.say('disconnected: the token has expired', { client: client.id, reason: 'expired-token' })
        client.close()
      } else if (this.#inbounds.get(client)?.isStuck()) {
        metrics.refused('stuck-packet')
        client.emit('error', new Error('a packet was begun and not finished'))
      }
    }
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
    const held = this.#inbounds.get(client)?.held ?? new Held(this.#held)
    const rates = this.#rates
    const grantedTotal = this.#grantedTotal
    const session = identity
      ? await authenticate(client, username, password, identity, { held, grantedTotal, rates })
      : new Session({ kind: 'anyone' }, { held, grantedTotal, rate: rates.of(client.id) })
    internals(client).conn.once('close', () => session.granted.clear())
    tameDeliveries(client, session)
    this.#sessions.set(client, session)
  }

  #refuse(client: Client, error: ConnectRefused, done: (error: ConnectRefused, success: null) => void): void {
    this.#dependencies.metrics.refused(error.reason)
    this.#refusals.say(`connection refused: ${error.message}`, { client: client.id, reason: error.reason })
    done(error, null)
  }

  #authorizePublish(client: Client | null, packet: PublishPacket, done: Done): void {
    const session = client ? this.#sessions.get(client) : undefined
    if (session === undefined || client === null) done(new Error('no session'))
    else if (packet.qos === 2) this.#admitOnce(client, session, packet, done)
    else this.#dependencies.admission.admit(session, packet, done)
  }

  /** QoS 2, method A of MQTT 3.1.1 section 4.3.3: an id that is stored, or being appended, is not appended again. */
  #admitOnce(client: Client, session: Session, packet: PublishPacket, done: Done): void {
    const id = packet.messageId ?? 0
    const waiting = session.appending.get(id)
    if (waiting === 'durable') done()
    else if (waiting !== undefined) waiting.push(done)
    else {
      session.appending.set(id, [done])
      this.persistence.incomingGetPacket(client, packet).then(
        () => session.settle(id, undefined, false),
        () => this.#dependencies.admission.admit(session, packet, (error) => session.settle(id, error, true)),
      )
    }
  }

  #authorizeSubscribe(client: Client, subscription: Subscription): boolean {
    const session = this.#sessions.get(client)
    const { topic, qos } = subscription
    if (topic === SESSION_MARKER.topic || client.closed) return false
    if (session !== undefined && maySubscribe(session, topic, qos, client.clean) && session.granted.add(topic, qos)) {
      if (!client.clean && selectionOf(topic) !== undefined) this.#queuesTelemetry = true
      return true
    }
    this.#dependencies.metrics.refused('subscribe-forbidden')
    this.#dependencies.logger.debug({ client: client.id, filter: topic }, 'subscription refused')
    return false
  }

  /** Whether a subscriber may have a message that matches its filter; lowers the message's QoS to what was granted. */
  #mayForward(client: Client, packet: PublishPacket): boolean {
    const session = this.#sessions.get(client)
    if (session === undefined || !internals(client).connackSent || !mayReceive(session, packet.topic)) return false
    if (client.closed) return false
    if (isDrowning(client)) {
      this.#dependencies.metrics.refused('slow-client')
      client.emit('error', new Error('the client does not read what it subscribed to'))
      return false
    }
    const queued = packet as unknown as QueuedPacket
    const again = queued.messageId !== undefined
    if (!again && isRepeated(session, queued)) return false
    if (packet.qos > 0) queued.qos = Math.min(packet.qos, grantedQos(session, queued)) as 0 | 1 | 2
    return again || packet.qos === 0 || client.clean || packet.retain || this.#kept.keeps(client.id, queued)
  }

  #listen(): void {
    const { statusBoard, metrics, logger } = this.#dependencies
    this.on('client', (client) => {
      const holder = this.#sessions.get(client)?.holder
      if (holder?.kind === 'device') statusBoard.connected(holder.device, willOf(client))
    })
    this.on('clientDisconnect', (client) => {
      const holder = this.#sessions.get(client)?.holder
      if (holder?.kind === 'device') statusBoard.disconnected(holder.device)
    })
    this.on('unsubscribe', (filters, client) => {
      for (const filter of filters) this.#sessions.get(client)?.granted.delete(filter)
    })
    const ended = (client: Client, error: Error) => {
      metrics.protocolError()
      logger.debug({ client: client.id, error: error.message }, 'connection ended')
    }
    this.on('clientError', ended)
    this.on('connectionError', ended)
    // A rejected will arrives here; without a listener it would end the process.
    ;(this as NodeJS.EventEmitter).on('error', (error: Error) => logger.warn({ error: error.message }, 'broker'))
  }
}
