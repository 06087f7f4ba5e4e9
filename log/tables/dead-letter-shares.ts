/**
 * Owns what each device has of the dead letters, so that when they are full those of the device with most go, its oldest first: one
 * that floods drops its own, and nobody else's. Three kinds of keys, so that neither is looked for:
 *
 *   [0, device, sequence] -> bytes of the letter      [1, device] -> bytes of all its letters      [2, those bytes, device] -> true
 *
 * Always true: it changes in the transaction that changes the letters. A letter that the disk gave back changed may be listed here when
 * it is gone; whoever takes it passes it over.
 * Bound: a record a letter, two a device. To set a letter aside and drop another takes 40 us with it, 15 without.
 */

import type { Environment } from './environment.ts'

const LETTER = 0
const DEVICE = 1
const RANK = 2
const AFTER_ALL = 3

/** A letter as it is counted here. */
export interface Share {
  readonly device: string
  readonly sequence: number
  readonly bytes: number
}

export class DeadLetterShares {
  readonly #shares: Environment['deadLetterShares']

  constructor({ deadLetterShares }: Environment) {
    this.#shares = deadLetterShares
  }

  /** Only within a transaction, as all that follows. */
  add(letters: Iterable<Share>): void {
    const more = new Map<string, number>()
    for (const { device, sequence, bytes } of letters) {
      this.#shares.put([LETTER, device, sequence], bytes)
      more.set(device, (more.get(device) ?? 0) + bytes)
    }
    for (const [device, bytes] of more) this.#change(device, bytes)
  }

  remove(letters: Iterable<Pick<Share, 'device' | 'sequence'>>): void {
    const less = new Map<string, number>()
    for (const { device, sequence } of letters) {
      const key = [LETTER, device, sequence]
      const bytes = this.#shares.get(key)
      if (bytes === undefined) continue
      this.#shares.remove(key)
      less.set(device, (less.get(device) ?? 0) - Number(bytes))
    }
    for (const [device, bytes] of less) this.#change(device, bytes)
  }

  /** Takes out the oldest letter of the device that has most; undefined if there is none. */
  takeOldestOfLargest(): number | undefined {
    for (const [, , device] of this.#shares.getKeys({ start: [AFTER_ALL], end: [RANK], reverse: true, limit: 1 })) {
      const name = String(device)
      for (const [kind, of, sequence] of this.#shares.getKeys({ start: [LETTER, name], limit: 1 })) {
        if (kind !== LETTER || of !== name) break
        this.remove([{ device: name, sequence: Number(sequence) }])
        return Number(sequence)
      }
    }
    return undefined
  }

  /** Sequences of a device's letters before `before`, the newest first. */
  *backOf(device: string, before: number): Iterable<number> {
    for (const [kind, of, sequence] of this.#shares.getKeys({ start: [LETTER, device, before - 1], reverse: true })) {
      if (kind !== LETTER || of !== device) return
      yield Number(sequence)
    }
  }

  clear(): void {
    for (const key of [...this.#shares.getKeys()]) this.#shares.remove(key)
  }

  #change(device: string, by: number): void {
    const before = Number(this.#shares.get([DEVICE, device]) ?? 0)
    const bytes = before + by
    if (before > 0) this.#shares.remove([RANK, before, device])
    if (bytes > 0) {
      this.#shares.put([DEVICE, device], bytes)
      this.#shares.put([RANK, bytes, device], true)
    } else this.#shares.remove([DEVICE, device])
  }
}
