/**
 * Owns whether the engine answers, as far as this process sees: what it does not answer is tried again until it does.
 *
 *   there --somebody is not answered--> away --all who were not are--> there
 *
 * Always true: one that is answered says nothing of another: of a stream whose leader is gone, the others may go on. Bounds: who asks, and between
 * two tries of one request `RETRY_MS_MIN`, twice as long each time, up to `RETRY_MS_MAX`.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../../platform/logger.ts'
import { LogError } from '../log-error.ts'

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 2_000

interface Unanswered {
  readonly why: LogError
  readonly tries: number
}

export class Reachability {
  readonly #logger: Logger
  readonly #where: string
  /** By who asked. */
  readonly #unanswered = new Map<object, Unanswered>()

  constructor(where: string, logger: Logger) {
    this.#where = where
    this.#logger = logger
  }

  /** Why nothing can be relied on to be appended now; undefined while all are answered. */
  get why(): LogError | undefined {
    for (const { why } of this.#unanswered.values()) return why
    return undefined
  }

  /** Whether `who` was answered; if not, that is told, and some time has passed. Rejects with what is no matter of reaching the engine. */
  async tried(who: object, request: () => Promise<unknown>, signal: AbortSignal): Promise<boolean> {
    try {
      await request()
    } catch (error) {
      if (error instanceof LogError && error.code === 'log-unreachable' && !signal.aborted)
        await this.#wait(who, error, signal)
      else this.#forget(who)
      if (!(error instanceof LogError && error.code === 'log-unreachable')) throw error
      return false
    }
    this.#forget(who)
    return true
  }

  async #wait(who: object, why: LogError, signal: AbortSignal): Promise<void> {
    if (this.#unanswered.size === 0)
      this.#logger.error(
        { err: why },
        `the log at ${this.#where} does not answer, so nothing is acknowledged: ${why.message}`,
      )
    const tries = this.#unanswered.get(who)?.tries ?? 0
    this.#unanswered.set(who, { why, tries: tries + 1 })
    await delay(Math.min(RETRY_MS_MIN * 2 ** tries, RETRY_MS_MAX), undefined, { signal }).catch(() => undefined)
    // Whoever asks no more is not waited for.
    if (signal.aborted) this.#forget(who)
  }

  #forget(who: object): void {
    if (this.#unanswered.delete(who) && this.#unanswered.size === 0)
      this.#logger.warn(`the log at ${this.#where} answers again`)
  }
}
