/**
 * Owns how many messages of QoS > 0 a client of MQTT 5 has under way at once: no more than the Receive Maximum that it said (section
 * 4.9). What is more waits until one of those is done with.
 *
 * Always true: messages leave in the order they came, with the packet ids they have; what is done with was sent.
 * Bound: `OUTBOUND_BYTES_MAX` of payloads, which the caller looks at, and the ids of `InFlight` and of `PersistentSessions`.
 */

import type { PublishPacket } from 'aedes'

/** Messages sent are cut off the front of the list when there are so many. */
const SENT_MAX = 256

/** A PUBLISH of QoS > 0, as Aedes writes it. */
export type Sent = PublishPacket & { readonly messageId?: number }

export class SendWindow {
  readonly #max: number
  readonly #underWay = new Set<number>()
  readonly #waiting: Sent[] = []
  /** Messages at the front of the list that were sent. */
  #sent = 0
  /** Payload bytes of those that wait. */
  waitingBytes = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Whether the message may be sent now; if not, it waits. */
  take(message: Sent): boolean {
    const id = message.messageId ?? 0
    if (this.#underWay.has(id)) return true
    if (this.#underWay.size < this.#max && this.#waiting.length === this.#sent) {
      this.#underWay.add(id)
      return true
    }
    this.#waiting.push(message)
    this.waitingBytes += message.payload.length
    return false
  }

  /** The client is done with a message, or was not sent it; `send` is called with what may be sent now. */
  release(id: number, send: (message: Sent) => void): void {
    if (!this.#underWay.delete(id)) return
    for (let next = this.#waiting[this.#sent]; next !== undefined; next = this.#waiting[this.#sent]) {
      if (this.#underWay.size >= this.#max) break
      this.#sent++
      this.waitingBytes -= next.payload.length
      this.#underWay.add(next.messageId ?? 0)
      send(next)
    }
    if (this.#sent < SENT_MAX && this.#sent < this.#waiting.length) return
    this.#waiting.splice(0, this.#sent)
    this.#sent = 0
  }
}
