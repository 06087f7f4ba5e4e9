/**
 * Owns what one device is still to send of a recording. Always true: in the order of the recording. Bound: `ReplayFeed` gives no more than it
 * may.
 */

import type { Made } from '../faults/message-faults.ts'
import type { SimulatorSchemas } from '../messages/simulator-schemas.ts'
import { NO_BIRTH } from '../messages/wire-format.ts'
import type { ReplayMessage } from '../replay/replay-source.ts'
import type { Sending } from '../scenario/scenario.ts'
import type { Sends } from './sender.ts'

export class ReplaySender implements Sends {
  readonly sending: Sending
  readonly source: Sends['source']
  startAt = 0
  readonly #messages: ReplayMessage[] = []
  #hasEnded = false

  constructor(device: string, sending: Sending, schemas: SimulatorSchemas) {
    this.sending = sending
    this.source = {
      device,
      birth: () => NO_BIRTH,
      read: (topic, payload, receivedAt) => schemas.read(topic, payload, receivedAt),
    }
  }

  get queued(): number {
    return this.#messages.length
  }

  get isOver(): boolean {
    return this.#hasEnded && this.#messages.length === 0
  }

  add(message: ReplayMessage): void {
    this.#messages.push(message)
  }

  end(): void {
    this.#hasEnded = true
  }

  dueMs(): number {
    return this.#messages[0]?.dueMs ?? Number.POSITIVE_INFINITY
  }

  take(): Made {
    const message = this.#messages.shift()
    if (message === undefined) throw new RangeError('nothing is due')
    return { topic: message.topic, payload: message.payload, fault: undefined, isForbidden: false }
  }

  /** What a recording says is not changed. */
  befall(): void {}

  relieve(): void {}

  waiting(nowMs: number): number {
    let count = 0
    for (const { dueMs } of this.#messages) {
      if (dueMs >= nowMs) break
      count++
    }
    return count
  }
}
