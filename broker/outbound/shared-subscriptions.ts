/**
 * Owns the shared subscriptions of MQTT 5 (section 4.8.2): those to `$share/{group}/{filter}` of one group and filter get each
 * message once together. Aedes would grant such a filter and never match it; it is given one subscription to the filter itself for
 * all of them, which hands a message to one.
 *
 * Always true: messages on one topic go to the same member while the members stay the same, so that a device's telemetry is in
 * order for whoever gets it. Nothing is kept for a group: a message goes to one that is connected, or to nobody.
 * Bound: that of `Subscriptions`, whose filters these are.
 */

import { sharedFilterOf } from '../../identity/topics.ts'
import type { Deliver } from './deliveries.ts'

interface Group {
  readonly filter: string
  readonly members: Deliver[]
  /** What Aedes delivers by. */
  readonly deliver: Deliver
}

export class SharedSubscriptions {
  /** By the whole filter, with its group. */
  readonly #groups = new Map<string, Group>()

  /** A member comes; the subscription that is to be made for its group, if it is the first. */
  join(shared: string, member: Deliver): Pick<Group, 'filter' | 'deliver'> | undefined {
    const known = this.#groups.get(shared)
    if (known !== undefined) {
      known.members.push(member)
      return undefined
    }
    const members = [member]
    const filter = sharedFilterOf(shared) ?? shared
    const isOpen = filter.startsWith('#') || filter.startsWith('+')
    const deliver: Deliver = (packet, callback) => {
      const chosen = members[hashOf(packet.topic) % members.length]
      // A wildcard at the beginning matches no topic of the broker's own (section 4.7.2).
      if (chosen === undefined || (isOpen && packet.topic.startsWith('$'))) callback()
      else chosen(packet, callback)
    }
    this.#groups.set(shared, { filter, members, deliver })
    return { filter, deliver }
  }

  /** A member goes; the subscription that is to be ended, if it was the last. */
  leave(shared: string, member: Deliver): Pick<Group, 'filter' | 'deliver'> | undefined {
    const group = this.#groups.get(shared)
    const index = group?.members.indexOf(member) ?? -1
    if (group === undefined || index < 0) return undefined
    group.members.splice(index, 1)
    if (group.members.length > 0) return undefined
    this.#groups.delete(shared)
    return group
  }
}

/** FNV-1a, of a topic. */
function hashOf(topic: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < topic.length; at++) hash = Math.imul(hash ^ topic.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
