/** Waits in tests: for what comes true by itself, never for a time that is hoped to be enough, and never for ever. */

import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'

/** Below the runner's own limit, so that what failed is said, and nothing goes on waiting behind it. */
const DEADLINE_MS = 120_000
/** What is in this process comes true within turns of its event loop; what is in another is asked less and less often. */
const TURNS = 100
const PAUSE_MS_MAX = 20

/** Waits until `condition` holds; rejects with its source, or what `awaited` says instead, when it does not come true within two minutes. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  awaited: () => string = () => `${condition}`,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  for (let looks = 1; !(await condition()); looks++) {
    if (performance.now() > deadline) throw new Error(`did not come true in two minutes: ${awaited()}`)
    await (looks <= TURNS ? turn() : pause(Math.min(looks - TURNS, PAUSE_MS_MAX)))
  }
}

/** What tells of each change of its state: packets or frames that come, an end. It is looked at then, and not between. */
export abstract class Changes {
  readonly #waiting = new Set<() => void>()

  /** What has come so far, for the error of a wait. */
  protected abstract came(): string

  change(): void {
    for (const look of this.#waiting) look()
  }

  /** Waits until `state` holds; rejects with `awaited`, and with what came instead, when it does not come true within two minutes. */
  async until(state: () => unknown, awaited = `${state}`): Promise<void> {
    const deadline = performance.now() + DEADLINE_MS
    while (!state()) {
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Error(`did not come true in two minutes: ${awaited}; what came: ${this.came()}`)
      await this.#changed(leftMs)
    }
  }

  #changed(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      // What can come no more, for nothing is open, is told by the runner at once.
      const timer = setTimeout(look, withinMs).unref()
      this.#waiting.add(look)
    })
  }
}

/** The last of what came, short enough to be read. */
export function lastOf(came: readonly string[]): string {
  return came.length === 0 ? 'nothing' : came.slice(-20).join(', ')
}
