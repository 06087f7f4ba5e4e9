/**
 * Owns the metrics registry of one process. Roles receive it by constructor and register their own instruments:
 * names start with `telltale_`, base units (seconds, bytes), counters end in `_total` (Prometheus naming conventions).
 * Labels come from small closed sets, never from a device id or a topic: cardinality is bounded by the code.
 */

import { collectDefaultMetrics, Registry } from 'prom-client'

export type Metrics = Registry

export function createMetrics(options: { processMetrics: boolean } = { processMetrics: false }): Metrics {
  const registry = new Registry()
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  return registry
}
