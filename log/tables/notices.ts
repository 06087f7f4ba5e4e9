/**
 * Owns the newest notices of a local log: what a device is to be told though no message of it was set aside. They are committed
 * with the progress that they are of, and followed by whichever process has the broker.
 *
 * Bound: `NOTICES_MAX`; beyond, the oldest go. Losing: what nobody followed meanwhile is told to nobody; the ledger has counted it.
 */

import type { Clock } from '../../platform/clock.ts'
import type { NewNotice, Notice } from '../log.ts'
import type { Environment } from './environment.ts'
import type { SharedSignal } from './shared-signal.ts'

const NOTICES_MAX = 1_000

export class Notices {
  readonly #environment: Environment
  readonly #clock: Clock
  /** Told when notices were committed, among other things. */
  readonly #changed: SharedSignal
  #isClosed = false

  constructor(environment: Environment, changed: SharedSignal, clock: Clock) {
    this.#environment = environment
    this.#changed = changed
    this.#clock = clock
  }

  /** Only within a transaction. */
  add(notices: readonly NewNotice[]): void {
    const { notices: kept } = this.#environment
    const at = this.#clock.now()
    let last = this.#last()
    for (const notice of notices) {
      last++
      kept.put(last, { ...notice, at } satisfies Notice)
      kept.remove(last - NOTICES_MAX)
    }
  }

  /** Those that are committed from now on, until `signal` aborts or the log is closed. */
  async *follow(signal: AbortSignal): AsyncGenerator<Notice> {
    const { root, notices: kept } = this.#environment
    signal.addEventListener('abort', () => this.#changed.raise(), { once: true })
    root.resetReadTxn()
    let last = this.#last()
    let quiet = 0
    while (!signal.aborted && !this.#isClosed) {
      const seen = this.#changed.raised
      root.resetReadTxn()
      const found = [...kept.getRange({ start: last + 1 })]
      for (const { key, value } of found) {
        last = key
        yield value as Notice
      }
      if (found.length === 0) await this.#changed.waitOrLook(seen, quiet++)
      else quiet = 0
    }
  }

  close(): void {
    this.#isClosed = true
    this.#changed.raise()
  }

  #last(): number {
    for (const key of this.#environment.notices.getKeys({ reverse: true, limit: 1 })) return key
    return 0
  }
}
