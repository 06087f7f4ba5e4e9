/**
 * Owns how many connections a second are taken, from one address and in all, so that a client that connects in a loop
 * leaves others their turn: a CONNECT costs a signature's check, a TLS handshake more.
 *
 * Bounds: `CONNECTS_PER_SECOND_MAX`, `CONNECTS_PER_ADDRESS_PER_SECOND_MAX`; one more is closed at once. The addresses of
 * one second are remembered, no more than there were connections.
 */

import { CONNECTS_PER_ADDRESS_PER_SECOND_MAX, CONNECTS_PER_SECOND_MAX } from '../platform/limits.ts'

export class ConnectRate {
  #second = 0
  #taken = 0
  readonly #byAddress = new Map<string, number>()

  /** Whether a connection from `address` may be taken at `now` (milliseconds); if so, it has been counted. */
  takes(now: number, address: string): boolean {
    const second = Math.floor(now / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#taken = 0
      this.#byAddress.clear()
    }
    const ofAddress = this.#byAddress.get(address) ?? 0
    if (this.#taken >= CONNECTS_PER_SECOND_MAX || ofAddress >= CONNECTS_PER_ADDRESS_PER_SECOND_MAX) return false
    this.#taken++
    this.#byAddress.set(address, ofAddress + 1)
    return true
  }
}
