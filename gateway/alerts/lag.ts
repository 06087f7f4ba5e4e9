/**
 * Owns how far the store is behind: until when all that was received is stored or set aside, which is when the oldest message that waits
 * was received.
 *
 * Always true: it does not depend on when it was asked before. A message that is replayed came long ago and waits since just now: it does
 * not count. Bound: one batch of the log is read at a look, and those before it only where they are replays that were not yet looked at.
 */

import { REPLAYED, readEntries } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'

type Behind = Pick<Shard, 'first' | 'end' | 'read' | 'checkpoint'>

class ShardLag {
  readonly #shard: Behind
  /** What waits before this was replayed. */
  #replayedBefore = 0 as Offset

  constructor(shard: Behind) {
    this.#shard = shard
  }

  /** When the oldest message that waits was received; undefined if none waits. */
  async waitsSince(): Promise<number | undefined> {
    const end = await this.#shard.end()
    const done = (await this.#shard.checkpoint(INGEST_READER)) ?? (await this.#shard.first())
    for (let from = later(done, this.#replayedBefore); from < end; from = this.#replayedBefore) {
      const batch = await this.#shard.read(from)
      if (batch === undefined) break
      const oldest = readEntries(batch).find(({ flags }) => (flags & REPLAYED) === 0)
      this.#replayedBefore = later(this.#replayedBefore, oldest?.offset ?? batch.next)
      if (oldest !== undefined) return oldest.receivedAt
    }
    return undefined
  }
}

export class Lag {
  readonly #shards: readonly ShardLag[]

  constructor(shards: readonly Behind[]) {
    this.#shards = shards.map((shard) => new ShardLag(shard))
  }

  /** Until when all that was received is stored; `now` if all is. */
  async storedUntil(now: number): Promise<number> {
    const since = await Promise.all(this.#shards.map((shard) => shard.waitsSince()))
    return Math.min(now, ...since.filter((at) => at !== undefined))
  }
}

const later = (a: Offset, b: Offset): Offset => (a < b ? b : a)
