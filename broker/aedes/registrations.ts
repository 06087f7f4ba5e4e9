/**
 * Owns which connection a client id belongs to, in the place of Aedes's own book-keeping: there, a connection that takes
 * over one that is ending already is registered at once, and unregistered when that one's end comes round, for Aedes
 * unregisters by id. It then lives on unknown: shown as offline, not ended by its token's expiry nor by a third connection. (And
 * it tells other brokers of each client, which there are none of.)
 *
 * Always true: a client id has at most one registered connection, which is not closed but for the time its end takes; a
 * connection unregisters itself only (MQTT 3.1.1 section 3.1.4-2).
 * Bound: connections that wait for the end of one with their id are connections, and those are bounded.
 */

import type { Client } from 'aedes'
import type { Registering } from './internals.ts'

/** Puts itself in the place of the broker's three functions. `takeOver` ends the first connection. */
export function patchRegistrations(broker: Registering, takeOver: (before: Client, by: Client) => void): void {
  /** By client id, in the order they came. */
  const waiting = new Map<string, Client[]>()

  const register = (client: Client) => {
    if (client.closed) return
    broker.connectedClients++
    broker.clients[client.id] = client
    broker.emit('client', client)
  }

  broker.registerClient = (client) => {
    const before = broker.clients[client.id]
    if (before === undefined) {
      register(client)
      return
    }
    waiting.set(client.id, [...(waiting.get(client.id) ?? []), client])
    if (!before.closed) takeOver(before, client)
  }

  broker.unregisterClient = (client) => {
    if (broker.clients[client.id] !== client) return
    broker.connectedClients--
    delete broker.clients[client.id]
    broker.emit('clientDisconnect', client)
    const next = waiting.get(client.id) ?? []
    waiting.delete(client.id)
    for (const each of next) broker.registerClient(each)
  }
}
