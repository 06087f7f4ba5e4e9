/**
 * Owns what a PUBLISH on a foreign topic is, by the maps that are in force: whose reading, or nothing that is kept, and whether its
 * sender may say it.
 *
 * Always true: a sender that is held to its devices speaks for no other, whatever its topic or payload says.
 */

import { allowsDevice } from '../../identity/scope.ts'
import type { Maps } from '../../maps/maps.ts'
import { deviceIdOf, isSparkplug, nodeIdOf, parseSparkplug } from '../../maps/sparkplug/topic.ts'
import type { Place } from '../../maps/topic-map.ts'
import type { Holder } from './session.ts'

export interface ForeignMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly retain: boolean
}

export type ForeignPlace = Place | { readonly kind: 'forbidden'; readonly why: string }

export class ForeignTopics {
  readonly #maps: Pick<Maps, 'for'>
  readonly #unmapped: { note(sender: string, topic: string, payload: Buffer): void } | undefined

  /** `unmapped` is told of messages that no map is for. */
  constructor(maps: Pick<Maps, 'for'>, unmapped?: { note(sender: string, topic: string, payload: Buffer): void }) {
    this.#maps = maps
    this.#unmapped = unmapped
  }

  /** Undefined if there is no map for the topic. */
  place(holder: Holder, { topic, payload, retain }: ForeignMessage): ForeignPlace | undefined {
    const match = this.#maps.for(topic)
    if (match === undefined) {
      this.#unmapped?.note(holder.kind === 'device' ? holder.device : '', topic, payload)
      return undefined
    }
    const place = match.map.place(match.names, payload, retain)
    if (place.kind !== 'taken' || speaksFor(holder, place.device) || isOfEdgeNode(holder, topic, place.device))
      return place
    const who = holder.kind === 'device' ? `device ${holder.device}` : 'an app'
    return { kind: 'forbidden', why: `by its map the message is of device ${place.device}, and its sender is ${who}` }
  }

  /**
   * Whether a will on this topic may be kept until it is published; then it is judged as any message. Who has a password in place of a
   * token may have any: firmware has wills that nobody can take out.
   */
  mayWill(holder: Holder, will: ForeignMessage): boolean {
    if (holder.kind === 'device' && holder.user !== undefined) return true
    if (isSparkplug(will.topic)) {
      const topic = parseSparkplug(will.topic)
      return topic?.type === 'NDEATH' && speaksFor(holder, nodeIdOf(topic))
    }
    const place = this.place(holder, will)
    return place?.kind === 'taken' || place?.kind === 'left'
  }
}

/** An edge node of Sparkplug speaks for its devices, as long as no map says that they are others. */
function isOfEdgeNode(holder: Holder, topic: string, device: string): boolean {
  const parts = isSparkplug(topic) ? parseSparkplug(topic) : undefined
  return parts !== undefined && speaksFor(holder, nodeIdOf(parts)) && device === deviceIdOf(parts)
}

export function speaksFor(holder: Holder, device: string): boolean {
  if (holder.kind !== 'device') return holder.kind === 'anyone'
  const { also = [] } = holder
  return holder.device === device || allowsDevice({ devices: also, filters: [] }, device)
}

/** Who is told what is wrong with a message of `device`, if that is not the device itself; else empty. */
export const senderOf = (holder: Holder, device: string): string =>
  holder.kind === 'device' ? otherThan(device, holder.device) : ''

export const otherThan = (device: string, sender: string): string => (sender === device ? '' : sender)
