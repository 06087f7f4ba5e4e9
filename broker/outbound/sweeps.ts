/**
 * Owns the looks over all connections, which a timer asks for: those are ended whose token has expired or was revoked, that
 * leave too much unread, that are silent for longer than their keep alive, or whose packet is stuck half-way.
 *
 * Bounds: `OUTBOUND_BYTES_TOTAL_MAX` of what all have not read, those with the most being ended first;
 * `UNFINISHED_PROGRESS_BYTES_MIN` of a packet from one look to the next.
 */

import type { Client } from 'aedes'
import type { Principal } from '../../identity/principal.ts'
import { internals } from '../aedes/internals.ts'
import type { Connection } from '../inbound/connection.ts'
import { Disconnect, type Disconnects, KEEPALIVE_TIMEOUT } from '../reports/disconnects.ts'

/** Such bytes of all clients; at more, those with the most are disconnected, at the next look. */
export const OUTBOUND_BYTES_TOTAL_MAX = 256 * 1024 * 1024

export interface SweepsDependencies {
  /** All that are connected. */
  readonly clients: Iterable<Client>
  readonly connections: Pick<WeakMap<Client, Connection>, 'get'>
  readonly disconnects: Disconnects
  readonly isRevoked: (principal: Principal) => boolean
}

export class Sweeps {
  readonly #dependencies: SweepsDependencies

  constructor(dependencies: SweepsDependencies) {
    this.#dependencies = dependencies
  }

  /** Ends the connections whose token or certificate has expired, or was revoked. */
  tokens(now: number): void {
    const { clients, connections, disconnects, isRevoked } = this.#dependencies
    for (const client of clients) {
      const session = connections.get(client)?.session
      if (session === undefined || session.holder.kind === 'anyone') continue
      if (session.hasExpired(now))
        disconnects.end(client, new Disconnect('expired-token', 'the token, or the certificate, has expired'))
      else if (isRevoked(session.holder)) {
        disconnects.end(
          client,
          new Disconnect('revoked-token', 'its token, the key of that, or its certificate was revoked'),
        )
      }
    }
  }

  /** Ends those who have the most unread, while all together have too much; returns how many bytes are left. */
  unread(): number {
    const unread = (client: Client) => internals(client).conn.writableLength
    const { clients, disconnects } = this.#dependencies
    let bytes = 0
    for (const client of clients) bytes += unread(client)
    if (bytes <= OUTBOUND_BYTES_TOTAL_MAX) return bytes
    for (const client of [...clients].sort((a, b) => unread(b) - unread(a))) {
      bytes -= unread(client)
      disconnects.end(client, new Disconnect('slow-client', 'it reads too little, and others need the room'))
      if (bytes <= OUTBOUND_BYTES_TOTAL_MAX) break
    }
    return bytes
  }

  /** Ends the connections of which nothing was heard for too long at `now`, by the process's clock. */
  silent(now: number): void {
    const { clients, connections, disconnects } = this.#dependencies
    for (const client of clients) {
      if (connections.get(client)?.inbound.isSilent(now)) disconnects.end(client, new Error(KEEPALIVE_TIMEOUT))
    }
  }

  /** Ends the connections whose packet made no progress since the last look. */
  stuck(): void {
    const { clients, connections, disconnects } = this.#dependencies
    for (const client of clients) {
      if (!connections.get(client)?.inbound.packets.isStuck()) continue
      disconnects.end(client, new Disconnect('stuck-packet', 'a packet was begun and not finished'))
    }
  }
}
