/**
 * Owns the order in which the broker does work that one client could make without end: reading more than a turn's bytes,
 * and beginning a connection. Each has its turn, round and round; every `TURNS_MS` whoever has just sent a little goes
 * first. So what one client sends, or how often it connects, does not make another wait.
 *
 * Bound: a connection waits in one place at most. Nothing is dropped.
 */

/** How long turns are taken one after the other before those go first that have just sent something. */
const TURNS_MS = 0.5

export interface Waiting {
  /** Does a turn's work; waits for another turn if there is more. Says so if most of the work comes right after it. */
  takeTurn(): 'work follows' | undefined
}

export class FairShare {
  /** Whose turn is next comes first. */
  readonly #waiting = new Set<Waiting>()
  #isScheduled = false

  wait(waiting: Waiting): void {
    this.#waiting.add(waiting)
    this.#schedule()
  }

  /** Waits for a turn from `ms` milliseconds on. */
  rest(waiting: Waiting, ms: number): void {
    setTimeout(() => this.wait(waiting), ms)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#take())
  }

  #take(): void {
    this.#isScheduled = false
    const until = performance.now() + TURNS_MS
    // Who waits for another turn comes up again at the end of this loop.
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting)
      if (waiting.takeTurn() !== undefined || performance.now() >= until) break
    }
    if (this.#waiting.size > 0) this.#schedule()
  }
}
