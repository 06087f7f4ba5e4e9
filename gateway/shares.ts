/**
 * Owns how many of something each one has, by name: of a thing that all need, nobody takes more than a share. Bound: what is
 * had in all is bounded by whoever gives it out.
 */

import assert from 'node:assert/strict'

export class Shares {
  readonly #max: number
  readonly #byName = new Map<string, number>()

  /** One name may have so many. */
  constructor(max: number) {
    assert(max >= 1, 'a share is at least one')
    this.#max = max
  }

  get max(): number {
    return this.#max
  }

  hasRoom(name: string): boolean {
    return (this.#byName.get(name) ?? 0) < this.#max
  }

  take(name: string): void {
    this.#byName.set(name, (this.#byName.get(name) ?? 0) + 1)
  }

  leave(name: string): void {
    const count = (this.#byName.get(name) ?? 0) - 1
    assert(count >= 0, 'what is left was taken')
    if (count === 0) this.#byName.delete(name)
    else this.#byName.set(name, count)
  }
}
