/**
 * Owns how far the store is behind: until when all that was received is stored or set aside.
 *
 * Where the log ends is noted at each look, and a note is forgotten when ingest has passed it. Bound: `NOTES_MAX` a shard; when there are more,
 * every other one is forgotten, and the answer is as much coarser.
 */

import { readEntries } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'

const NOTES_MAX = 512

type Behind = Pick<Shard, 'first' | 'end' | 'read' | 'checkpoint'>

class ShardLag {
  readonly #shard: Behind
  /** All before `end` was received by `at`, milliseconds. Oldest first. */
  #notes: { readonly end: Offset; readonly at: number }[] = []
  #until: number | undefined

  constructor(shard: Behind) {
    this.#shard = shard
  }

  async look(now: number): Promise<number> {
    const end = await this.#shard.end()
    const done = (await this.#shard.checkpoint(INGEST_READER)) ?? (await this.#shard.first())
    if (done >= end) {
      this.#notes = []
      this.#until = now
      return now
    }
    // What was there before the first look.
    this.#until ??= await this.#receivedAt(done, now)
    while (this.#notes[0] !== undefined && this.#notes[0].end <= done) this.#until = this.#notes.shift()?.at ?? now
    if ((this.#notes.at(-1)?.end ?? done) < end) this.#notes.push({ end, at: now })
    if (this.#notes.length > NOTES_MAX) this.#notes = this.#notes.filter((_, index) => index % 2 === 1)
    return this.#until ?? now
  }

  async #receivedAt(from: Offset, now: number): Promise<number> {
    const batch = await this.#shard.read(from)
    if (batch === undefined) return now
    const [entry] = readEntries(batch)
    return entry?.receivedAt ?? now
  }
}

export class Lag {
  readonly #shards: readonly ShardLag[]

  constructor(shards: readonly Behind[]) {
    this.#shards = shards.map((shard) => new ShardLag(shard))
  }

  /** Until when all that was received is stored; `now` if all is. */
  async storedUntil(now: number): Promise<number> {
    const all = await Promise.all(this.#shards.map((shard) => shard.look(now)))
    return Math.min(now, ...all)
  }
}
