/**
 * Owns what Aedes's persistence is asked to do otherwise: QoS 2 ids are kept by our sessions (`AwaitingPubrel`), what is retained
 * is sent by `Forwarding`, and of a SUBSCRIBE only what was granted is stored.
 *
 * Bound: none of its own; see `AwaitingPubrel`, `PersistentSessions` and `Subscriptions`.
 */

import { Readable } from 'node:stream'
import type { Client } from 'aedes'
import type { Persistence } from '../aedes/internals.ts'
import type { AwaitingPubrel } from '../session/awaiting-pubrel.ts'
import type { Session } from '../session/session.ts'

const NOT_RECEIVED = new Error('no message of this packet id was received')

export interface Sessions {
  session(client: Client): Session | undefined
  received(client: Client): AwaitingPubrel
}

export function patchPersistence(persistence: Persistence, { session, received }: Sessions): void {
  const { addSubscriptions, outgoingClearMessageId } = persistence
  persistence.createRetainedStreamCombi = () => Readable.from([])
  persistence.outgoingClearMessageId = (client, packet) => {
    session(client)?.inFlight.acknowledged(packet)
    return outgoingClearMessageId.call(persistence, client, packet)
  }
  persistence.incomingGetPacket = async (client, packet) => {
    if (!received(client).has(packet.messageId ?? 0)) throw NOT_RECEIVED
    return packet
  }
  persistence.incomingStorePacket = async () => undefined
  persistence.incomingDelPacket = async (client, packet) => received(client).release(packet.messageId ?? 0)
  persistence.cleanIncoming = async () => undefined
  // Aedes calls this for each filter of a SUBSCRIBE, each time with all of them, the refused ones too; it restored those at
  // the next connection. So the granted ones are stored, once, when all have been looked at.
  const storing = new WeakMap<object, Promise<void>>()
  persistence.addSubscriptions = (client, all) => {
    const stored =
      storing.get(all) ??
      Promise.resolve().then(() => {
        const granted = all.filter(({ topic }) => session(client)?.subscriptions.has(topic))
        return addSubscriptions.call(persistence, client, granted)
      })
    storing.set(all, stored)
    return stored
  }
}
