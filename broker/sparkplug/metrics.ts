/** Owns what is measured of edge nodes of Sparkplug. */

import { Counter, Gauge } from 'prom-client'
import type { Metrics } from '../../platform/metrics.ts'

export class SparkplugMetrics {
  readonly #registry: Metrics
  readonly #gaps: Counter
  readonly #rebirths: Counter

  constructor(registry: Metrics) {
    this.#registry = registry
    const registers = [registry]
    this.#gaps = new Counter({
      name: 'telltale_sparkplug_sequence_gaps_total',
      help: 'Messages of edge nodes of Sparkplug whose number does not follow the one before',
      registers,
    })
    this.#rebirths = new Counter({
      name: 'telltale_sparkplug_rebirths_total',
      help: 'How often an edge node of Sparkplug was asked to be born again',
      registers,
    })
  }

  observe(nodes: () => number): void {
    new Gauge({
      name: 'telltale_sparkplug_edge_nodes',
      help: 'Edge nodes of Sparkplug that are known',
      registers: [this.#registry],
      collect() {
        this.set(nodes())
      },
    })
  }

  gap(): void {
    this.#gaps.inc()
  }

  rebirth(): void {
    this.#rebirths.inc()
  }
}
