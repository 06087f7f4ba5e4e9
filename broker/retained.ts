/**
 * Owns the retained messages (MQTT 3.1.1 section 3.3.1.3), in the place of the store in Aedes's persistence, which matches
 * every filter of a SUBSCRIBE against every retained message in one go: with 20,000 devices' statuses a client that
 * subscribes again and again would stop everybody.
 *
 * Always true: a filter without wildcards is a look-up; others are matched one SUBSCRIBE after the other,
 * `RETAINED_SCAN_MESSAGES` at a time, with the event loop free in between. What is sent is what is retained when it is sent.
 * Bound: `RETAINED_MESSAGES_MAX`; one more is delivered and not kept, and counted.
 */

import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { PublishPacket } from 'aedes'
import { filterCovers } from '../devices/topics.ts'
import { RETAINED_MESSAGES_MAX, RETAINED_SCAN_MESSAGES } from '../platform/limits.ts'
import type { Persistence } from './aedes.ts'
import type { BrokerMetrics } from './metrics.ts'

export class RetainedMessages {
  readonly #messages = new Map<string, PublishPacket>()
  readonly #metrics: BrokerMetrics
  /** Ends when the SUBSCRIBEs before have been matched. */
  #scanned: Promise<void> = Promise.resolve()

  constructor(metrics: BrokerMetrics) {
    this.#metrics = metrics
  }

  /** Puts itself in front of `persistence`. */
  install(persistence: Persistence): void {
    persistence.createRetainedStreamCombi = (filters) => Readable.from(this.#find(filters))
  }

  /** Keeps a message in the place of the one before; an empty one takes that away. */
  keep(packet: PublishPacket): void {
    const { topic } = packet
    if (packet.payload.length === 0) this.#messages.delete(topic)
    else if (this.#messages.size < RETAINED_MESSAGES_MAX || this.#messages.has(topic)) {
      // The payload is a view of the socket's chunk, which it would keep alive.
      this.#messages.set(topic, { ...packet, cmd: 'publish', payload: Buffer.from(packet.payload) })
    } else this.#metrics.dropped('too-many-retained')
  }

  async *#find(filters: readonly string[]): AsyncGenerator<PublishPacket> {
    const topics = new Set(filters)
    const patterns = filters.filter((filter) => filter.includes('+') || filter.includes('#'))
    if (patterns.length > 0) {
      const scanning = this.#scanned.then(() => this.#scan(patterns, topics))
      this.#scanned = scanning
      await scanning
    }
    for (const topic of topics) {
      const kept = this.#messages.get(topic)
      if (kept !== undefined) yield kept
    }
  }

  /** Adds the topics that match. */
  async #scan(patterns: readonly string[], topics: Set<string>): Promise<void> {
    let left = RETAINED_SCAN_MESSAGES
    for (const topic of this.#messages.keys()) {
      for (const pattern of patterns) {
        if (matches(pattern, topic)) {
          topics.add(topic)
          break
        }
        left--
      }
      if (left-- > 0) continue
      left = RETAINED_SCAN_MESSAGES
      await turn()
    }
  }
}

/** A filter that begins with a wildcard matches no topic that begins with `$` (section 4.7.2). */
function matches(filter: string, topic: string): boolean {
  return filterCovers(filter, topic) && (topic[0] !== '$' || filter[0] === '$')
}
