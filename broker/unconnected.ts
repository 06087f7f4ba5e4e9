/**
 * Owns the clients that have no CONNACK yet: a crowd that connects and says nothing must not keep out those that do.
 *
 * Bound: `max`; for one more, the one that has waited longest is closed, and counted.
 */

import type { Client } from 'aedes'
import { internals } from './aedes.ts'
import { Disconnect } from './endings.ts'

export class Unconnected {
  readonly #max: number
  /** That which has waited longest comes first. */
  readonly #clients = new Set<Client>()

  constructor(max: number) {
    this.#max = max
  }

  add(client: Client): void {
    const known = this.#clients
    const remove = () => known.delete(client)
    known.add(client)
    client.once('connected', remove)
    internals(client).conn.once('close', remove)
    const [oldest] = known
    if (known.size <= this.#max || oldest === undefined) return
    known.delete(oldest)
    oldest.emit('error', new Disconnect('too-many-connects', 'it has not connected, and others need the place'))
  }
}
