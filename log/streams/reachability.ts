/**
 * Owns whether the engine answers, as far as this process sees: what it does not answer is tried again until it does.
 *
 *   there --a request is not answered--> away --one is--> there
 *
 * Bound: between two tries of one request `RETRY_MS_MIN`, twice as long each time, up to `RETRY_MS_MAX`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../platform/logger.ts'
import { LogError } from '../log-error.ts'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000

export class Reachability {
  readonly #logger: Logger
  readonly #where: string
  #why: LogError | undefined
  #quiet = 0

  constructor(where: string, logger: Logger) {
    this.#where = where
    this.#logger = logger
  }

  /** Why nothing can be appended now; undefined while the engine answers. */
  get why(): LogError | undefined {
    return this.#why
  }

  /** Whether it was answered; if not, that is told, and some time has passed. Rejects with what is no matter of reaching it. */
  async tried(request: () => Promise<unknown>, signal: AbortSignal): Promise<boolean> {
    try {
      await request()
      this.#there()
      return true
    } catch (error) {
      if (!(error instanceof LogError && error.code === 'log-unreachable')) throw error
      if (signal.aborted) return false
      this.#away(error)
      const wait = Math.min(RETRY_MS_MIN * 2 ** this.#quiet++, RETRY_MS_MAX)
      await delay(wait, undefined, { signal }).catch(() => undefined)
      return false
    }
  }

  #away(error: LogError): void {
    if (this.#why === undefined)
      this.#logger.error(
        { err: error },
        `the log at ${this.#where} does not answer, so nothing is acknowledged: ${error.message}`,
      )
    this.#why = error
  }

  #there(): void {
    if (this.#why !== undefined) this.#logger.warn(`the log at ${this.#where} answers again`)
    this.#why = undefined
    this.#quiet = 0
  }
}
