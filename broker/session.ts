/**
 * Owns what the broker knows of one connection: who it is, what its topics mean, what it subscribed to, which QoS 2
 * messages are being appended.
 *
 * Bounds: `SESSION_TOPICS_MAX` topics are remembered a connection; beyond it they are worked out each time.
 * `SUBSCRIPTIONS_PER_CLIENT_MAX`; one more is refused.
 */

import { type DeviceTopic, parseTopic } from '../devices/topics.ts'
import { SESSION_TOPICS_MAX, SUBSCRIPTIONS_PER_CLIENT_MAX } from '../platform/limits.ts'
import type { Held } from './held.ts'
import type { Rate } from './rate.ts'

/** A client of an authenticated broker, or anyone at all when authentication is off. */
export type Holder =
  | { readonly kind: 'device'; readonly device: string; readonly expiresAt: number }
  | { readonly kind: 'app'; readonly filters: readonly string[]; readonly expiresAt: number }
  | { readonly kind: 'anyone' }

export class Session {
  readonly holder: Holder
  /** QoS 2 message id -> those who wait for its append, then `durable` until Aedes itself remembers the id. */
  readonly appending = new Map<number, ((error?: Error | null) => void)[] | 'durable'>()
  /** Granted QoS by filter. */
  readonly filters = new Map<string, number>()
  /** The broker's number of the message that was forwarded last. */
  lastForwarded = 0
  /** The QoS granted for the message that was looked at last. */
  readonly lastGranted = { brokerCounter: 0, qos: 0 }
  readonly held: Held
  /** Undefined: it may publish as fast as it can. */
  readonly rate: Rate | undefined
  readonly #topics = new Map<string, DeviceTopic | undefined>()

  constructor(holder: Holder, { held, rate }: { readonly held: Held; readonly rate?: Rate | undefined }) {
    this.holder = holder
    this.held = held
    this.rate = rate
  }

  /** Keeps a subscription that was granted; false if there are too many. */
  subscribed(filter: string, qos: number): boolean {
    if (this.filters.size >= SUBSCRIPTIONS_PER_CLIENT_MAX && !this.filters.has(filter)) return false
    this.filters.set(filter, qos)
    return true
  }

  /** What `topic` means; undefined if it is none of the platform's. */
  topic(topic: string): DeviceTopic | undefined {
    if (this.#topics.has(topic)) return this.#topics.get(topic)
    const parsed = parseTopic(topic)
    if (this.#topics.size < SESSION_TOPICS_MAX) this.#topics.set(topic, parsed)
    return parsed
  }

  /** Ends the wait for QoS 2 message `id`: it was appended now, or was known already, or failed. */
  settle(id: number, error: Error | null | undefined, appended: boolean): void {
    const waiting = this.appending.get(id)
    if (appended && !error) this.appending.set(id, 'durable')
    else this.appending.delete(id)
    if (Array.isArray(waiting)) for (const done of waiting) done(error)
  }

  hasExpired(now: number): boolean {
    return this.holder.kind !== 'anyone' && this.holder.expiresAt <= now
  }
}
