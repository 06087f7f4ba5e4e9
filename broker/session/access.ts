/**
 * Owns what a client may receive (docs/contract.md, "Identity" and "MQTT"): a device its own `errors` and `commands`, an app what
 * lies within its token's filters, anyone anything when authentication is off.
 *
 * The same check stands at SUBSCRIBE and at each forward: a session that is not clean outlives the token it subscribed with.
 */

import { commandsTopic, errorsTopic, filterCovers, isTopicFilter, sharedFilterOf } from '../../identity/topics.ts'
import { commandedBy, isSparkplug, isStateTopic } from '../../maps/sparkplug/topic.ts'
import { speaksFor } from './foreign-topics.ts'
import type { Holder, Session } from './session.ts'

/** Whether the holder of `session` may subscribe to `filter` with this QoS. */
export function maySubscribe(session: Session, asked: string, qos: number, clean: boolean): boolean {
  // For a group nothing is queued.
  const shared = session.level5 !== undefined && (qos === 0 || clean) ? sharedFilterOf(asked) : undefined
  const filter = shared ?? asked
  // MQTT 3.1.1 has no shared subscriptions; `$SYS` is the broker's own.
  if (filter.startsWith('$') || !isTopicFilter(filter)) return false
  const { holder } = session
  switch (holder.kind) {
    case 'anyone':
      return true
    case 'device':
      return isForDevice(filter, holder) || holder.subscribes?.some((outer) => filterCovers(outer, filter)) === true
    case 'app':
      // Nothing is queued for an app that is away: telemetry is in the log, and in the store.
      if (qos > 0 && !clean) return false
      return holder.filters.some((outer) => filterCovers(outer, filter))
  }
}

/** The first filter of `session` that its holder could not have subscribed to with another token. */
export function lostFilter(session: Session, holder: Holder): string | undefined {
  if (holder.kind !== 'app') return undefined
  for (const filter of session.subscriptions.filters) {
    const inner = sharedFilterOf(filter) ?? filter
    if (!holder.filters.some((outer) => filterCovers(outer, inner))) return filter
  }
  return undefined
}

/** Whether a message on `topic` may be sent to the holder of `session`. */
export function mayReceive(session: Session, topic: string): boolean {
  const { holder } = session
  switch (holder.kind) {
    case 'anyone':
      return !topic.startsWith('$')
    case 'device':
      return isForDevice(topic, holder) || holder.subscribes?.some((filter) => filterCovers(filter, topic)) === true
    case 'app':
      return holder.filters.some((filter) => filterCovers(filter, topic))
  }
}

/** Its own; as an edge node of Sparkplug what is for it and its devices, and whether a host application is there. */
function isForDevice(topic: string, holder: Extract<Holder, { readonly kind: 'device' }>): boolean {
  if (topic === errorsTopic(holder.device) || topic === commandsTopic(holder.device)) return true
  if (!isSparkplug(topic)) return false
  const node = commandedBy(topic)
  return node === undefined ? isStateTopic(topic) : speaksFor(holder, node)
}
