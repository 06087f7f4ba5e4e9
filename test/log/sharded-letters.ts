/** Owns the dead letters of several local logs as those of one log of as many shards. */

import { setTimeout as delay } from 'node:timers/promises'
import { type DeadLetterPlace, letterOf, numberOf, placeBehind } from '../../log/dead-letter-place.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import type {
  DeadLetter,
  DeadLetterBox,
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterLook,
  DeadLetterLookBack,
  DeadLetterQuery,
  KeptByCode,
} from '../../log/log.ts'

const LOOK_MS = 5

export class ShardedLetters implements DeadLetterBox {
  readonly logs: readonly LocalLog[]

  constructor(logs: readonly LocalLog[]) {
    this.logs = logs
  }

  async deadLetters({ after, limit, ...filter }: DeadLetterQuery): Promise<DeadLetter[]> {
    const found = await this.#ofEach(async (log, shard) => {
      const own = { ...this.#own(filter, shard), after: [this.#count(after?.[shard] ?? 0)], limit }
      return this.#numbered(await log.deadLetters(own), shard)
    })
    return found
      .flat()
      .sort((a, b) => a.setAsideAt - b.setAsideAt)
      .slice(0, limit)
  }

  async deadLetter(sequence: number): Promise<DeadLetter | undefined> {
    const { shard, count } = letterOf(sequence, this.logs.length)
    const letter = await this.logs[shard]?.deadLetter(count)
    return letter && { ...letter, sequence }
  }

  async lookBack({ before, limit, ...filter }: DeadLetterLookBack): Promise<DeadLetterLook> {
    const looks = await this.#ofEach(async (log, shard) => {
      const place = before?.[shard]
      const own = { ...filter, limit, ...(place !== undefined && { before: [this.#count(place)] }) }
      const { found, next } = await log.lookBack(own)
      return { found: this.#numbered(found, shard), next: numberOf(next?.[0] ?? 0, shard, this.logs.length) }
    })
    const all = looks.flatMap(({ found }) => found).sort((a, b) => b.setAsideAt - a.setAsideAt)
    const found = all.slice(0, limit)
    const next = looks.map((look, shard) => {
      const left = look.found.find((letter) => !found.includes(letter))
      const behind = left === undefined ? look.next : left.sequence + this.logs.length
      return this.#count(behind) === 0 ? 0 : numberOf(this.#count(behind), shard, this.logs.length)
    })
    return { found, ...(next.some((place) => place > 0) && { next }) }
  }

  async keptByCode(after: string): Promise<KeptByCode> {
    const looks = await this.#ofEach((log) => log.keptByCode(after))
    const [next] = looks.flatMap((look) => look.next ?? []).sort()
    const kept = looks.flatMap((look) => look.kept).filter(({ device }) => next === undefined || device <= next)
    return { kept: kept.sort((a, b) => (a.device < b.device ? -1 : 1)), ...(next !== undefined && { next }) }
  }

  async *followDeadLetters(after: DeadLetterPlace, signal: AbortSignal): AsyncGenerator<DeadLetter> {
    for (let place = after; !signal.aborted; ) {
      const letters = await this.deadLetters({ after: place, limit: 100 })
      for (const letter of letters) {
        place = placeBehind(place, letter.sequence)
        yield letter
      }
      if (letters.length === 0) await delay(LOOK_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  lastDeadLetter(): Promise<DeadLetterPlace> {
    return this.#ofEach(async (log, shard) => {
      const [count = 0] = await log.lastDeadLetter()
      return count === 0 ? 0 : numberOf(count, shard, this.logs.length)
    })
  }

  async deadLetterCounts(): Promise<DeadLetterCounts> {
    const sum = { held: 0, heldBytes: 0, replayed: 0, purged: 0, expired: 0 }
    for (const counts of await this.#ofEach((log) => log.deadLetterCounts()))
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name]
    return sum
  }

  async replay(filter: DeadLetterFilter): Promise<number> {
    const counts = await this.#ofEach((log, shard) => log.replay(this.#own(filter, shard)))
    return counts.reduce((sum, count) => sum + count)
  }

  async purge(filter: DeadLetterFilter): Promise<number> {
    const counts = await this.#ofEach((log, shard) => log.purge(this.#own(filter, shard)))
    return counts.reduce((sum, count) => sum + count)
  }

  #ofEach<T>(ask: (log: LocalLog, shard: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.logs.map(ask))
  }

  #own<F extends DeadLetterFilter>({ sequences, ...filter }: F, shard: number) {
    const own = sequences
      ?.map((sequence) => letterOf(sequence, this.logs.length))
      .filter((each) => each.shard === shard)
    return { ...filter, ...(own && { sequences: own.map(({ count }) => count) }) }
  }

  #numbered(letters: readonly DeadLetter[], shard: number): DeadLetter[] {
    return letters.map((letter) => ({ ...letter, sequence: numberOf(letter.sequence, shard, this.logs.length) }))
  }

  #count(number: number): number {
    return letterOf(number, this.logs.length).count
  }
}
