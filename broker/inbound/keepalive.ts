/**
 * Owns when a client is ended for its silence, in the place of Aedes's timer. That one runs from packet to packet, and cut off a
 * PUBLISH that took longer to come than one and a half times the keep alive, with its bytes coming all the time.
 *
 *   listening --a packet, or bytes of one--> listening
 *             --1.5 x keep alive without--> read from? --no--> listening
 *                                               | yes
 *                                               +--> ended
 *
 * Always true: nobody is ended whom the broker does not read from: the PINGREQ may wait in the socket (MQTT 3.1.1 section 3.1.2.10
 * speaks of what the client sends). Bound: a packet that dribbles for ever is ended as stuck, see `Packets.isStuck`; a peer that is
 * gone without a word while it is not read from is found by TCP.
 */

import type { Client } from 'aedes'
import { internals } from '../aedes/internals.ts'
import { type Disconnects, KEEPALIVE_TIMEOUT } from '../reports/disconnects.ts'

export interface KeepaliveDependencies {
  readonly isReadFrom: () => boolean
  readonly disconnects: Disconnects
}

/** Replaces the timer of a client that has its CONNACK. Aedes goes on refreshing it at each packet, and clears it at the end. */
export function patchKeepalive(client: Client, { isReadFrom, disconnects }: KeepaliveDependencies): void {
  const inner = internals(client)
  if (inner._keepaliveTimer !== null) clearTimeout(inner._keepaliveTimer)
  if (inner._keepaliveInterval <= 0) return
  const timer = setTimeout(() => {
    if (isReadFrom()) disconnects.end(client, new Error(KEEPALIVE_TIMEOUT))
    else timer.refresh()
  }, inner._keepaliveInterval)
  inner._keepaliveTimer = timer
}
