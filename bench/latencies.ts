/** Owns the latencies of one stretch of time, as a histogram: memory does not grow with their number. */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

const US_PER_MS = 1000

export interface Percentiles {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram()

  add(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * US_PER_MS)))
  }

  get percentiles(): Percentiles {
    return {
      p50Ms: this.#histogram.percentile(50) / US_PER_MS,
      p99Ms: this.#histogram.percentile(99) / US_PER_MS,
      maxMs: this.#histogram.max / US_PER_MS,
    }
  }
}
