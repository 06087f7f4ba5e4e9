/**
 * Owns the newest notices of a local log: what a device is to be told though no message of it was set aside. They are committed
 * with the progress that they are of, and followed by whichever process has the broker.
 *
 * Bound: `NOTICES_MAX`; beyond, the oldest go. Losing: what nobody followed meanwhile is told to nobody; the ledger has counted it.
 */

import type { Clock } from '../../platform/clock.ts'
import type { NewNotice, Notice } from '../log.ts'
import type { Environment } from './environment.ts'
import { Signal } from './signal.ts'

const NOTICES_MAX = 1_000
/** How often those of another process are looked for. They are told once in a while, so there is no hurry. */
const NOTICES_POLL_MS = 500

export class Notices {
  readonly #environment: Environment
  readonly #clock: Clock
  /** Raised when notices were committed by this process. */
  readonly #committed = new Signal()
  #isClosed = false

  constructor(environment: Environment, clock: Clock) {
    this.#environment = environment
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

  /** Those that `add` was given are committed. */
  committed(): void {
    this.#committed.raise()
  }

  /** Those that are committed from now on, until `signal` aborts or the log is closed. */
  async *follow(signal: AbortSignal): AsyncGenerator<Notice> {
    const { root, notices: kept } = this.#environment
    signal.addEventListener('abort', () => this.#committed.raise(), { once: true })
    root.resetReadTxn()
    let last = this.#last()
    while (!signal.aborted && !this.#isClosed) {
      const seen = this.#committed.raised
      root.resetReadTxn()
      const found = [...kept.getRange({ start: last + 1 })]
      for (const { key, value } of found) {
        last = key
        yield value as Notice
      }
      if (found.length === 0) await this.#committed.wait(seen, NOTICES_POLL_MS)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#committed.raise()
  }

  #last(): number {
    for (const key of this.#environment.notices.getKeys({ reverse: true, limit: 1 })) return key
    return 0
  }
}
