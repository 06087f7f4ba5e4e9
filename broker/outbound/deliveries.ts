/**
 * Owns how messages leave for MQTT subscribers: at which QoS, once each, and without anybody waiting for a slow one.
 *
 * Always true: a message's publisher, and everybody behind it, never waits for a subscriber's socket: the bytes wait in
 * that subscriber's own buffer. Aedes made all wait for the slowest: with one that did not read, others got their messages
 * up to 4.9 s late (its drain timeout being 5 s), now 0.03 s.
 * Bound: `OUTBOUND_BYTES_MAX` a client; at more, or when its buffer was not once empty for `SUBSCRIBER_DRAIN_MS`, it is
 * disconnected. Losing: what was unsent to it; a session that is not clean gets its messages of QoS > 0 when it is back.
 */

import type { AedesPublishPacket, Client } from 'aedes'
import { OUTBOUND_BYTES_MAX } from '../../platform/limits.ts'
import { internals } from '../aedes/internals.ts'
import type { Session } from '../session/session.ts'

/** A message with the number that the broker gave it. */
type Numbered = Pick<AedesPublishPacket, 'topic' | 'qos' | 'brokerCounter'>
export type Deliver = (packet: AedesPublishPacket, callback: () => void) => void

/**
 * Aedes drops a message that is older than the newest it delivered, and messages do overtake one another in it (a retained
 * one of QoS 0 and the next: 200 of 200 lost). `isRepeated` drops what is the same.
 */
const NO_DUPLICATES: object = new Proxy(Object.create(null), { get: () => undefined, set: () => true })

/** Prepares a client that subscribes; doing so again changes nothing. */
export function patchDeliveries(client: Client, session: Session): void {
  const inner = internals(client)
  if (inner.duplicates === NO_DUPLICATES) return
  inner.duplicates = NO_DUPLICATES
  const deliver = inner.deliver0
  // A subscription of QoS 0 leaves a message to one of the same client that grants it more (section 3.3.5).
  inner.deliver0 = (packet, callback) => {
    const message = packet as unknown as Numbered
    if (message.qos > 0 && session.subscriptions.size > 1 && grantedQos(session, message) > 0) setImmediate(callback)
    else deliver(packet, callback)
  }
}

/** A subscription's function that tells the emitter at once that it is done. */
export function withoutWaiting(deliver: Deliver): Deliver {
  return (packet, callback) => {
    deliver(packet, done)
    callback()
  }
}

function done(): void {}

/** Whether this message has just been forwarded to this client: all its subscriptions are asked in one go. */
export function isRepeated(session: Session, packet: Pick<AedesPublishPacket, 'brokerCounter'>): boolean {
  if (session.lastForwarded === packet.brokerCounter) return true
  session.lastForwarded = packet.brokerCounter
  return false
}

/** Whether the client has so much unread that it must go. */
export function isDrowning(client: Client): boolean {
  return internals(client).conn.writableLength > OUTBOUND_BYTES_MAX
}

/**
 * Aedes lowers a message to the QoS of a filter that is written like its topic, whatever others grant: it was sent at QoS 0
 * and its acknowledgement awaited for ever. A QoS that none is greater than, and that no SUBSCRIBE asks for, prevents it.
 */
export function keepQos(client: Client, topic: string): void {
  const own = internals(client).subscriptions[topic]
  if (own !== undefined) own.qos = Number.POSITIVE_INFINITY
}

/** The QoS granted for a message. Each subscription that matches asks, so the last answer is remembered. */
export function grantedQos(session: Session, { topic, qos, brokerCounter }: Numbered): number {
  if (session.lastGranted !== brokerCounter) {
    session.lastGranted = brokerCounter
    session.lastGrantedQos = session.subscriptions.qosOf(topic, qos)
  }
  return session.lastGrantedQos
}
