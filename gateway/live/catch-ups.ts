/**
 * Owns whose turn it is among the apps that are sent the past: one step each, round and round, for a moment at a time, so that
 * live readings and other work wait for no more than that, however many apps there are.
 */

/** How long apps are sent the past before other work gets its turn; at least one step. */
const LIVE_PAST_MS_PER_TURN = 2

export interface CatchingUp {
  /** Whether there is more to do at once. */
  step(): boolean
}

export class CatchUps {
  readonly #waiting = new Set<CatchingUp>()
  #isRunning = false

  /** It has something to send. */
  add(app: CatchingUp): void {
    this.#waiting.add(app)
    if (this.#isRunning) return
    this.#isRunning = true
    setImmediate(this.#run)
  }

  readonly #run = (): void => {
    const until = performance.now() + LIVE_PAST_MS_PER_TURN
    for (const app of this.#waiting) {
      this.#waiting.delete(app)
      // At the end of those that the loop is going through.
      if (app.step()) this.#waiting.add(app)
      if (performance.now() >= until) break
    }
    this.#isRunning = this.#waiting.size > 0
    if (this.#isRunning) setImmediate(this.#run)
  }
}
