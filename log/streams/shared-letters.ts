/**
 * Owns the dead letters of a log on streams: of each shard those that its replica has, as those of one log.
 *
 * A replay appends the letters' messages and then has the letters taken out. If the process is gone in between, they are taken out when ingest passes their
 * messages, which say whose they are. So a letter is held or replayed when both are done, and never neither.
 */

import { type DeadLetterPlace, letterOf, numberOf } from '../dead-letter-place.ts'
import { DELIVERED_LIVE, type NewEntry, REPLAYED } from '../entry.ts'
import type {
  DeadLetter,
  DeadLetterBox,
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterLook,
  DeadLetterLookBack,
  DeadLetterQuery,
  KeptByCode,
} from '../log.ts'
import type { DeadLetters } from '../tables/dead-letters.ts'
import type { SharedSignal } from '../tables/shared-signal.ts'
import type { Books } from './books.ts'
import { merged } from './merged.ts'
import type { Replica } from './replica.ts'

/** Dead letters that a follower reads at a time. */
const LETTERS_PER_READ_MAX = 100

export interface LetterShard {
  readonly books: Books
  readonly replica: Replica
  readonly changed: SharedSignal
  /** Resolves when the entries are durable; each was the dead letter of this number of the shard. */
  append(entries: readonly { readonly entry: NewEntry; readonly letter: number }[]): Promise<void>
}

export class SharedLetters implements DeadLetterBox {
  readonly #shards: readonly LetterShard[]

  constructor(shards: readonly LetterShard[]) {
    this.#shards = shards
  }

  async deadLetters({ after, limit, ...filter }: DeadLetterQuery): Promise<DeadLetter[]> {
    const found = this.#shards.flatMap((_shard, index) => {
      const own = { ...this.#own(filter, index), after: this.#count(after?.[index] ?? 0), limit }
      return this.#numbered(this.#table(index).find(own), index)
    })
    return found.sort((a, b) => a.setAsideAt - b.setAsideAt).slice(0, limit)
  }

  async deadLetter(sequence: number): Promise<DeadLetter | undefined> {
    const { shard, count } = letterOf(sequence, this.#shards.length)
    const letter = this.#table(shard).get(count)
    return letter && { ...letter, sequence }
  }

  async lookBack({ before, limit, ...filter }: DeadLetterLookBack): Promise<DeadLetterLook> {
    const looks = this.#shards.map((_shard, index) => {
      const place = before?.[index]
      const from = place === undefined ? Number.MAX_SAFE_INTEGER : this.#count(place)
      const { found, next } = this.#table(index).lookBack({ ...filter, limit, before: from })
      return { found: this.#numbered(found, index), next: next ?? 0 }
    })
    const all = looks.flatMap(({ found }) => found).sort((a, b) => b.setAsideAt - a.setAsideAt)
    const found = all.slice(0, limit)
    const next = looks.map((look, index) => {
      const left = look.found.find((letter) => !found.includes(letter))
      const behind = left === undefined ? look.next : this.#count(left.sequence) + 1
      return behind === 0 ? 0 : numberOf(behind, index, this.#shards.length)
    })
    return { found, ...(next.some((place) => place > 0) && { next }) }
  }

  async keptByCode(after: string): Promise<KeptByCode> {
    const looks = this.#shards.map((_shard, index) => this.#table(index).codes.kept(after))
    const [next] = looks.flatMap((look) => look.next ?? []).sort()
    const kept = looks.flatMap((look) => look.kept).filter(({ device }) => next === undefined || device <= next)
    return { kept: kept.sort((a, b) => (a.device < b.device ? -1 : 1)), ...(next !== undefined && { next }) }
  }

  followDeadLetters(after: DeadLetterPlace, signal: AbortSignal): AsyncIterable<DeadLetter> {
    const ofShard = (index: number) => (ending: AbortSignal) =>
      this.#follow(index, this.#count(after[index] ?? 0), ending)
    return merged(
      this.#shards.map((_shard, index) => ofShard(index)),
      signal,
    )
  }

  async lastDeadLetter(): Promise<DeadLetterPlace> {
    return this.#shards.map((_shard, index) => {
      const count = this.#table(index).last()
      return count === 0 ? 0 : numberOf(count, index, this.#shards.length)
    })
  }

  async deadLetterCounts(): Promise<DeadLetterCounts> {
    const sum = { held: 0, heldBytes: 0, replayed: 0, purged: 0, expired: 0 }
    for (const index of this.#shards.keys()) {
      const counts = this.#table(index).counts()
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
    }
    return sum
  }

  async replay(filter: DeadLetterFilter): Promise<number> {
    const counts = await Promise.all(this.#shards.map((_shard, index) => this.#replay(index, this.#own(filter, index))))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async purge(filter: DeadLetterFilter): Promise<number> {
    const counts = await Promise.all(this.#shards.map((_shard, index) => this.#purge(index, this.#own(filter, index))))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async *#follow(index: number, after: number, signal: AbortSignal): AsyncGenerator<DeadLetter> {
    const { changed } = this.#shards[index] as LetterShard
    signal.addEventListener('abort', () => changed.raise(), { once: true })
    let place = after
    while (!signal.aborted) {
      const seen = changed.raised
      const found = this.#table(index).find({ after: place, limit: LETTERS_PER_READ_MAX })
      for (const letter of found) {
        place = letter.sequence
        yield* this.#numbered([letter], index)
      }
      if (found.length === 0) await changed.wait(seen)
    }
  }

  async #replay(index: number, filter: DeadLetterFilter): Promise<number> {
    const { books, append } = this.#shards[index] as LetterShard
    const upTo = this.#table(index).last()
    let replayed = 0
    for (let after = 0; after < upTo; ) {
      const { found, next } = this.#table(index).look(filter, after, upTo)
      after = next
      if (found.length === 0) continue
      await append(found.map((letter) => ({ entry: entryOf(letter), letter: letter.sequence })))
      replayed += Number(await books.ask({ kind: 'replayed', letters: found.map(({ sequence }) => sequence) }))
    }
    return replayed
  }

  async #purge(index: number, filter: DeadLetterFilter): Promise<number> {
    const { books } = this.#shards[index] as LetterShard
    const upTo = this.#table(index).last()
    let purged = 0
    for (let after = 0; after < upTo; ) {
      const part = (await books.ask({ kind: 'purge', filter, after, upTo })) as { count: number; next: number }
      purged += part.count
      after = part.next
    }
    return purged
  }

  #table(index: number): DeadLetters {
    const { replica } = this.#shards[index] as LetterShard
    replica.environment.root.resetReadTxn()
    return replica.deadLetters
  }

  #own<F extends DeadLetterFilter>({ sequences, ...filter }: F, index: number) {
    const own = sequences
      ?.map((sequence) => letterOf(sequence, this.#shards.length))
      .filter(({ shard }) => shard === index)
    return { ...filter, ...(own && { sequences: own.map(({ count }) => count) }) }
  }

  #numbered(letters: readonly DeadLetter[], index: number): DeadLetter[] {
    return letters.map((letter) => ({ ...letter, sequence: numberOf(letter.sequence, index, this.#shards.length) }))
  }

  #count(number: number): number {
    return letterOf(number, this.#shards.length).count
  }
}

/** Judged by the time it first came: the same message, so the same verdict, unless the schemas have changed. */
function entryOf({ device, stream, receivedAt, payload, framing = 0, decoded }: DeadLetter): NewEntry {
  return { device, stream, receivedAt, payload, framing, flags: decoded ? REPLAYED | DELIVERED_LIVE : REPLAYED }
}
