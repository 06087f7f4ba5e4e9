/**
 * Owns what a model of a device is: several columns that belong together, moved on by time. Always true: what it says depends on its random
 * sequence and on the times that it was moved on to, and on nothing else.
 */

import type { Column } from '../../../schemas/reading.ts'
import type { Random } from './random.ts'

export interface Model {
  /** Moves on to a time, milliseconds since 1970; one that is not later changes what chance changes, and no more. */
  advance(at: number): void
  /** What each column is then: numbers, texts, lists of numbers, or null for none. */
  readonly columns: ReadonlyMap<string, () => unknown>
}

/** Undefined where the stream has too few of the columns that it is about. */
export type ModelOf = (columns: readonly Column[], random: Random) => Model | undefined

export const SECOND_MS = 1_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** Of a cycle of a day by its highest hour, UTC: 1 then, -1 half a day later. */
export const dayWave = (at: number, peakHour: number): number =>
  Math.cos((2 * Math.PI * (at - peakHour * HOUR_MS)) / DAY_MS)

/** How long ago it was moved on, milliseconds: 0 the first time, and if time goes back. */
export class Elapsed {
  #at: number | undefined

  to(at: number): number {
    const before = this.#at ?? at
    this.#at = Math.max(at, before)
    return this.#at - before
  }
}

/**
 * Chance that comes and goes, around 0: an Ornstein-Uhlenbeck process, which is as far away after one hour as after 3,600 seconds. Bounded by
 * three times `spread`.
 */
export class Drift {
  readonly #spread: number
  readonly #memoryMs: number
  readonly #random: Random
  value: number

  constructor(spread: number, memoryMs: number, random: Random) {
    this.#spread = spread
    this.#memoryMs = memoryMs
    this.#random = random
    this.value = this.#chance() * spread
  }

  after(elapsedMs: number): number {
    const kept = Math.exp(-elapsedMs / this.#memoryMs)
    const moved = this.value * kept + this.#spread * Math.sqrt(1 - kept * kept) * this.#chance()
    this.value = Math.min(3 * this.#spread, Math.max(-3 * this.#spread, moved))
    return this.value
  }

  /** Of a deviation of 1, from -3 to 3: the sum of three even chances. */
  #chance(): number {
    const { next } = this.#random
    return (next() + next() + next()) * 2 - 3
  }
}
