/**
 * Owns the count of messages that wait for their acknowledgement, by client and in total: what makes the broker stop
 * reading from a client before its messages fill the memory.
 *
 * Bounds: `HELD_MESSAGES_PER_CLIENT_MAX`, `HELD_BYTES_PER_CLIENT_MAX`, and over all clients `HELD_BYTES_MAX`. Full: the
 * client is not read from (TCP tells it) until a message is released. Nothing is lost.
 */

import assert from 'node:assert/strict'
import { HELD_BYTES_MAX } from '../../platform/limits.ts'

/** Messages of one client that wait to be durable; at so many its socket is not read, until one is. */
export const HELD_MESSAGES_PER_CLIENT_MAX = 1_000
/** Bytes of those messages. */
const HELD_BYTES_PER_CLIENT_MAX = 512 * 1024
/** What a waiting message costs beside its payload, about. */
const HELD_MESSAGE_BYTES = 256

/** Of all clients. */
export class ReceiveWindowTotal {
  bytes = 0
  readonly waiting = new Set<ReceiveWindow>()

  release(bytes: number): void {
    this.bytes -= bytes
    assert(this.bytes >= 0, 'no more is released than was held, in all')
    if (this.waiting.size === 0 || this.bytes >= HELD_BYTES_MAX) return
    const all = [...this.waiting]
    this.waiting.clear()
    for (const receiveWindow of all) receiveWindow.onRoom()
  }
}

/** Of one client. */
export class ReceiveWindow {
  readonly #total: ReceiveWindowTotal
  #messages = 0
  #bytes = 0
  #waits = false
  /** Called when there is room again after `waitForRoom`. */
  onRoom: () => void = () => undefined

  constructor(total: ReceiveWindowTotal) {
    this.#total = total
  }

  get isFull(): boolean {
    return this.#isFullHere() || this.#total.bytes >= HELD_BYTES_MAX
  }

  waitForRoom(): void {
    if (this.#isFullHere()) this.#waits = true
    else this.#total.waiting.add(this)
  }

  hold(payloadBytes: number): void {
    const bytes = payloadBytes + HELD_MESSAGE_BYTES
    this.#messages++
    this.#bytes += bytes
    this.#total.bytes += bytes
  }

  release(payloadBytes: number): void {
    const bytes = payloadBytes + HELD_MESSAGE_BYTES
    this.#messages--
    this.#bytes -= bytes
    assert(this.#messages >= 0 && this.#bytes >= 0, 'no more is released than was held')
    if (this.#waits && !this.#isFullHere()) {
      this.#waits = false
      this.onRoom()
    }
    this.#total.release(bytes)
  }

  #isFullHere(): boolean {
    return this.#messages >= HELD_MESSAGES_PER_CLIENT_MAX || this.#bytes >= HELD_BYTES_PER_CLIENT_MAX
  }
}
