/**
 * Owns how long the sessions of MQTT 5 last (sections 3.1.2.4 and 3.1.2.11.2). In MQTT 3.1.1, and to Aedes, one is clean, and ends
 * with its connection, or is not, and lasts; in MQTT 5 it may begin clean and last, or be resumed and end.
 *
 *   Clean Start, expiry 0       clean
 *   Clean Start, expiry > 0     what was kept is dropped; not clean
 *   neither, expiry 0           clean if none is kept; else resumed, and dropped at its end
 *   no Clean Start, expiry > 0  not clean
 *
 *   connected --the connection ends, expiry 0--> dropped
 *             --the connection ends-----------> away --the time is over--> dropped
 *                                                    --CONNECT----------> connected
 *
 * Always true: the connection that began last decides; one that it took over ends nothing. Who comes when the time is over finds
 * no session, whether or not a sweep came by. Bound: that of `PersistentSessions`, whose sessions these are.
 */

import type { Client } from 'aedes'
import { internals } from '../aedes/internals.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5.ts'
import type { PersistentSessions } from './persistent-sessions.ts'

export interface SessionExpiryDependencies {
  readonly persistent: PersistentSessions
  /** Drops all that is kept of a session. */
  readonly drop: (id: string) => void
  readonly now: () => number
}

export class SessionExpiry {
  readonly #dependencies: SessionExpiryDependencies
  /** Client id -> its newest connection, of those whose sessions end. */
  readonly #connected = new Map<string, Client>()
  /** Client id -> when its session ends, milliseconds since 1970-01-01T00:00Z; of those that are away. */
  readonly #ends = new Map<string, number>()

  constructor(dependencies: SessionExpiryDependencies) {
    this.#dependencies = dependencies
  }

  /** A client was authenticated, and its session is about to be looked for. Undefined: MQTT 3.1 or 3.1.1. */
  begin(client: Client, connection: Mqtt5Connection | undefined): void {
    const { persistent, drop, now } = this.#dependencies
    const { id } = client
    const end = this.#ends.get(id)
    this.#ends.delete(id)
    this.#connected.delete(id)
    if (end !== undefined && end <= now()) drop(id)
    const agreement = connection?.agreement
    if (connection === undefined || agreement === undefined) return
    if (agreement.cleanStart) drop(id)
    connection.isClean = agreement.sessionExpirySeconds === 0 && !persistent.has(id)
    if (client.clean) return
    this.#connected.set(id, client)
    internals(client).conn.once('close', () => this.#left(client, agreement.sessionExpirySeconds))
  }

  #left(client: Client, seconds: number): void {
    const { id } = client
    const { drop, now } = this.#dependencies
    if (this.#connected.get(id) !== client) return
    this.#connected.delete(id)
    if (seconds === 0) drop(id)
    else if (seconds < Number.POSITIVE_INFINITY) this.#ends.set(id, now() + 1_000 * seconds)
  }

  /** Its will goes out, which says that it has ended: by a timer, which may be a few milliseconds before its time. */
  end(id: string): void {
    if (this.#ends.delete(id)) this.#dependencies.drop(id)
  }

  /** Drops those whose time is over. */
  sweep(): void {
    const { persistent, drop, now } = this.#dependencies
    const time = now()
    for (const [id, end] of this.#ends) {
      if (end > time && persistent.has(id)) continue
      this.#ends.delete(id)
      drop(id)
    }
  }
}
