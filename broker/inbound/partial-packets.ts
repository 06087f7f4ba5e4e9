/**
 * Owns what has arrived of packets that are not whole yet, over all clients: any of them may begin a large packet and let the
 * rest wait.
 *
 * Bound: `UNFINISHED_BYTES_MAX`. Full: whose packet was begun longest ago is closed, and counted.
 */

import assert from 'node:assert/strict'

/** Bytes of packets that are not whole yet, of all clients; at more, whose was begun longest ago is closed. */
export const UNFINISHED_BYTES_MAX = 128 * 1024 * 1024

export interface Beginner {
  /** Is told that it has kept its bytes waiting for too long, for others need the room. */
  makeRoom(): void
}

export class PartialPackets {
  /** Whose packet was begun longest ago comes first. */
  readonly #bytes = new Map<Beginner, number>()
  #total = 0

  /** Notes that so many bytes of a packet of `beginner` wait now; `isNew`: of another packet than before. */
  note(beginner: Beginner, bytes: number, isNew: boolean): void {
    const before = this.#bytes.get(beginner) ?? 0
    if (before === bytes && !isNew) return
    this.#total += bytes - before
    assert(this.#total >= 0, 'no bytes are taken away that were not noted')
    if (bytes === 0 || isNew) this.#bytes.delete(beginner)
    if (bytes > 0) this.#bytes.set(beginner, bytes)
    if (this.#total > UNFINISHED_BYTES_MAX) this.#makeRoom()
  }

  #makeRoom(): void {
    for (const [beginner, bytes] of this.#bytes) {
      this.#bytes.delete(beginner)
      this.#total -= bytes
      beginner.makeRoom()
      if (this.#total <= UNFINISHED_BYTES_MAX) break
    }
  }
}
