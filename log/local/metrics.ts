/** Owns what a local log measures of itself. */

import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../../platform/metrics.ts'
import type { DeadLetterCounts, Ledger } from '../log.ts'

/** The books in one snapshot. */
export interface BookCounts {
  readonly ledger: Ledger
  readonly deadLetters: DeadLetterCounts
}

export class LogMetrics {
  readonly #entries: Counter
  readonly #commits: Counter
  readonly #bytesWritten: Counter
  readonly #removed: Counter
  readonly #bytes: Gauge
  readonly #full: Gauge

  /** `books`: undefined while the log is not open. */
  constructor(registry: Metrics, books: () => BookCounts | undefined) {
    const registers = [registry]
    this.#entries = new Counter({ name: 'telltale_log_entries_total', help: 'Messages made durable', registers })
    this.#commits = new Counter({ name: 'telltale_log_commits_total', help: 'Group commits flushed', registers })
    this.#bytesWritten = new Counter({ name: 'telltale_log_written_bytes_total', help: 'Bytes of runs', registers })
    this.#removed = new Counter({ name: 'telltale_log_removed_commits_total', help: 'Removed by retention', registers })
    this.#bytes = new Gauge({ name: 'telltale_log_size_bytes', help: 'Bytes that the runs take on disk', registers })
    this.#full = new Gauge({ name: 'telltale_log_full', help: '1 while new messages are refused', registers })
    observeBooks(registry, books)
  }

  committed(bytes: number, entries: number, total: number): void {
    this.#entries.inc(entries)
    this.#commits.inc()
    this.#bytesWritten.inc(bytes)
    this.#bytes.set(total)
  }

  full(isFull: boolean): void {
    this.#full.set(isFull ? 1 : 0)
  }

  retained(removed: number, total: number): void {
    this.#removed.inc(removed)
    this.#bytes.set(total)
  }
}

/** One metric for all that must balance, so that whoever reads it gets one snapshot. */
function observeBooks(registry: Metrics, books: () => BookCounts | undefined): void {
  const registers = [registry]
  new Gauge({
    name: 'telltale_ledger_messages',
    help: 'The books: accepted = stored + dead_lettered + pending, in one snapshot',
    labelNames: ['state'],
    registers,
    collect() {
      const { ledger } = books() ?? {}
      if (ledger === undefined) return
      this.set({ state: 'accepted' }, ledger.accepted)
      this.set({ state: 'stored' }, ledger.stored)
      this.set({ state: 'dead_lettered' }, ledger.deadLettered)
      this.set({ state: 'pending' }, ledger.pending)
    },
  })
  new Gauge({
    name: 'telltale_dead_letters',
    help: 'What became of the messages ever set aside: dead_lettered = held + replayed + purged + expired',
    labelNames: ['state'],
    registers,
    collect() {
      const { deadLetters } = books() ?? {}
      if (deadLetters === undefined) return
      for (const state of ['held', 'replayed', 'purged', 'expired'] as const) this.set({ state }, deadLetters[state])
    },
  })
  new Gauge({
    name: 'telltale_dead_letters_held_bytes',
    help: 'What the dead letters held are counted as',
    registers,
    collect() {
      this.set(books()?.deadLetters.heldBytes ?? 0)
    },
  })
}
