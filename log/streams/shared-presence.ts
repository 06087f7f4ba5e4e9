/**
 * Owns the presence records of a log on streams: each in the books of its device's shard, which say in what order the changes of all brokers were.
 *
 * Always true: a change is made to what the record was when it counts; if another came before it, it is made again. Those of one process for one
 * device are in the order they were asked for. An epoch is the place of its change in the books, from 1.
 */

import { shardOf } from '../entry.ts'
import type { DevicePresence, Presence, PresenceChange } from '../presence.ts'
import { Signal } from '../tables/signal.ts'
import type { Books } from './books.ts'
import type { Replica } from './replica.ts'

export interface PresenceShard {
  readonly books: Books
  readonly replica: Replica
}

type Kept = DevicePresence & { readonly epoch?: number }

export class SharedPresence implements Presence {
  readonly #shards: readonly PresenceShard[]
  /** Of each device, the change that is under way. */
  readonly #last = new Map<string, Promise<unknown>>()
  readonly #followers = new Set<{ readonly devices: Set<string>; readonly moved: Signal }>()

  constructor(shards: readonly PresenceShard[]) {
    this.#shards = shards
  }

  update(device: string, change: PresenceChange): Promise<number> {
    const before = this.#last.get(device) ?? Promise.resolve()
    const done = before.then(() => this.#change(device, change))
    const settled: Promise<void> = done.then(
      () => this.#settled(device, settled),
      () => this.#settled(device, settled),
    )
    this.#last.set(device, settled)
    return done
  }

  get(device: string): DevicePresence | undefined {
    return this.#of(device).replica.presence.get(device)
  }

  devices(after: string, limit: number): string[] {
    const found = this.#shards.flatMap(({ replica }) => replica.presence.devices(after, limit))
    return found.sort().slice(0, limit)
  }

  *all(): Iterable<DevicePresence> {
    const sources = this.#shards.map(({ replica }) => replica.presence.all()[Symbol.iterator]())
    const heads = sources.map((source) => source.next())
    for (;;) {
      let least = -1
      for (const [index, head] of heads.entries()) {
        if (head.done) continue
        const best = heads[least]
        if (best === undefined || best.done || head.value.device < best.value.device) least = index
      }
      const head = heads[least]
      if (head === undefined || head.done) return
      yield head.value
      heads[least] = (sources[least] as Iterator<DevicePresence>).next()
    }
  }

  async *follow(signal: AbortSignal): AsyncGenerator<DevicePresence> {
    const follower = { devices: new Set<string>(), moved: new Signal() }
    signal.addEventListener('abort', () => follower.moved.raise(), { once: true })
    this.#followers.add(follower)
    try {
      while (!signal.aborted) {
        const seen = follower.moved.raised
        for (const device of follower.devices) {
          follower.devices.delete(device)
          const known = this.get(device)
          if (known !== undefined) yield known
        }
        await follower.moved.wait(seen)
      }
    } finally {
      this.#followers.delete(follower)
    }
  }

  /** Records of these devices were changed by others. */
  changed(devices: readonly string[]): void {
    for (const follower of this.#followers) {
      for (const device of devices) follower.devices.add(device)
      follower.moved.raise()
    }
  }

  async #change(device: string, change: PresenceChange): Promise<number> {
    const { books, replica } = this.#of(device)
    for (;;) {
      replica.environment.root.resetReadTxn()
      const known = replica.presence.get(device) as Kept | undefined
      const record = change(known)
      const basis = known?.epoch ?? 0
      if (record === undefined) return basis
      const epoch = await books.ask({ kind: 'presence', device, basis, record })
      if (typeof epoch === 'number' && epoch > 0) return epoch
    }
  }

  #settled(device: string, settled: Promise<void>): void {
    if (this.#last.get(device) === settled) this.#last.delete(device)
  }

  #of(device: string): PresenceShard {
    return this.#shards[shardOf(device, this.#shards.length)] as PresenceShard
  }
}
