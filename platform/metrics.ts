/**
 * Owns the metrics registry of one process. Roles receive it by constructor and register their own instruments:
 * names start with `telltale_`, base units (seconds, bytes), counters end in `_total` (Prometheus naming conventions).
 * Labels come from small closed sets, never from a device id or a topic: cardinality is bounded by the code.
 */

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { measureEventLoopLag, NEVER_MS } from './event-loop-lag.ts'

export type Metrics = Registry

/** Sums of prom-client's (15.1.3) that are gauges and end in `_total`; the same by type remain. */
const NO_COUNTERS = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/** One line of an answer to Prometheus. */
export interface MetricValue {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** With those of the process where a `version` is given: the one that runs. */
export function createMetrics({ version }: { readonly version?: string } = {}): Metrics {
  const registry = new Registry()
  if (version === undefined) return registry
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS })
  measureEventLoopLag(registry)
  for (const name of NO_COUNTERS) registry.removeSingleMetric(name)
  const help = 'What runs: always 1'
  const labelNames = ['version', 'node']
  const registers = [registry]
  new Gauge({ name: 'telltale_build_info', help, labelNames, registers }).set({ version, node: process.version }, 1)
  return registry
}
