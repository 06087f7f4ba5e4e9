/**
 * Owns how many of something each one has: of a thing that all need, nobody takes more than a share. Bound: what there is in
 * all is bounded by whoever gives it out.
 */

import assert from 'node:assert/strict'
import { Refusal } from './refusal.ts'

export class Shares<Owner> {
  /** One owner may have so many. */
  readonly max: number
  readonly #counts = new Map<Owner, number>()
  #count = 0

  constructor(max: number) {
    assert(max >= 1, 'a share is at least one')
    this.max = max
  }

  /** Of all owners. */
  get count(): number {
    return this.#count
  }

  hasRoom(owner: Owner): boolean {
    return (this.#counts.get(owner) ?? 0) < this.max
  }

  take(owner: Owner): void {
    this.#counts.set(owner, (this.#counts.get(owner) ?? 0) + 1)
    this.#count++
  }

  /** Has it done with one of its own; throws a `Refusal` `too-busy` if the owner has its share, or all have `allMax`. */
  async within<T>(owner: Owner, allMax: number, act: () => Promise<T>): Promise<T> {
    if (!this.hasRoom(owner) || this.#count >= allMax) {
      throw new Refusal('too-busy', `as many of these as may be are under way, ${this.max} of one token: wait for one`)
    }
    this.take(owner)
    try {
      return await act()
    } finally {
      this.leave(owner)
    }
  }

  leave(owner: Owner): void {
    const left = (this.#counts.get(owner) ?? 0) - 1
    assert(left >= 0, 'what is left was taken')
    if (left === 0) this.#counts.delete(owner)
    else this.#counts.set(owner, left)
    this.#count--
  }
}
