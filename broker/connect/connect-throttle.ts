/**
 * Owns when a new connection begins, so that whoever connects in a loop leaves others their turn: a CONNECT costs a
 * signature's check, a TLS handshake more. What one address opens beyond a burst begins at a steady pace, whatever becomes of
 * those before. One that ends without a CONNACK counts once more for each `CONNECT_GARBAGE_BYTES` it sent.
 *
 * Bounds: of one address `CONNECTS_PER_ADDRESS`, in all `CONNECTS_PER_SECOND_MAX`. One more is closed at once.
 */

import { CONNECTS_PER_ADDRESS, CONNECTS_PER_SECOND_MAX } from '../../platform/limits.ts'
import { Throttle } from '../../platform/throttle.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'

/** A connection that ends without a CONNACK counts once more for so many bytes it sent. */
export const CONNECT_GARBAGE_BYTES = 16 * 1024

export class ConnectThrottle {
  readonly #ofAll = new TokenBucket({ capacity: CONNECTS_PER_SECOND_MAX, perSecond: CONNECTS_PER_SECOND_MAX })
  readonly #ofAddress = new Throttle(CONNECTS_PER_ADDRESS)

  /**
   * In how many milliseconds a connection that came from `address` at `now` (milliseconds) may begin; it has been counted.
   * Undefined if it may not.
   */
  wait(now: number, address: string): number | undefined {
    const waitMs = this.#ofAll.tokens(now) < 1 ? undefined : this.#ofAddress.wait(now, address)
    if (waitMs !== undefined) this.#ofAll.take(now)
    return waitMs
  }

  /** A connection from `address` has ended without a CONNACK: what it sent was read for nothing, and has to be collected. */
  failed(now: number, address: string, bytes: number): void {
    const more = Math.floor(bytes / CONNECT_GARBAGE_BYTES)
    if (more > 0) this.#ofAddress.charge(now, address, more)
  }
}
