/**
 * Owns the packet ids of messages that a clean session was sent and has not acknowledged; of the others, `PersistentSessions` knows.
 * Aedes gives the next one in turn, also when it is in use (MQTT 3.1.1 section 2.3.1).
 *
 * Bound: `UNACKNOWLEDGED_MAX`; a client that has so many is disconnected.
 */

import type { Client } from 'aedes'
import { type Acknowledgement, nextPacketId } from '../aedes/internals.ts'

/** Messages of QoS > 0 that a clean session was sent and has not acknowledged; one more, and it is disconnected. */
export const UNACKNOWLEDGED_MAX = 32_000

export class InFlight {
  /** Packet id -> QoS. */
  readonly #qosById = new Map<number, number>()

  /** An id that is not in use; undefined if too many are. */
  take(client: Client, qos: number): number | undefined {
    if (this.#qosById.size >= UNACKNOWLEDGED_MAX) return undefined
    let id = nextPacketId(client)
    while (this.#qosById.has(id)) id = nextPacketId(client)
    this.#qosById.set(id, qos)
    return id
  }

  /** A PUBACK ends a message of QoS 1, a PUBCOMP one of QoS 2. */
  acknowledged({ cmd, messageId = 0, isRefused }: Acknowledgement): void {
    const isFitting = this.#qosById.get(messageId) === (cmd === 'puback' ? 1 : 2)
    if (isFitting || isRefused) this.#qosById.delete(messageId)
  }
}
