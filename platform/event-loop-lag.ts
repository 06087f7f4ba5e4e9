/**
 * Owns how late this process's event loop comes to what is due: gauges that have the names of prom-client's, of the time since they were
 * last asked for. prom-client (15.1.3) wakes the process each 10 ms for them, which is most of what one costs that has nothing to do.
 *
 * Bound: one look each `LOOK_MS`. A stall that is shorter may fall between two.
 */

import { createHistogram } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'

const LOOK_MS = 250
const NS_PER_MS = 1e6
const NS_PER_SECOND = 1e9

/** For prom-client's own looks: 24 days. */
export const NEVER_MS = 2 ** 31 - 1

const PERCENTILES = [50, 90, 99]

/** Looks from now on, and does not keep the process alive. Takes the place of prom-client's gauges in `registry`. */
export function measureEventLoopLag(registry: Registry): void {
  const lag = createHistogram()
  let dueAt = 0
  const wait = () => {
    dueAt = performance.now() + LOOK_MS
    setTimeout(look, LOOK_MS).unref()
  }
  const look = () => {
    // The least that a histogram takes is 1.
    lag.record(Math.max(1, Math.round((performance.now() - dueAt) * NS_PER_MS)))
    wait()
  }
  wait()

  const gauge = (value: string, help: string, collect = () => {}) => {
    const name = `nodejs_eventloop_lag_${value}_seconds`
    registry.removeSingleMetric(name)
    return new Gauge({ name, help: `How late the event loop was, ${help}`, registers: [registry], collect })
  }
  // They are collected in the order they are made in, so the first sets all.
  const min = gauge('min', 'at least', () => {
    if (lag.count === 0) return
    min.set(lag.min / NS_PER_SECOND)
    max.set(lag.max / NS_PER_SECOND)
    mean.set(lag.mean / NS_PER_SECOND)
    stddev.set(lag.stddev / NS_PER_SECOND)
    for (const { p, gauge } of percentiles) gauge.set(lag.percentile(p) / NS_PER_SECOND)
    lag.reset()
  })
  const max = gauge('max', 'at most')
  const mean = gauge('mean', 'mean')
  const stddev = gauge('stddev', 'standard deviation')
  const percentiles = PERCENTILES.map((p) => ({ p, gauge: gauge(`p${p}`, `${p}th percentile`) }))
}
