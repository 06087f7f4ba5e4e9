/**
 * Owns how much of the broker's time one client may take while others are connected: a share of it. With turns alone, each
 * step of a message from socket to disk and back waited for a turn of whoever sends without end. One that rests after its
 * share leaves the thread idle for the others, nearly as if it were not there. What a packet costs behind the broker counts,
 * too.
 *
 * Losing: nothing; what the client sends waits in its socket, and TCP tells it. Bounds: a new connection has
 * `ALLOWANCE_FIRST_MS`, and may save up to `ALLOWANCE_MS`, enough for the largest payload; no turn counts as longer than the
 * former, so that nobody rests for a collection of garbage.
 */

import { ALLOWANCE_BYTES_PER_MS, ALLOWANCE_FIRST_MS, ALLOWANCE_MS, ALLOWANCE_PACKET_MS } from '../../platform/limits.ts'

/** The part of the broker's time that one client may take while others are connected. */
export const ALLOWANCE_SHARE = 1 / 8

export interface Work {
  readonly tookMs: number
  readonly packets: number
  readonly bytes: number
}

export class CpuQuota {
  #ms = ALLOWANCE_FIRST_MS
  #at: number

  constructor(now: number) {
    this.#at = now
  }

  /** Charges for work that ended at `now`, milliseconds of a clock that does not jump. Returns how long to rest. */
  charge(now: number, { tookMs, packets, bytes }: Work): number {
    const behindMs = packets * ALLOWANCE_PACKET_MS + bytes / ALLOWANCE_BYTES_PER_MS
    const saved = Math.min(ALLOWANCE_MS, this.#ms + (now - this.#at) * ALLOWANCE_SHARE)
    this.#ms = saved - Math.min(ALLOWANCE_FIRST_MS, tookMs) - behindMs
    this.#at = now
    return Math.max(0, -this.#ms / ALLOWANCE_SHARE)
  }
}
