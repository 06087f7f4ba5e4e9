/**
 * Owns which subscriptions Aedes's fan-out has: one for each filter of each client, by a delivery function that makes nobody wait, and
 * one for all who share a filter; and how many of them are to telemetry.
 *
 * Always true: what is ended is what was made. Bound: that of `Subscriptions`.
 */

import assert from 'node:assert/strict'
import { selectsTelemetry, sharedFilterOf } from '../../identity/topics.ts'
import { type Deliver, withoutWaiting } from './deliveries.ts'
import { SharedSubscriptions } from './shared-subscriptions.ts'

interface Matched {
  readonly filter: string
  readonly deliver: Deliver
}

export class FanOut {
  /** Aedes's delivery functions, and ours around them. */
  readonly #deliveries = new WeakMap<Deliver, Deliver>()
  readonly #shared = new SharedSubscriptions()
  telemetrySubscriptions = 0

  /** A client subscribes; returns the subscription that is to be made; undefined: none. */
  subscribed(topic: string, own: Deliver): Matched | undefined {
    const isShared = sharedFilterOf(topic) !== undefined
    const made = isShared ? this.#shared.join(topic, own) : { filter: topic, deliver: own }
    if (made === undefined) return undefined
    const { filter, deliver } = made
    if (selectsTelemetry(filter)) this.telemetrySubscriptions++
    const ours = withoutWaiting(deliver)
    this.#deliveries.set(deliver, ours)
    return { filter, deliver: ours }
  }

  /** Likewise, of the subscription that is to be ended. */
  unsubscribed(topic: string, own: Deliver): Matched | undefined {
    const isShared = sharedFilterOf(topic) !== undefined
    const ended = isShared ? this.#shared.leave(topic, own) : { filter: topic, deliver: own }
    if (ended === undefined) return undefined
    const { filter, deliver } = ended
    if (selectsTelemetry(filter)) {
      this.telemetrySubscriptions--
      assert(this.telemetrySubscriptions >= 0, 'who unsubscribes has subscribed')
    }
    return { filter, deliver: this.#deliveries.get(deliver) ?? deliver }
  }
}
