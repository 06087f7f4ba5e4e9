/**
 * Owns the life of the long-lived parts of a process.
 *
 *   idle --start()--> running --stop()--> stopping --> stopped
 *
 * Always true: parts start in the order given and stop in the reverse order; a part that fails to start is stopped, and
 * those before it; `stop()` may be called any number of times and resolves once. Bound: a drain lasts at most
 * `STOP_DEADLINE_MS`; what has not stopped by then is named in the error.
 */

import { STOP_DEADLINE_MS } from './limits.ts'
import type { Logger } from './logger.ts'

/** One long-lived part: `stop()` is idempotent, takes no new work, drains, closes. */
export interface Part {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
}

export class Lifecycle {
  readonly #logger: Logger
  readonly #running: Part[] = []
  #stopped: Promise<void> | undefined

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Starts `part` after all that were started before it. A part that fails has the earlier ones stopped. */
  async start(part: Part): Promise<void> {
    // Before it starts: a part that fails half-way has what it did start stopped as well.
    this.#running.push(part)
    try {
      await part.start()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#logger.debug({ part: part.name }, 'started')
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    let current = ''
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const message = () => `${current} did not stop within ${STOP_DEADLINE_MS} ms`
      timer = setTimeout(() => reject(new Error(message())), STOP_DEADLINE_MS)
    })
    try {
      for (let part = this.#running.pop(); part; part = this.#running.pop()) {
        current = part.name
        await Promise.race([part.stop(), late])
        this.#logger.debug({ part: part.name }, 'stopped')
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * Resolves with the name of the first SIGTERM or SIGINT. A second signal ends the process at once (status 130),
 * for the person who has waited long enough.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let seen = false
    const onSignal = (signal: NodeJS.Signals) => {
      if (seen) process.exit(130)
      seen = true
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
