/**
 * Owns what waits for its acknowledgement: how much it is, by client and in total, which makes the broker stop reading from a
 * client before its messages fill the memory; and the order of the acknowledgements, which is that of the messages (MQTT-4.6.0-2 and -3): an
 * answer waits for those before it.
 *
 * Bounds: `HELD_MESSAGES_PER_CLIENT_MAX`, `HELD_BYTES_PER_CLIENT_MAX`, and over all clients `HELD_BYTES_MAX`. Full: the
 * client is not read from (TCP tells it) until a message is released. Nothing is lost. What waits for its device's rate
 * (`HeldBack`) is counted with the client's, and over all clients apart: with `HELD_BACK_BYTES_MAX` of it, who has some is full.
 */

import assert from 'node:assert/strict'
import { HELD_BYTES_MAX } from '../platform/limits.ts'

/** Messages of one client that wait to be durable; at so many its socket is not read, until one is. */
export const HELD_MESSAGES_PER_CLIENT_MAX = 1_000
/** Bytes of those messages. */
const HELD_BYTES_PER_CLIENT_MAX = 512 * 1024
/** Bytes of the messages of all clients that wait for their device's rate; at so many, none that has some is read from. */
const HELD_BACK_BYTES_MAX = 64 * 1024 * 1024
/** What a waiting message costs beside its payload, about. */
const HELD_MESSAGE_BYTES = 256

/** Of all clients. */
export class ReceiveWindowTotal {
  bytes = 0
  heldBackBytes = 0
  readonly waiting = new Set<ReceiveWindow>()

  release(bytes: number): void {
    this.bytes -= bytes
    assert(this.bytes >= 0, 'no more is released than was held, in all')
    if (this.waiting.size === 0 || this.bytes >= HELD_BYTES_MAX) return
    const all = [...this.waiting]
    this.waiting.clear()
    for (const receiveWindow of all) receiveWindow.reader?.read()
  }
}

/** Of one client. */
export class ReceiveWindow {
  readonly #total: ReceiveWindowTotal
  #messages = 0
  #bytes = 0
  #heldBack = 0
  #waits = false
  /** Reads on when there is room again after `waitForRoom`. */
  reader: { read(): void } | undefined

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

  /** Holds messages with so many bytes of payload in all. */
  hold(payloadBytes: number, messages = 1): void {
    const bytes = payloadBytes + messages * HELD_MESSAGE_BYTES
    this.#messages += messages
    this.#bytes += bytes
    this.#total.bytes += bytes
  }

  release(payloadBytes: number, messages = 1): void {
    const bytes = payloadBytes + messages * HELD_MESSAGE_BYTES
    this.#messages -= messages
    this.#bytes -= bytes
    this.#makeRoom()
    this.#total.release(bytes)
  }

  /** A message waits for its device's rate, which may take long: others must not wait for that. */
  holdBack(payloadBytes: number): void {
    const bytes = payloadBytes + HELD_MESSAGE_BYTES
    this.#messages++
    this.#heldBack++
    this.#bytes += bytes
    this.#total.heldBackBytes += bytes
  }

  letPass(payloadBytes: number): void {
    const bytes = payloadBytes + HELD_MESSAGE_BYTES
    this.#messages--
    this.#heldBack--
    this.#bytes -= bytes
    this.#total.heldBackBytes -= bytes
    assert(this.#heldBack >= 0 && this.#total.heldBackBytes >= 0, 'no more passes than was held back')
    this.#makeRoom()
  }

  #makeRoom(): void {
    assert(this.#messages >= 0 && this.#bytes >= 0, 'no more is released than was held')
    if (!this.#waits || this.#isFullHere()) return
    this.#waits = false
    this.reader?.read()
  }

  #isFullHere(): boolean {
    return (
      this.#messages >= HELD_MESSAGES_PER_CLIENT_MAX ||
      this.#bytes >= HELD_BYTES_PER_CLIENT_MAX ||
      (this.#heldBack > 0 && this.#total.heldBackBytes >= HELD_BACK_BYTES_MAX)
    )
  }
}

export type Done = (error?: Error | null) => void

interface Answer {
  readonly done: Done
  isReady: boolean
  error: Error | null | undefined
}

/** Answers given are cut off the front of the list when there are so many. */
const GIVEN_MAX = 256

/** Of one connection. Bound: what it may have unacknowledged, which is its owner's. */
export class OrderedAcks {
  readonly #acks: Answer[] = []
  /** Answers at the front of the list that were given. */
  #given = 0

  /** Calls `done` once what this returns was called, and all before it. */
  enter(done: Done): Done {
    const answer: Answer = { done, isReady: false, error: undefined }
    this.#acks.push(answer)
    return (error) => {
      answer.isReady = true
      answer.error = error
      this.#give()
    }
  }

  #give(): void {
    for (let next = this.#acks[this.#given]; next?.isReady; next = this.#acks[this.#given]) {
      this.#given++
      next.done(next.error)
    }
    if (this.#given < GIVEN_MAX && this.#given < this.#acks.length) return
    this.#acks.splice(0, this.#given)
    this.#given = 0
  }
}
