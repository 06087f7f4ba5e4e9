/**
 * Owns the places for questions of history. Each has one from its parameters to the last byte of its answer; the store works on
 * a few at a time, the oldest first.
 *
 *   take --turn--> waiting --> in the store --done--> being sent --leave-->
 *
 * Bounds: `HISTORY_QUERIES_MAX`, one more is refused with 503, and of one token `HISTORY_QUERIES_PER_TOKEN_MAX`, with 429; in
 * the store `IN_STORE_MAX`, and of one token `IN_STORE_PER_TOKEN_MAX`, the others wait: so a token that asks what takes long
 * keeps no other from asking.
 */

import assert from 'node:assert/strict'
import type { Access } from './access.ts'
import { Refusal } from './refusal.ts'
import { Shares } from './shares.ts'

/** Questions of history that are not answered to the end, in all and of one token. */
export const HISTORY_QUERIES_MAX = 16
export const HISTORY_QUERIES_PER_TOKEN_MAX = 4
/** Of these, in the store. The embedded one keeps a thread of Node's four for each, and its writes need one. */
const IN_STORE_MAX = 3
const IN_STORE_PER_TOKEN_MAX = 2

assert(HISTORY_QUERIES_PER_TOKEN_MAX < HISTORY_QUERIES_MAX / 2, 'no token may take the places of all')
assert(IN_STORE_PER_TOKEN_MAX < IN_STORE_MAX, 'another token must have its turn')

interface Waiting {
  readonly asker: Access
  readonly begin: () => void
}

export class HistoryPlaces {
  readonly #taken = new Shares<Access>(HISTORY_QUERIES_PER_TOKEN_MAX)
  readonly #inStore = new Shares<Access>(IN_STORE_PER_TOKEN_MAX)
  readonly #waiting = new Set<Waiting>()

  /** Throws a `Refusal` if there is no place. */
  take(asker: Access): void {
    if (!this.#taken.hasRoom(asker)) {
      const message = `${HISTORY_QUERIES_PER_TOKEN_MAX} history queries of this token are under way: wait for one`
      throw new Refusal('too-many-queries', message)
    }
    if (this.#taken.count >= HISTORY_QUERIES_MAX) {
      throw new Refusal('too-busy', `${HISTORY_QUERIES_MAX} history queries are under way: try again in a moment`)
    }
    this.#taken.take(asker)
  }

  leave(asker: Access): void {
    this.#taken.leave(asker)
  }

  /** Resolves when the store may be asked; `done` is to be called then. Rejects with the signal's reason if that comes first. */
  turn(asker: Access, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiting)
        reject(signal.reason)
      }
      const begin = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const waiting = { asker, begin }
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiting)
      this.#begin()
    })
  }

  done(asker: Access): void {
    this.#inStore.leave(asker)
    this.#begin()
  }

  #begin(): void {
    for (const waiting of this.#waiting) {
      if (this.#inStore.count >= IN_STORE_MAX) return
      if (!this.#inStore.hasRoom(waiting.asker)) continue
      this.#waiting.delete(waiting)
      this.#inStore.take(waiting.asker)
      waiting.begin()
    }
  }
}
