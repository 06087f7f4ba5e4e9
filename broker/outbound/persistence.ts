/**
 * Owns what Aedes's persistence is asked to do otherwise, all of it in one place: sessions that are not clean are kept by
 * `PersistentSessions`, QoS 2 ids by `AwaitingPubrel`, what is retained is sent by `Forwarding`, and of a SUBSCRIBE only what
 * was granted is stored. What is left to Aedes is the table of their subscriptions.
 *
 * Bound: none of its own; see those.
 */

import { Readable } from 'node:stream'
import type { Client } from 'aedes'
import type { Acknowledgement, Persistence } from '../aedes/internals.ts'
import type { AwaitingPubrel } from '../session/awaiting-pubrel.ts'
import type { Session } from '../session/session.ts'
import { type PersistentSessions, SESSION_MARKER } from './persistent-sessions.ts'

const NOT_RECEIVED = new Error('no message of this packet id was received')

export interface Sessions {
  session(client: Client): Session | undefined
  awaitingPubrel(client: Client): AwaitingPubrel
  readonly persistent: PersistentSessions
  /** A client is done with a message, whose packet id its session still knows. */
  acknowledged(client: Client, packet: Acknowledgement): void
}

export function patchPersistence(persistence: Persistence, sessions: Sessions): void {
  const { session, awaitingPubrel, persistent } = sessions
  const { subscriptionsByClient, cleanSubscriptions, addSubscriptions, removeSubscriptions } = persistence

  // Sessions that are not clean, and the messages owed to them.
  persistent.forgetElsewhere = (id) => cleanSubscriptions.call(persistence, { id })
  persistence.subscriptionsByClient = async (client) => {
    const known = persistent.resume(client.id)
    await persistent.makeRoom()
    const subscriptions = await subscriptionsByClient.call(persistence, client)
    return known && subscriptions.length === 0 ? [SESSION_MARKER] : subscriptions
  }
  persistence.cleanSubscriptions = async ({ id }) => {
    persistent.drop(id)
    await cleanSubscriptions.call(persistence, { id })
  }
  persistence.outgoingEnqueue = async ({ clientId }, packet) => {
    persistent.add(clientId, packet, packet.qos)
  }
  persistence.outgoingEnqueueCombi = async (subscriptions, packet) => {
    for (const { clientId, qos, nl } of subscriptions) {
      if (!nl || clientId !== packet.clientId) persistent.add(clientId, packet, qos)
    }
  }
  persistence.outgoingUpdate = async (client, packet) => persistent.update(client, packet)
  persistence.outgoingClearMessageId = async (client, packet) => {
    sessions.acknowledged(client, packet)
    session(client)?.inFlight.acknowledged(packet)
    persistent.acknowledged(client, packet)
  }
  persistence.outgoingStream = (client) => Readable.from(persistent.again(client.id))

  // Their subscriptions. Aedes calls this for each filter of a SUBSCRIBE, each time with all of them, the refused ones too; it
  // restored those at the next connection. So the granted ones are stored, once, when all have been looked at.
  const storing = new WeakMap<object, Promise<void>>()
  const store = async (client: Client, all: Parameters<Persistence['addSubscriptions']>[1]) => {
    await undefined
    const granted = all.filter(({ topic }) => session(client)?.subscriptions.has(topic))
    persistent.noteFilters(client.id, granted.map(topicOf), [])
    await addSubscriptions.call(persistence, client, granted)
    await persistent.makeRoom()
  }
  persistence.addSubscriptions = (client, all) => {
    const stored = storing.get(all) ?? store(client, all)
    storing.set(all, stored)
    return stored
  }
  persistence.removeSubscriptions = async (client, filters) => {
    persistent.noteFilters(client.id, [], filters)
    await removeSubscriptions.call(persistence, client, filters)
  }

  // QoS 2 ids. What of a PUBLISH is new was decided when it was admitted.
  persistence.incomingGetPacket = async (client, packet) => {
    if (packet.cmd === 'publish' || !awaitingPubrel(client).has(packet.messageId ?? 0)) throw NOT_RECEIVED
    return packet
  }
  persistence.incomingStorePacket = async () => undefined
  persistence.incomingDelPacket = async (client, packet) => awaitingPubrel(client).release(packet.messageId ?? 0)
  persistence.cleanIncoming = async () => undefined

  // What is retained.
  persistence.createRetainedStreamCombi = () => Readable.from([])
}

const topicOf = ({ topic }: { readonly topic: string }): string => topic
