/**
 * Owns the messages of one connection that wait for the rate of their device: they are acknowledged later, the client is read
 * from no further than the receive window, and TCP tells it to be slower.
 *
 *   passing --the rate is used up--> waiting --time, one message after the other--> passing
 *                                       |--the connection ends--> ended: what waits is abandoned
 *
 * Always true: messages pass in the order they came; what follows in the same bytes, such as a PINGREQ, waits for none of them.
 * Bound: that of `ReceiveWindow`, which counts what is held back apart, so that others do not wait for it.
 * Losing: with the connection what waits is gone. Of QoS > 0 the client has it still, for it was not acknowledged.
 */

import type { ReceiveWindow } from '../../intake/receive-window.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Rate } from './rate.ts'

export interface Waiting {
  readonly bytes: number
  readonly pass: () => void
  /** Its connection has ended. */
  readonly abandon: () => void
}

export interface HeldBackDependencies {
  /** Its client id. */
  readonly client: string
  readonly receiveWindow: ReceiveWindow
  readonly clock: Clock
}

export class HeldBack {
  readonly rate: Rate
  readonly client: string
  readonly #receiveWindow: ReceiveWindow
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  #hasEnded = false

  constructor(rate: Rate, { client, receiveWindow, clock }: HeldBackDependencies) {
    this.rate = rate
    this.client = client
    this.#receiveWindow = receiveWindow
    this.#clock = clock
  }

  /** Lets a message pass, now or when it is time; whether it waits. */
  take(message: Waiting): boolean {
    if (this.#hasEnded) message.abandon()
    else if (this.passes(message.bytes)) message.pass()
    else {
      this.#waiting.push(message)
      this.#receiveWindow.holdBack(message.bytes)
      this.#wait()
      return true
    }
    return false
  }

  /** Whether a message of so many bytes need not wait; if so, it has been counted. */
  passes(bytes: number): boolean {
    return !this.#hasEnded && this.#waiting.length === 0 && this.rate.passes(this.#clock.now(), bytes)
  }

  /** Its connection has ended. */
  end(): void {
    this.#hasEnded = true
    clearTimeout(this.#timer)
    for (const message of this.#waiting.splice(0)) {
      message.abandon()
      this.#receiveWindow.letPass(message.bytes)
    }
  }

  #wait(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#passSome()
      if (this.#waiting.length > 0) this.#wait()
    }, this.rate.waitMs(this.#clock.now()))
  }

  #passSome(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.rate.passes(this.#clock.now(), next.bytes)) return
      this.#waiting.shift()
      next.pass()
      // More may be read now, and comes behind it.
      this.#receiveWindow.letPass(next.bytes)
    }
  }
}
