/**
 * Owns the retained messages (MQTT 3.1.1 section 3.3.1.3), in the place of the store in Aedes's persistence, which matches
 * every filter of a SUBSCRIBE against every retained message in one go: with 20,000 devices' statuses a client that
 * subscribes again and again would stop everybody.
 *
 * Always true: a filter without wildcards is a look-up; others are matched `RETAINED_SCAN_MESSAGES` at a time, in `FairShare`. What is
 * found is what is retained when it is looked at.
 * One that has expired (MQTT 5 section 3.3.2.3.3) is found no more, and goes when it would be.
 * Bounds: `RETAINED_MESSAGES_MAX` and `RETAINED_BYTES_MAX`; one more is delivered and not kept, and counted. A client has one scan
 * at a time: see `Inbound`.
 */

import type { PublishPacket } from 'aedes'
import { filterCovers } from '../../identity/topics.ts'
import type { Clock } from '../../platform/clock.ts'
import type { FairShare, Waiting } from '../inbound/fair-share.ts'
import { MessageProperties } from '../mqtt5/message-properties.ts'
import type { BrokerMetrics } from '../reports/metrics.ts'

/** Retained messages; one more topic is delivered and not kept. */
export const RETAINED_MESSAGES_MAX = 100_000
/** Bytes of their topics and payloads; what would make it more is delivered and not kept. */
export const RETAINED_BYTES_MAX = 256 * 1024 * 1024
/** Retained messages that a SUBSCRIBE is matched against before others have their turn. */
const RETAINED_SCAN_MESSAGES = 500

export class RetainedMessages {
  readonly #messages = new Map<string, PublishPacket>()
  readonly #metrics: BrokerMetrics
  readonly #fairShare: FairShare
  readonly #clock: Clock
  #bytes = 0

  constructor(dependencies: {
    readonly metrics: BrokerMetrics
    readonly fairShare: FairShare
    readonly clock: Clock
  }) {
    this.#clock = dependencies.clock
    this.#metrics = dependencies.metrics
    this.#fairShare = dependencies.fairShare
  }

  /** Keeps a message in the place of the one before; an empty one takes that away. */
  keep(packet: PublishPacket): void {
    const { topic } = packet
    const before = this.#messages.get(topic)
    const bytes = this.#bytes - (before === undefined ? 0 : bytesOf(before))
    if (packet.payload.length === 0) {
      this.#messages.delete(topic)
      this.#bytes = bytes
    } else if (
      (before === undefined && this.#messages.size >= RETAINED_MESSAGES_MAX) ||
      bytes + bytesOf(packet) > RETAINED_BYTES_MAX
    ) {
      this.#metrics.dropped('too-many-retained')
    } else {
      // The payload is a view of the socket's chunk, which it would keep alive.
      this.#messages.set(topic, { ...packet, cmd: 'publish', payload: Buffer.from(packet.payload) })
      this.#bytes = bytes + bytesOf(packet)
    }
  }

  payloadOf(topic: string): Buffer | undefined {
    return this.#messages.get(topic)?.payload as Buffer | undefined
  }

  /** The messages that match a filter, each once, while they are `wanted`. */
  async *find(filters: readonly string[], wanted: () => boolean): AsyncGenerator<PublishPacket> {
    const topics = new Set(filters)
    const patterns = filters.filter((filter) => filter.includes('+') || filter.includes('#'))
    if (patterns.length > 0) await this.#scan(patterns, topics, wanted)
    for (const topic of topics) {
      const kept = wanted() ? this.#messages.get(topic) : undefined
      if (kept === undefined) continue
      if (MessageProperties.hasExpired(kept, this.#clock.now())) {
        this.#messages.delete(topic)
        this.#bytes -= bytesOf(kept)
      } else yield kept
    }
  }

  /** Adds the topics that match; resolves when all are looked at, or none is wanted any more. */
  #scan(patterns: readonly string[], found: Set<string>, wanted: () => boolean): Promise<void> {
    const topics = this.#messages.keys()
    return new Promise((resolve) => {
      const scan: Waiting = {
        takeTurn: () => {
          for (let left = RETAINED_SCAN_MESSAGES; left > 0; ) {
            const { value: topic, done } = topics.next()
            if (done || !wanted()) {
              resolve()
              return
            }
            left--
            for (const pattern of patterns) {
              if (matches(pattern, topic)) {
                found.add(topic)
                break
              }
              left--
            }
          }
          this.#fairShare.wait(scan)
          return
        },
      }
      this.#fairShare.wait(scan)
    })
  }
}

function bytesOf(packet: PublishPacket): number {
  return packet.topic.length + packet.payload.length + MessageProperties.bytesOf(packet)
}

/** A filter that begins with a wildcard matches no topic that begins with `$` (section 4.7.2). */
function matches(filter: string, topic: string): boolean {
  return filterCovers(filter, topic) && (topic[0] !== '$' || filter[0] === '$')
}
