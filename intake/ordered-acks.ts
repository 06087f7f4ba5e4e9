/**
 * Owns the order in which the messages of one connection are acknowledged: that in which they came (MQTT-4.6.0-2 and -3). What is dropped is
 * done with at once, what goes to the log when it is durable, a status when its record is: an answer waits for those before it.
 *
 * Bound: what the connection may have unacknowledged, which is its owner's.
 */

export type Done = (error?: Error | null) => void

interface Answer {
  readonly done: Done
  isReady: boolean
  error: Error | null | undefined
}

/** Answers given are cut off the front of the list when there are so many. */
const GIVEN_MAX = 256

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
