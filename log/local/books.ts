/**
 * Owns the accounts of a local log's readers: checkpoint, counts and dead letters, changed in one transaction.
 *
 * Always true: for the reader named, `next = stored + deadLettered`, because `advance` refuses (by assertion: it would
 * be our mistake) a progress whose counts do not add up to the entries it passes. A checkpoint never goes back.
 */

import assert from 'node:assert/strict'
import type { Clock } from '../../platform/clock.ts'
import type { DeadLetter, DeadLetterQuery, Ledger, NewDeadLetter } from '../log.ts'
import type { Environment } from './environment.ts'

interface Account {
  /** Offset of the next entry to read. */
  readonly next: number
  readonly stored: number
  readonly deadLettered: number
  readonly readings: number
}

const NEW_ACCOUNT: Account = { next: 0, stored: 0, deadLettered: 0, readings: 0 }

export interface Advance {
  readonly next: number
  readonly stored: number
  readonly readings: number
  readonly deadLetters: readonly NewDeadLetter[]
}

export class Books {
  readonly #environment: Environment
  readonly #clock: Clock

  constructor(environment: Environment, clock: Clock) {
    this.#environment = environment
    this.#clock = clock
  }

  /** Offset of the reader's next entry; undefined if it never advanced. */
  checkpoint(reader: string): number | undefined {
    return this.#account(reader)?.next
  }

  async advance(reader: string, progress: Advance): Promise<void> {
    const { accounts, root } = this.#environment
    await root.transaction(() => {
      const account = this.#account(reader) ?? NEW_ACCOUNT
      const passed = progress.next - account.next
      assert(passed >= 0, `the checkpoint of ${reader} would go back from ${account.next} to ${progress.next}`)
      const accounted = progress.stored + progress.deadLetters.length
      assert.equal(accounted, passed, `${reader} passes ${passed} entries and accounts for ${accounted}`)
      this.#setAside(progress.deadLetters)
      accounts.put(reader, {
        next: progress.next,
        stored: account.stored + progress.stored,
        deadLettered: account.deadLettered + progress.deadLetters.length,
        readings: account.readings + progress.readings,
      } satisfies Account)
    })
  }

  /** The books against `accepted`, the log's end in the same snapshot. */
  ledger(reader: string, accepted: number): Ledger {
    const account = this.#account(reader) ?? NEW_ACCOUNT
    const { stored, deadLettered, readings } = account
    const pending = accepted - account.next
    return { accepted, stored, deadLettered, pending, balanced: accepted === stored + deadLettered + pending, readings }
  }

  lastDeadLetter(): number {
    for (const sequence of this.#environment.deadLetters.getKeys({ reverse: true, limit: 1 })) return sequence
    return 0
  }

  deadLetter(sequence: number): DeadLetter | undefined {
    const stored = this.#environment.deadLetters.get(sequence) as Omit<DeadLetter, 'sequence'> | undefined
    return stored && { ...stored, sequence }
  }

  deadLetters(query: DeadLetterQuery): DeadLetter[] {
    const found: DeadLetter[] = []
    for (const { key, value } of this.#environment.deadLetters.getRange({ start: (query.after ?? 0) + 1 })) {
      const letter = { ...(value as Omit<DeadLetter, 'sequence'>), sequence: key }
      if (query.device !== undefined && letter.device !== query.device) continue
      if (query.stream !== undefined && letter.stream !== query.stream) continue
      if (query.code !== undefined && letter.code !== query.code) continue
      found.push(letter)
      if (found.length >= query.limit) break
    }
    return found
  }

  #account(reader: string): Account | undefined {
    return this.#environment.accounts.get(reader) as Account | undefined
  }

  /** Only within the transaction of `advance`. */
  #setAside(letters: readonly NewDeadLetter[]): void {
    if (letters.length === 0) return
    const setAsideAt = this.#clock.now()
    let sequence = this.lastDeadLetter()
    for (const letter of letters) {
      sequence++
      this.#environment.deadLetters.put(sequence, { ...letter, payload: Buffer.from(letter.payload), setAsideAt })
    }
  }
}
