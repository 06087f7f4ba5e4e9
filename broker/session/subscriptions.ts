/**
 * Owns the subscriptions of one connection: which filters it was granted, at which QoS, and what all connections together
 * hold of them.
 *
 * Bounds: `SUBSCRIPTIONS_PER_CLIENT_MAX` filters and `SUBSCRIPTION_BYTES_PER_CLIENT_MAX` of a client, `SUBSCRIPTION_BYTES_MAX`
 * of all; one more is refused, which its SUBACK says.
 */

import assert from 'node:assert/strict'
import { filterCovers, sharedFilterOf } from '../../identity/topics.ts'
import { SUBSCRIPTIONS_PER_CLIENT_MAX } from '../../platform/limits.ts'

/** What is kept for subscriptions, of one client and of all that are connected; one more is refused. */
export const SUBSCRIPTION_BYTES_PER_CLIENT_MAX = 2 * 1024 * 1024
export const SUBSCRIPTION_BYTES_MAX = 256 * 1024 * 1024
/** What a subscription costs beside its filter, about. */
const SUBSCRIPTION_BYTES = 1 * 1024

/** What a subscription of MQTT 5 may ask for besides its QoS (section 3.8). */
export interface SubscriptionOptions {
  readonly identifier: number | undefined
  readonly retainAsPublished: boolean
}

/** Of all connections. */
export class SubscriptionsTotal {
  bytes = 0
}

const SHARED = '$'

/** Of a shared filter, the one within. */
function covers(filter: string, topic: string): boolean {
  return filterCovers(filter.startsWith(SHARED) ? (sharedFilterOf(filter) ?? filter) : filter, topic)
}

/** What is kept for a filter, in bytes, about. */
export const subscriptionBytes = (filter: string): number => filter.length + SUBSCRIPTION_BYTES

export class Subscriptions {
  readonly #total: SubscriptionsTotal
  readonly #qosByFilter = new Map<string, number>()
  /** How many filters were granted each QoS. */
  readonly #counts = [0, 0, 0]
  #bytes = 0
  /** By filter; undefined while none has any. */
  #options: Map<string, SubscriptionOptions> | undefined

  constructor(total: SubscriptionsTotal) {
    this.#total = total
  }

  get size(): number {
    return this.#qosByFilter.size
  }

  has(filter: string): boolean {
    return this.#qosByFilter.has(filter)
  }

  get filters(): Iterable<string> {
    return this.#qosByFilter.keys()
  }

  /** False if there is no room for one more. */
  add(filter: string, qos: number, options?: SubscriptionOptions): boolean {
    if (this.has(filter)) this.delete(filter)
    const bytes = subscriptionBytes(filter)
    if (!this.#hasRoom(bytes)) return false
    this.#qosByFilter.set(filter, qos)
    if (options !== undefined) {
      this.#options ??= new Map()
      this.#options.set(filter, options)
    }
    this.#count(qos, 1)
    this.#grow(bytes)
    return true
  }

  delete(filter: string): void {
    const qos = this.#qosByFilter.get(filter)
    if (qos === undefined) return
    this.#qosByFilter.delete(filter)
    this.#options?.delete(filter)
    this.#count(qos, -1)
    this.#grow(-subscriptionBytes(filter))
  }

  /** The connection has ended. */
  clear(): void {
    this.#qosByFilter.clear()
    this.#options?.clear()
    this.#counts.fill(0)
    this.#grow(-this.#bytes)
  }

  /** Whether a filter of no length would be one too many. */
  get isFull(): boolean {
    return !this.#hasRoom(subscriptionBytes(''))
  }

  #hasRoom(bytes: number): boolean {
    return (
      this.size < SUBSCRIPTIONS_PER_CLIENT_MAX &&
      this.#bytes + bytes <= SUBSCRIPTION_BYTES_PER_CLIENT_MAX &&
      this.#total.bytes + bytes <= SUBSCRIPTION_BYTES_MAX
    )
  }

  /** What those of the filters that match ask for, all together; undefined while none asks for anything. */
  optionsOf(topic: string): { readonly identifiers: number[]; readonly retainAsPublished: boolean } | undefined {
    if (this.#options === undefined || this.#options.size === 0) return undefined
    const identifiers: number[] = []
    let retainAsPublished = false
    for (const [filter, options] of this.#options) {
      if (!covers(filter, topic)) continue
      if (options.identifier !== undefined) identifiers.push(options.identifier)
      retainAsPublished ||= options.retainAsPublished
    }
    return { identifiers, retainAsPublished }
  }

  /**
   * The greatest QoS of the filters that match (sections 3.3.5 and 3.8.4), as far as a message of `qos` can use it; Aedes
   * looks only at one that is written like the topic. At least one filter must match.
   */
  qosOf(topic: string, qos: number): number {
    const [atMostOnce = 0, atLeastOnce = 0, exactlyOnce = 0] = this.#counts
    if (atMostOnce === this.size) return 0
    if (atLeastOnce === this.size) return Math.min(qos, 1)
    if (exactlyOnce === this.size) return qos
    let greatest = 0
    for (const [filter, granted] of this.#qosByFilter) {
      if (granted <= greatest || !covers(filter, topic)) continue
      greatest = granted
      if (greatest >= qos) return qos
    }
    return greatest
  }

  /** The greatest QoS of the filters that match; undefined if none does. */
  grants(topic: string): number | undefined {
    let greatest: number | undefined
    for (const [filter, granted] of this.#qosByFilter) {
      if (granted > (greatest ?? -1) && covers(filter, topic)) greatest = granted
    }
    return greatest
  }

  #count(qos: number, more: number): void {
    this.#counts[qos] = (this.#counts[qos] ?? 0) + more
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    this.#total.bytes += bytes
    assert(this.#bytes >= 0 && this.#total.bytes >= 0, 'no filter is given back twice')
  }
}
