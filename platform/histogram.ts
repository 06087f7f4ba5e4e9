/**
 * Owns a histogram for what happens to every message: an observation adds to plain numbers, and Prometheus is answered from
 * them. prom-client's own takes a microsecond for each.
 */

import type { Metrics, MetricValue } from './metrics.ts'

export interface HistogramOptions {
  readonly name: string
  readonly help: string
  /** Upper bounds, rising. */
  readonly buckets: readonly number[]
}

export class Histogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #buckets: readonly number[]
  /** One more than there are buckets: for what is larger than all. */
  readonly #counts: number[]
  #sum = 0

  constructor({ name, help, buckets }: HistogramOptions, metrics: Metrics) {
    this.name = name
    this.help = help
    this.#buckets = buckets
    this.#counts = new Array<number>(buckets.length + 1).fill(0)
    // What the registry asks of a metric is `name` and `get`; its types want all of prom-client's own.
    metrics.registerMetric(this as never)
  }

  /** The same value so many times. */
  observe(value: number, times = 1): void {
    const buckets = this.#buckets
    let at = 0
    while (at < buckets.length && value > (buckets[at] as number)) at++
    this.#counts[at] = (this.#counts[at] ?? 0) + times
    this.#sum += value * times
  }

  /** As prom-client's histograms answer. */
  async get() {
    const values: MetricValue[] = []
    let count = 0
    for (const [at, le] of [...this.#buckets, '+Inf'].entries()) {
      count += this.#counts[at] ?? 0
      values.push({ metricName: `${this.name}_bucket`, labels: { le }, value: count })
    }
    values.push({ metricName: `${this.name}_sum`, labels: {}, value: this.#sum })
    values.push({ metricName: `${this.name}_count`, labels: {}, value: count })
    const { name, help, type, aggregator } = this
    return { name, help, type, values, aggregator }
  }

  reset(): void {
    this.#counts.fill(0)
    this.#sum = 0
  }
}
