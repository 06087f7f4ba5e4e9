/**
 * Owns the pieces of several shards that are taken together: their entries in the order of receipt, so that a subscription with a rate
 * has its windows from the past as it would have had them live.
 *
 * Always true: of a shard its order; a shard of which more is to be read is added before the others go on. Bound: one batch of each shard.
 */

import type { Entry } from '../../log/entry.ts'
import type { Offset } from '../../log/position.ts'
import { type Piece, TAIL_BYTES_PER_TURN } from './telemetry.ts'

interface Head {
  readonly shard: number
  readonly rest: Iterator<Piece>
  piece: Piece
  /** Entries of the piece that were taken. */
  taken: number
}

export interface Taken {
  readonly shard: number
  readonly entry: Entry
  /** Where its shard goes on. */
  readonly next: Offset
}

/** Entries of a shard that may be taken next: from `first` on, before `next`. */
export interface Stretch {
  readonly shard: number
  readonly first: Offset
  readonly next: Offset
}

export class ByReceipt {
  readonly #heads = new Map<number, Head>()

  get isEmpty(): boolean {
    return this.#heads.size === 0
  }

  has(shard: number): boolean {
    return this.#heads.has(shard)
  }

  /** Has none of that shard. */
  add(shard: number, pieces: Iterator<Piece>): void {
    this.#advance({ shard, rest: pieces, piece: { entries: [], next: 0 as Offset }, taken: 0 })
  }

  /** What the next `take` may give. */
  stretches(): Stretch[] {
    return [...this.#heads.values()].flatMap(({ shard, piece, taken }) => {
      const first = piece.entries[taken]?.offset
      return first === undefined ? [] : [{ shard, first, next: piece.next }]
    })
  }

  /** Some entries, of `stretches`: until a piece of one shard has come to its end, or others should have their turn. */
  *take(): Generator<Taken> {
    let bytes = 0
    while (bytes < TAIL_BYTES_PER_TURN) {
      const head = this.#oldest()
      const entry = head?.piece.entries[head.taken]
      if (head === undefined || entry === undefined) return
      head.taken++
      bytes += entry.payload.length
      const next = head.piece.entries[head.taken]?.offset ?? head.piece.next
      yield { shard: head.shard, entry, next }
      if (head.taken < head.piece.entries.length) continue
      this.#advance(head)
      return
    }
  }

  #oldest(): Head | undefined {
    let oldest: Head | undefined
    let at = Number.POSITIVE_INFINITY
    for (const head of this.#heads.values()) {
      const { receivedAt = at } = head.piece.entries[head.taken] ?? {}
      if (receivedAt >= at) continue
      oldest = head
      at = receivedAt
    }
    return oldest
  }

  /** To the next piece that has entries. */
  #advance(head: Head): void {
    this.#heads.delete(head.shard)
    for (let next = head.rest.next(); next.done !== true; next = head.rest.next()) {
      if (next.value.entries.length === 0) continue
      head.piece = next.value
      head.taken = 0
      this.#heads.set(head.shard, head)
      return
    }
  }
}
