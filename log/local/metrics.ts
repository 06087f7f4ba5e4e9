/** Owns what a local log measures of itself. */

import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../../platform/metrics.ts'

export class LogMetrics {
  readonly #entries: Counter
  readonly #commits: Counter
  readonly #bytesWritten: Counter
  readonly #removed: Counter
  readonly #bytes: Gauge
  readonly #full: Gauge

  constructor(registry: Metrics) {
    const registers = [registry]
    this.#entries = new Counter({ name: 'telltale_log_entries_total', help: 'Messages made durable', registers })
    this.#commits = new Counter({ name: 'telltale_log_commits_total', help: 'Group commits flushed', registers })
    this.#bytesWritten = new Counter({ name: 'telltale_log_written_bytes_total', help: 'Bytes of runs', registers })
    this.#removed = new Counter({ name: 'telltale_log_removed_commits_total', help: 'Removed by retention', registers })
    this.#bytes = new Gauge({ name: 'telltale_log_size_bytes', help: 'Bytes that the runs take on disk', registers })
    this.#full = new Gauge({ name: 'telltale_log_full', help: '1 while new messages are refused', registers })
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
