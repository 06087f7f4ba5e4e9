/**
 * Owns the Aedes subclass: MQTT 3.1 and 3.1.1, and 5 by way of that, each of Aedes's hooks being a call of whoever here owns what it asks.
 *
 *   CONNECT --> `Connections` --> session --> PUBLISH ----> `Publishes` (admission holds the acknowledgement) --+
 *                                        \--> SUBSCRIBE --> `Subscribers` <-------------------------------------+
 *
 * Always true: no hook throws or rejects (a throw in an Aedes hook ends the process).
 */

import { Aedes, type Client, type PublishPacket } from 'aedes'
import type { ThrottledLines } from '../intake/throttled-lines.ts'
import { CLIENT_ID_CHARS_MAX, CONNECT_TIMEOUT_MS, SUBSCRIBER_DRAIN_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { Admission, AdmissionDependencies } from './admission/admission.ts'
import { type StatusBoard, takenOver } from './admission/status-board.ts'
import { internals, nextCounter, type Persistence, type Registering } from './aedes/internals.ts'
import { patchRegistrations } from './aedes/registrations.ts'
import { Connections, type ConnectionsDependencies, type ConnectionsOptions } from './connect/connections.ts'
import { FairShare } from './inbound/fair-share.ts'
import { PlainTelemetry } from './inbound/plain-telemetry.ts'
import { JSON_TEXT } from './mqtt5/message-properties.ts'
import { CommandDeliveries, type CommandDeliveriesDependencies } from './outbound/commands.ts'
import { type Deliver, Subscribers } from './outbound/subscribers.ts'
import { Sweeps } from './outbound/sweeps.ts'
import { type Publish, type Published, Publishes } from './publishes.ts'
import { addressOf, Disconnect, type Disconnects } from './reports/disconnects.ts'
import type { Session } from './session/session.ts'

/** Deliveries that Aedes has under way at once. */
const BROKER_DELIVERIES_MAX = 1_000

const TAKEN_FOR_GONE = 'the other brokers had not heard of this one for a while, and its devices were marked offline'

export interface TelemetryBrokerOptions extends ConnectionsOptions {
  /** False: all telemetry goes the long way. For a test, to which that is the oracle. */
  readonly plainTelemetry?: boolean | undefined
}

type OfConnections = Pick<ConnectionsDependencies, 'authentication' | 'disconnects' | 'story' | 'metrics' | 'clock'>

export interface TelemetryBrokerDependencies extends OfConnections {
  readonly admission: Admission
  readonly statusBoard: StatusBoard
  /** A connection has ended. */
  readonly ended?: ((session: Session) => void) | undefined
  readonly commands: CommandDeliveriesDependencies['commands']
  readonly check?: AdmissionDependencies['check']
  readonly lines: ThrottledLines
  readonly logger: Logger
}

export class TelemetryBroker extends Aedes {
  declare readonly persistence: Persistence
  /** Connected clients by id, without a prototype. */
  declare readonly clients: Readonly<Record<string, Client>>
  readonly connections: Connections
  readonly subscribers: Subscribers
  readonly sweeps: Sweeps
  readonly commands: CommandDeliveries
  readonly #publishes: Publishes
  readonly #statusBoard: StatusBoard
  readonly #disconnects: Disconnects

  constructor(options: TelemetryBrokerOptions, dependencies: TelemetryBrokerDependencies) {
    super({
      concurrency: BROKER_DELIVERIES_MAX,
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: SUBSCRIBER_DRAIN_MS,
      maxClientsIdLength: CLIENT_ID_CHARS_MAX,
    })
    const { admission, statusBoard, disconnects, story, metrics, clock, logger } = dependencies
    this.#statusBoard = statusBoard
    this.#disconnects = disconnects
    const broker = this as unknown as TelemetryBroker & Registering
    const shared = { ...dependencies, broker, fairShare: new FairShare() }
    this.connections = new Connections(options, {
      ...shared,
      authenticated: (client, session) => {
        const packets = connections.get(client)?.inbound.packets
        if (packets !== undefined && options.plainTelemetry !== false) {
          const publishes = this.#publishes
          const level5 = this.connections.mqtt5.of(client)
          const properties = level5?.plainProperties(() => publishes.wantRuns)
          const ofLevel5 = { properties, check: level5 && dependencies.check }
          packets.plain = new PlainTelemetry(client, { session, admission, publishes, disconnects, ...ofLevel5, clock })
        }
      },
      beginSession: (client) => this.subscribers.beginSession(client, this.connections.mqtt5.of(client)),
    })
    const connections = this.connections.byClient
    this.subscribers = new Subscribers({
      ...shared,
      connections,
      isConnected: (id) => this.clients[id] !== undefined,
      nextCounter: () => nextCounter(this),
    })
    this.commands = new CommandDeliveries({
      commands: dependencies.commands,
      persistent: this.subscribers.persistent,
      connections,
      isConnected: (id) => this.clients[id] !== undefined,
      isNewest: (session) => statusBoard.isNewest(session),
      nextCounter: () => nextCounter(this),
      clock,
      logger,
    })
    // Aedes takes the client as its second argument here; its types do not show it.
    const publish: Publish = (super.publish as unknown as Publish).bind(this)
    this.#publishes = new Publishes({ admission, connections, subscribers: this.subscribers, publish })
    /** To be looked over; of the table that Aedes has by id a list would have to be made. */
    const connected = new Set<Client>()
    this.sweeps = new Sweeps({
      clients: connected,
      connections,
      disconnects,
      isRevoked: (principal) => dependencies.authentication.isRevoked(principal),
    })
    patchRegistrations(broker, (before, by) => {
      const text = `its client id has connected again, from ${addressOf(by)}`
      disconnects.end(before, new Disconnect('taken-over', text))
    })

    // Asked for sessions to be restored, of clients that were authenticated.
    this.authenticate = (client, _username, _password, done) => {
      done(null, connections.get(client)?.session !== undefined)
    }
    this.authorizePublish = this.#publishes.authorize
    this.authorizeSubscribe = (client, subscription, done) => {
      done(null, this.subscribers.mayHave(client, subscription) ? subscription : null)
    }
    this.authorizeForward = (client, packet) => (this.subscribers.mayReceive(client, packet) ? packet : null)
    // Only of a session that was restored.
    this.on('clientReady', (client) => {
      connections.get(client)?.connected(client)
      this.commands.subscribed(client)
    })
    this.on('client', (client) => {
      connected.add(client)
      metrics.connected()
      const { agreement } = this.connections.mqtt5.of(client) ?? {}
      this.#publishes.wills.connected(client.id, client.clean || agreement?.cleanStart === true)
      const session = connections.get(client)?.session
      if (session?.holder.kind !== 'device') return
      this.#keepPresence(client, session, session.holder.device)
      story.connected(session.holder.device, client, agreement !== undefined)
    })
    this.on('clientDisconnect', (client) => {
      connected.delete(client)
      this.commands.disconnected(client)
      const session = connections.get(client)?.session
      if (session?.holder.kind === 'device') {
        const { device } = session.holder
        const said = this.closed ? 'stopping' : internals(client)._disconnected && 'goodbye'
        statusBoard.disconnected(device)
        story.disconnected(device, client, disconnects.whyEnded(client), said || undefined)
      }
      if (session !== undefined) dependencies.ended?.(session)
    })
    this.on('subscribe', (subscriptions, client) => {
      this.commands.subscribed(client)
      this.subscribers
        .sendRetained(client, subscriptions)
        .catch((error: unknown) => logger.error({ err: error }, 'retained messages could not be sent'))
    })
    this.on('unsubscribe', (filters, client) => this.subscribers.forget(client, filters))
    this.on('clientError', (client, error) => disconnects.ended(client, error))
    this.on('connectionError', (client, error) => disconnects.ended(client, error))
    // A rejected will arrives here; without a listener it would end the process.
    ;(this as NodeJS.EventEmitter).on('error', (error: Error) => logger.warn({ error: error.message }, 'broker'))
  }

  /** Where several brokers share a log, nothing is read from a device before it is known which of its connections this is. */
  #keepPresence(client: Client, session: Session, device: string): void {
    const hasEpoch = session.epoch === undefined
    const kept = this.#statusBoard.connected(session, device)
    if (!hasEpoch) return
    kept.then(
      () => {
        this.connections.byClient.get(client)?.letGo(client)
        this.lookWhoIsNewest(device)
        // Of a session that was restored.
        this.commands.subscribed(client)
      },
      (error: Error) => this.#disconnects.end(client, error),
    )
  }

  /** Ends the connection of a device that has connected at another broker since, and drops its session, which goes on nowhere. */
  lookWhoIsNewest(device: string): void {
    const client = this.clients[device]
    const session = client && this.connections.byClient.get(client)?.session
    if (session !== undefined && (session.epoch === undefined || this.#statusBoard.isNewest(session))) return
    if (client !== undefined && !client.closed) this.#disconnects.end(client, takenOver())
    this.subscribers.endSession(device)
  }

  /** Ends the connections of all devices, which are to connect again. */
  endDevices(): void {
    for (const client of Object.values(this.clients)) {
      const { holder } = this.connections.byClient.get(client)?.session ?? {}
      if (holder?.kind === 'device' && !client.closed)
        this.#disconnects.end(client, new Disconnect('taken-for-gone', TAKEN_FOR_GONE))
    }
  }

  override async listen(): Promise<void> {
    await super.listen()
    this.subscribers.patchPersistence(this.persistence, (client, packet) => this.commands.acknowledged(client, packet))
  }

  /** Tells those who can be told, and publishes what waits to be. Then comes `close`. */
  prepareToClose(): void {
    this.connections.mqtt5.sayGoodbye(Object.values(this.clients))
    this.#publishes.wills.stop()
  }

  /** Called by Aedes after the acknowledgement (QoS 1) or before it (QoS 2); with two arguments, by whoever has a message. */
  override publish(packet: PublishPacket, client: Client | Published | null, done?: Published): void {
    if (typeof client === 'function') super.publish(packet, client)
    else this.#publishes.publish(packet, client, done ?? (() => undefined))
  }

  /** Sends a JSON text of the broker's own, which those of MQTT 5 are told that it is. */
  tell(topic: string, payload: Buffer): void {
    const packet: PublishPacket = { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }
    this.publish(Object.assign(packet, { properties: JSON_TEXT }), () => undefined)
  }

  /** Sends a message of the broker's own, retained or not; resolves when it is on its way. */
  send(packet: Pick<PublishPacket, 'topic' | 'payload' | 'qos' | 'retain'>): Promise<void> {
    return new Promise((resolve) => this.publish({ cmd: 'publish', dup: false, ...packet }, null, () => resolve()))
  }

  override subscribe(topic: string, deliver: Deliver, done: () => void): void {
    const made = this.subscribers.fanOut.subscribed(topic, deliver)
    if (made === undefined) setImmediate(done)
    else super.subscribe(made.filter, made.deliver, done)
  }

  override unsubscribe(topic: string, deliver: Deliver, done: () => void): void {
    const ended = this.subscribers.fanOut.unsubscribed(topic, deliver)
    if (ended !== undefined) super.unsubscribe(ended.filter, ended.deliver, done)
    else if (done) setImmediate(done)
  }
}
