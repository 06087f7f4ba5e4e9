/**
 * Owns to how many subscriptions of apps each of the newest messages was sent live, and when: what `telltale trace` tells. An app that is
 * behind, or still has the past sent, is in none of the counts: it comes to the message by itself.
 *
 * Bound: `LIVE_SENDS_KEPT` messages, of all shards together; the oldest go. Costs four numbers a message.
 */

import type { Offset, Position } from '../log/position.ts'

/** 1.5 MiB: 13 s of 5,000 messages a second, a quarter of an hour of 70. */
export const LIVE_SENDS_KEPT = 65_536

export interface LiveSend {
  /** Milliseconds. */
  readonly at: number
  /** To so many it went at once; an app that has two that select it counts twice. */
  readonly subscriptions: number
  /** Of so many, which have a rate, it became a part of what is sent at the end of their windows. */
  readonly reduced: number
}

/** `unsent`: the tail has gone past it, and found nothing in it for apps. */
export type LiveFate = LiveSend | 'unsent' | 'to-come' | 'forgotten'

interface Ring {
  readonly offsets: Float64Array
  readonly times: Float64Array
  readonly subscriptions: Uint32Array
  readonly reduced: Uint32Array
  /** Where the tail began. */
  readonly begin: number
}

export class LiveSends {
  #rings: readonly Ring[] = []
  #size = 0

  /** The tail is live from there on. */
  begin(position: Position): void {
    this.#size = Math.ceil(LIVE_SENDS_KEPT / position.length)
    this.#rings = position.map((begin) => ({
      offsets: new Float64Array(this.#size).fill(-1),
      times: new Float64Array(this.#size),
      subscriptions: new Uint32Array(this.#size),
      reduced: new Uint32Array(this.#size),
      begin,
    }))
  }

  note(shard: number, offset: Offset, at: number, subscriptions: number, reduced: number): void {
    const { [shard]: ring } = this.#rings
    if (ring === undefined) return
    const slot = offset % this.#size
    // One that comes late, for it could not be read, does not take the place of a newer one.
    if ((ring.offsets[slot] ?? 0) > offset) return
    ring.offsets[slot] = offset
    ring.times[slot] = at
    ring.subscriptions[slot] = subscriptions
    ring.reduced[slot] = reduced
  }

  /** `next` is where the tail is in that shard. */
  of(shard: number, offset: Offset, next: Offset): LiveFate {
    const { [shard]: ring } = this.#rings
    if (ring === undefined) return 'to-come'
    const slot = offset % this.#size
    if (ring.offsets[slot] === offset) {
      const [at = 0, subscriptions = 0, reduced = 0] = [ring.times[slot], ring.subscriptions[slot], ring.reduced[slot]]
      return { at, subscriptions, reduced }
    }
    if (offset >= next) return 'to-come'
    return offset < ring.begin || offset < next - this.#size ? 'forgotten' : 'unsent'
  }
}
