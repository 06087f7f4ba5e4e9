/**
 * Owns filling the table of last readings from the store: once, at the start. A store that is down does not hold the
 * gateway up: it is said, and tried again until it has answered.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import { LATEST_WARM_UP_MS_MAX } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { History } from '../schemas/history.ts'
import type { Latest } from './latest.ts'

/** Series asked of the store to fill the table at start. */
const LATEST_SEED_MAX = 100_000
/** How long after a failed attempt the store is asked again to fill the table. */
const LATEST_SEED_RETRY_MS = 5_000

export class Seed {
  readonly #latest: Latest
  readonly #history: Pick<History, 'latest'>
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #stopping = new AbortController()

  constructor(dependencies: {
    readonly latest: Latest
    readonly history: Pick<History, 'latest'>
    readonly clock: Clock
    readonly logger: Logger
  }) {
    this.#latest = dependencies.latest
    this.#history = dependencies.history
    this.#clock = dependencies.clock
    this.#logger = dependencies.logger
  }

  /** Resolves when the store has answered, when it failed once, or after `LATEST_WARM_UP_MS_MAX`. Never rejects. */
  async start(): Promise<void> {
    const first = this.#attempt().then((done) => {
      if (!done) void this.#retry()
    })
    const { signal } = this.#stopping
    await Promise.race([first, delay(LATEST_WARM_UP_MS_MAX, undefined, { signal, ref: false }).catch(() => undefined)])
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
  }

  async #retry(): Promise<void> {
    const { signal } = this.#stopping
    do {
      await delay(LATEST_SEED_RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined)
    } while (!signal.aborted && !(await this.#attempt()))
  }

  async #attempt(): Promise<boolean> {
    try {
      const readings = await this.#history.latest([{}], LATEST_SEED_MAX)
      const now = this.#clock.now()
      for (const reading of readings) this.#latest.seed(reading, now)
      return true
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        this.#logger.warn(
          { reason: messageOf(error), retryMs: LATEST_SEED_RETRY_MS },
          'the store could not tell the last readings: "latest" and /v1/devices know only what arrives, until it can',
        )
      }
      return false
    }
  }
}
