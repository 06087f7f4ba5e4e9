/**
 * Owns when a new connection begins, so that whoever connects in a loop leaves others their turn: a CONNECT costs a
 * signature's check, a TLS handshake more. An address may open a burst at once, as a fleet that comes back does; what it opens
 * beyond begins at a steady pace, whatever becomes of those before. One that ends within `CONNECT_SHORT_MS` counts once more
 * for each `CONNECT_SHORT_BYTES` it sent.
 *
 * Bounds: of one address `CONNECTS_PER_ADDRESS_BURST` at once, then `CONNECTS_PER_ADDRESS_PER_SECOND`, for which
 * `CONNECTS_PER_ADDRESS_WAITING_MAX` wait; in all `CONNECTS_PER_SECOND_MAX`. One more is closed at once. An address is
 * remembered until it may open a burst again, so there are no more than connections in that time.
 */

import {
  CONNECT_SHORT_BYTES,
  CONNECT_SHORT_MS,
  CONNECTS_PER_ADDRESS_BURST,
  CONNECTS_PER_ADDRESS_PER_SECOND,
  CONNECTS_PER_ADDRESS_WAITING_MAX,
  CONNECTS_PER_SECOND_MAX,
} from '../platform/limits.ts'

const PER_MS = CONNECTS_PER_ADDRESS_PER_SECOND / 1_000

/** What was opened and not made up for by time, at that time. */
interface Opened {
  readonly count: number
  readonly at: number
}

export class ConnectRate {
  #second = 0
  #taken = 0
  /** The address that connected longest ago comes first. */
  readonly #byAddress = new Map<string, Opened>()

  /**
   * In how many milliseconds a connection that came from `address` at `now` (milliseconds) may begin; it has been counted.
   * Undefined if it may not.
   */
  wait(now: number, address: string): number | undefined {
    this.#forget(now)
    const second = Math.floor(now / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#taken = 0
    }
    const count = opened(this.#byAddress.get(address), now) + 1
    const beyond = count - CONNECTS_PER_ADDRESS_BURST
    if (this.#taken >= CONNECTS_PER_SECOND_MAX || beyond > CONNECTS_PER_ADDRESS_WAITING_MAX) return undefined
    this.#taken++
    this.#note(address, now, count)
    return Math.max(0, beyond / PER_MS)
  }

  /** A connection from `address` has ended at `now`, after so long. What it sent was read for nothing, and stays as garbage. */
  ended(now: number, address: string, { livedMs, bytes }: { readonly livedMs: number; readonly bytes: number }): void {
    const more = Math.floor(bytes / CONNECT_SHORT_BYTES)
    if (more > 0 && livedMs < CONNECT_SHORT_MS) {
      const most = CONNECTS_PER_ADDRESS_BURST + CONNECTS_PER_ADDRESS_WAITING_MAX
      this.#note(address, now, Math.min(most, opened(this.#byAddress.get(address), now) + more))
    }
  }

  #note(address: string, at: number, count: number): void {
    this.#byAddress.delete(address)
    this.#byAddress.set(address, { count, at })
  }

  #forget(now: number): void {
    for (const [address, last] of this.#byAddress) {
      if (opened(last, now) > 0) return
      this.#byAddress.delete(address)
    }
  }
}

function opened(last: Opened | undefined, now: number): number {
  return last === undefined ? 0 : Math.max(0, last.count - Math.max(0, now - last.at) * PER_MS)
}
