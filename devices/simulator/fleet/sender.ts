/**
 * Owns when one device sends what of one stream: an open-loop schedule, which does not slow down when the platform does.
 *
 * Always true: message k is due at `firstMs + k * everyMs` (of a burst: with the last of it), and says what was measured then, however much
 * later it is sent; so what waits is a number, and takes no memory. What is due while the device is mute is not measured, and not due.
 * With `everyMs` 0 a message is due whenever there is room for it.
 */

import { isUnderWay, type Made, MessageFaults } from '../faults/message-faults.ts'
import type { Source } from '../messages/source.ts'
import type { NumberedFault } from '../scenario/befallen.ts'
import type { Sending } from '../scenario/scenario.ts'
import type { Random } from '../signals/random.ts'

/** What one device sends, as it is taken. Times are milliseconds since the fleet began. */
export interface Sends {
  readonly sending: Sending
  /** Reads what was sent as a platform would. */
  readonly source: Pick<Source, 'device' | 'birth' | 'read'>
  /** Milliseconds since 1970 of what is measured when the fleet begins. */
  startAt: number
  /** When the next message is due; Infinity if there is none, or none yet. */
  dueMs(nowMs: number): number
  /** The next message, which was due at `dueMs`. */
  take(dueMs: number, nowMs: number): Made
  /** From now on this befalls it, too. */
  befall(fault: NumberedFault): void
  /** And from now on no more. */
  relieve(number: number): void
  /** How many are due and not sent at a moment. */
  waiting(nowMs: number): number
  /** There will be no more. */
  readonly isOver: boolean
}

export interface SenderOptions {
  readonly device: string
  readonly sending: Sending
  /** When its first message is due, after the fleet began. */
  readonly firstMs: number
  /** Without a schedule: whether times go by the clock, or by a millisecond a message, which is the same each time. */
  readonly isTimedByClock: boolean
}

export class Sender implements Sends {
  readonly isOver = false
  readonly sending: Sending
  readonly source: Source
  readonly #options: SenderOptions
  readonly #faults: MessageFaults
  readonly #mutes: NumberedFault[]
  /** Milliseconds since 1970 of what is measured when the fleet begins. */
  startAt = 0
  /** Messages that were sent, or left out. */
  #taken = 0

  constructor(options: SenderOptions, deps: { source: Source; faults: readonly NumberedFault[]; random: Random }) {
    this.#options = options
    this.sending = options.sending
    this.source = deps.source
    const { source, random, faults } = deps
    const { device, sending } = options
    this.#faults = new MessageFaults(faults, { source, device, sending, random })
    this.#mutes = faults.filter(({ fault }) => fault.kind === 'mute')
  }

  /** When its next message is due, after the fleet began; Infinity: never, it is mute from now on. `nowMs` is where the clock is. */
  dueMs(nowMs: number): number {
    const { sending, firstMs } = this.#options
    if (sending.everyMs === 0) return nowMs < firstMs ? firstMs : this.#muteUntil(nowMs)
    for (;;) {
      const dueMs = this.#dueOf(this.#taken)
      const muteUntil = this.#muteUntil(dueMs)
      if (muteUntil === dueMs || muteUntil === Number.POSITIVE_INFINITY) return muteUntil
      this.#taken++
    }
  }

  /** The next message, which was due at `dueMs`. */
  take(dueMs: number, nowMs: number): Made {
    const { sending, isTimedByClock, firstMs } = this.#options
    const { startAt } = this
    const index = this.#taken++
    if (sending.everyMs === 0)
      return this.#faults.make(nowMs, startAt + (isTimedByClock ? nowMs : Math.max(0, firstMs) + index))
    return this.#faults.make(dueMs, startAt + firstMs + index * sending.everyMs)
  }

  /** From now on this befalls it, too. */
  befall(fault: NumberedFault): void {
    this.#faults.add(fault)
    if (fault.fault.kind === 'mute') this.#mutes.push(fault)
  }

  relieve(number: number): void {
    this.#faults.remove(number)
    const at = this.#mutes.findIndex((mute) => mute.number === number)
    if (at >= 0) this.#mutes.splice(at, 1)
  }

  /** How many are due and not sent at a moment. */
  waiting(nowMs: number): number {
    const { sending } = this.#options
    if (sending.everyMs === 0) return 0
    let count = 0
    for (let index = this.#taken; this.#dueOf(index) < nowMs; index++) {
      const dueMs = this.#dueOf(index)
      if (this.#muteUntil(dueMs) === dueMs) count++
    }
    return count
  }

  #dueOf(index: number): number {
    const { sending, firstMs } = this.#options
    const { burst, everyMs } = sending
    return firstMs + (Math.floor(index / burst) * burst + burst - 1) * everyMs
  }

  #muteUntil(nowMs: number): number {
    const mute = this.#mutes.find(({ fault }) => isUnderWay(fault, nowMs))
    return mute === undefined ? nowMs : mute.fault.atMs + mute.fault.forMs
  }
}
