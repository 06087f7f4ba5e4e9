/**
 * Owns what becomes of a CONNECT, in the place of Aedes's own steps. Those ask for all that any client might need, a stream of what is
 * queued, promises of what is stored, messages to other brokers, and were half of what a connection cost. Aedes still restores
 * a session that was left: what it subscribed to, and what it is owed.
 *
 *   CONNECT --its turn--> authenticating --refused----------------------> CONNACK that says so --> closed
 *                              |--let in, to a session that was left----> Aedes: restored, registered, CONNACK
 *                              +--let in--> registered --> CONNACK --+--> connected
 *
 * Always true: nothing that a client sent behind its CONNECT is looked at before its CONNACK has left; nobody is a client of
 * Aedes's, or has a session restored, who was not authenticated. Bound: those that wait for their turn are `PendingConnects`'.
 */

import { randomUUID } from 'node:crypto'
import type { Client } from 'aedes'
import type { IConnectPacket } from 'mqtt-packet'
import { identify, internals, letIn, type Registering } from '../aedes/internals.ts'
import { writeConnack } from '../aedes/writing.ts'
import { connectionOf } from '../inbound/connection.ts'
import type { FairShare } from '../inbound/fair-share.ts'
import type { Packets } from '../inbound/packets.ts'
import type { Disconnects } from '../reports/disconnects.ts'
import type { Session } from '../session/session.ts'
import type { ConnectRefused } from './authentication.ts'

export interface ConnectsDependencies {
  readonly broker: Registering & { readonly closed: boolean }
  readonly fairShare: FairShare
  readonly disconnects: Disconnects
  /** Rejects with `ConnectRefused`. */
  readonly authenticate: (client: Client, username: string | undefined, password?: Buffer) => Promise<Session>
  readonly authenticated: (client: Client, session: Session) => void
  /** Begins the session that the CONNECT asks for; false if there is one that Aedes has to restore. */
  readonly beginSession: (client: Client) => boolean
}

export class Connects {
  readonly #dependencies: ConnectsDependencies

  constructor(dependencies: ConnectsDependencies) {
    this.#dependencies = dependencies
  }

  /** In the client's turn, for a crowd that connects must not keep others waiting. */
  take(packets: Packets, packet: IConnectPacket): void {
    const { client } = packets
    internals(client).connecting = true
    this.#dependencies.fairShare.wait({
      takeTurn: () => {
        if (!client.closed) this.#authenticate(packets, packet)
        return 'work follows'
      },
    })
  }

  #authenticate(packets: Packets, packet: IConnectPacket): void {
    const { authenticate, broker } = this.#dependencies
    const { client } = packets
    // Of the same form as Aedes's.
    identify(client, packet, packet.clientId || `aedes_${randomUUID()}`)
    authenticate(client, packet.username, packet.password as Buffer | undefined).then(
      (session) => {
        if (!client.closed && !broker.closed) this.#letIn(packets, packet, session)
      },
      (error: ConnectRefused) => this.#refuse(packets, error),
    )
  }

  #letIn(packets: Packets, packet: IConnectPacket, session: Session): void {
    const { authenticated, beginSession, broker } = this.#dependencies
    const { client } = packets
    const inner = internals(client)
    authenticated(client, session)
    if (!beginSession(client)) {
      inner.connecting = false
      packets.accept({ ...packet, clientId: client.id })
      return
    }
    letIn(client, packet.keepalive ?? 0)
    broker.registerClient(client)
    writeConnack(client, 0)
    inner.connackSent = true
    inner.connecting = false
    inner.connected = true
    connectionOf(client)?.connected(client)
  }

  #refuse({ client, level5 }: Packets, error: ConnectRefused): void {
    const { disconnects } = this.#dependencies
    disconnects.ended(client, error)
    if (client.closed) return
    const inner = internals(client)
    level5?.refuse(error)
    writeConnack(client, error.returnCode)
    inner.connackSent = true
    // A TLS socket, or a WebSocket, must have written it.
    setImmediate(() => disconnects.end(client, error))
  }
}
