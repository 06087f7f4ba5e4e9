/**
 * Owns the order of one client's SUBSCRIBE and UNSUBSCRIBE packets among all it sends. What follows an UNSUBSCRIBE waits for it:
 * Aedes carries it out a turn later, and took away the subscription that a SUBSCRIBE right behind it had made. A SUBSCRIBE
 * waits until what is retained has been sent for the one before: the scans of a client that subscribes without end would be
 * without end, too.
 *
 *   open --SUBSCRIBE--> delivering --delivered--> open
 *                       delivering --SUBSCRIBE--> waiting --delivered--> open, and what waits is taken
 *                       delivering --UNSUBSCRIBE--> both --delivered--> unsubscribing
 *                                                   both --unsubscribed--> delivering, and what waits is taken
 *   open --UNSUBSCRIBE--> unsubscribing --unsubscribed--> open, and what waits is taken
 *
 * Bound: at most one turn's packets wait, for nothing is read meanwhile.
 */

import assert from 'node:assert/strict'
import type { Packet } from 'mqtt-packet'

type Mode = 'open' | 'delivering' | 'waiting' | 'unsubscribing' | 'both'

const NEXT: Readonly<Record<Mode, readonly Mode[]>> = {
  open: ['delivering', 'unsubscribing'],
  delivering: ['open', 'waiting', 'both'],
  waiting: ['open'],
  unsubscribing: ['open'],
  both: ['unsubscribing', 'delivering'],
}

export interface SubscribeOrderEvents {
  /** Hands a packet to Aedes. */
  readonly accept: (packet: Packet) => void
  /** Hands an UNSUBSCRIBE to Aedes; calls `done` when it is carried out. */
  readonly unsubscribe: (packet: Packet, done: () => void) => void
  /** What waited has been taken: more may be read. */
  readonly readOn: () => void
  /** Its CONNACK has been sent; before that Aedes keeps what comes in a queue of its own. */
  readonly isConnected: () => boolean
}

export class SubscribeOrder {
  readonly #events: SubscribeOrderEvents
  #mode: Mode = 'open'
  /** Packets wait, and nothing is to be read. Kept by `#enter`, for it is looked at for each packet. */
  isHolding = false
  #waiting: Packet[] = []

  constructor(events: SubscribeOrderEvents) {
    this.#events = events
  }

  take(packet: Packet): void {
    if (this.isHolding) {
      this.#waiting.push(packet)
    } else if (packet.cmd === 'subscribe' && this.#mode === 'delivering') {
      this.#enter('waiting')
      this.#waiting.push(packet)
    } else if (packet.cmd === 'subscribe') {
      this.#enter('delivering')
      this.#events.accept(packet)
    } else if (packet.cmd === 'unsubscribe' && this.#events.isConnected()) {
      this.#enter(this.#mode === 'delivering' ? 'both' : 'unsubscribing')
      this.#events.unsubscribe(packet, () => this.#unsubscribed())
    } else {
      this.#events.accept(packet)
    }
  }

  /** What is retained has been sent for the SUBSCRIBE that was taken last. */
  delivered(): void {
    if (this.#mode === 'delivering') this.#enter('open')
    else if (this.#mode === 'both') this.#enter('unsubscribing')
    else if (this.#mode === 'waiting') {
      this.#enter('open')
      this.#release()
    }
  }

  /** Aedes may say so again: that changes nothing. */
  #unsubscribed(): void {
    if (this.#mode !== 'unsubscribing' && this.#mode !== 'both') return
    this.#enter(this.#mode === 'both' ? 'delivering' : 'open')
    this.#release()
  }

  #enter(mode: Mode): void {
    assert(NEXT[this.#mode].includes(mode), `${this.#mode} is not followed by ${mode}`)
    this.#mode = mode
    this.isHolding = mode !== 'open' && mode !== 'delivering'
  }

  /** One of those that waited may make the rest wait again. */
  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const packet of waiting) this.take(packet)
    this.#events.readOn()
  }
}
