/**
 * Owns the connections, from the stream on: while its CONNECT is not whole, a stream is one of `PendingConnects`; then Aedes makes
 * a client of it, which has a `Connection` until it is gone.
 *
 *   stream --CONNECT is whole--> client, read by `Inbound` --> `Connects` --> session
 *
 * Always true: every client that Aedes asks about has a connection, and a session once it is authenticated.
 * Bounds: `clientsMax`; for one more, the return code is 3. Those of `PendingConnects`, `PartialPackets` and `ReceiveWindowTotal`, which all connections share.
 */

import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import { ReceiveWindow, ReceiveWindowTotal } from '../../intake/receive-window.ts'
import type { Clock } from '../../platform/clock.ts'
import { UNCONNECTED_MAX } from '../../platform/limits.ts'
import { Connection, connectionOf } from '../inbound/connection.ts'
import { Inbound } from '../inbound/inbound.ts'
import { Parsers } from '../inbound/parsers.ts'
import { PartialPackets } from '../inbound/partial-packets.ts'
import type { Mqtt5Options } from '../mqtt5/agreement.ts'
import { Mqtt5 } from '../mqtt5/mqtt5.ts'
import type { DeviceStory } from '../reports/device-story.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'
import type { Session } from '../session/session.ts'
import { type Authentication, ConnectRefused, SERVER_UNAVAILABLE } from './authentication.ts'
import { Connects, type ConnectsDependencies } from './connects.ts'
import { PendingConnects } from './pending-connects.ts'

export interface ConnectionsDependencies extends Omit<ConnectsDependencies, 'authenticate'> {
  readonly broker: Pick<Aedes, 'handle' | 'connectedClients'> & ConnectsDependencies['broker']
  readonly authentication: Authentication
  readonly story: DeviceStory
  readonly metrics: BrokerMetrics
  readonly clock: Clock
}

export interface ConnectionsOptions {
  /** Sockets at once. */
  readonly connectionsMax: number
  readonly clientsMax: number
  readonly mqtt5: Mqtt5Options
}

export class Connections {
  readonly pending: PendingConnects
  readonly byClient = { get: connectionOf }
  readonly mqtt5: Mqtt5
  readonly #clientsMax: number
  readonly #dependencies: ConnectionsDependencies
  readonly #connects: Connects
  readonly #parsers: Parsers
  readonly #partialPackets = new PartialPackets()
  readonly #receiveWindowTotal = new ReceiveWindowTotal()

  constructor({ connectionsMax, clientsMax, mqtt5 }: ConnectionsOptions, dependencies: ConnectionsDependencies) {
    const { fairShare, disconnects } = dependencies
    this.#clientsMax = clientsMax
    this.#dependencies = dependencies
    this.mqtt5 = new Mqtt5(mqtt5, dependencies)
    this.#parsers = new Parsers(this.mqtt5.fields)
    this.#connects = new Connects({
      ...dependencies,
      authenticate: (client, username, password) => this.#authenticate(client, username, password),
    })
    this.pending = new PendingConnects({
      max: Math.min(UNCONNECTED_MAX, connectionsMax / 2),
      partialPackets: this.#partialPackets,
      fairShare,
      arrived: (stream) => this.#arrived(stream),
      disconnects,
    })
  }

  #arrived(stream: Duplex): Client {
    const { broker, fairShare, metrics, disconnects } = this.#dependencies
    const client = broker.handle(stream)
    const receiveWindow = new ReceiveWindow(this.#receiveWindowTotal)
    const inbound = new Inbound(client, {
      receiveWindow,
      fairShare,
      parsers: this.#parsers,
      partialPackets: this.#partialPackets,
      metrics,
      disconnects,
      mqtt5: this.mqtt5,
      broker,
      connect: (packets, packet) => this.#connects.take(packets, packet),
    })
    new Connection(inbound, this.#answered)
    // Node does not always say that what was put back is readable.
    inbound.read()
    return client
  }

  /** Who takes over its own connection needs no place. */
  #isFullFor({ id }: Client): boolean {
    const { broker } = this.#dependencies
    return broker.connectedClients >= this.#clientsMax && broker.clients[id] === undefined
  }

  readonly #answered = (client: Client): void => this.pending.answered(client)

  /** Rejects with `ConnectRefused`. */
  async #authenticate(client: Client, username: string | undefined, password: Buffer | undefined): Promise<Session> {
    const connection = connectionOf(client)
    assert(connection, 'Aedes knows a client from its connection only')
    const { receiveWindow } = connection.inbound
    const { authentication, story } = this.#dependencies
    try {
      const session = await authentication.authenticate(client, receiveWindow, username, password)
      if (this.#isFullFor(client)) {
        throw new ConnectRefused(SERVER_UNAVAILABLE, 'too-many-connections', 'as many clients are connected as can be')
      }
      connection.session = session
      connection.inbound.isHeld = session.epoch === undefined
      this.mqtt5.of(client)?.begin(session)
      return session
    } catch (error) {
      if (error instanceof ConnectRefused) story.refused(client, { username, password }, error)
      throw error
    }
  }
}
