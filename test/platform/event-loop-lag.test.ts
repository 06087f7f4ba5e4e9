import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from '../../platform/metrics.ts'
import { until } from '../until.ts'

const STALL_MS = 600

test('a stall of the event loop is in the gauges of prom-client, and no other value is', async () => {
  const metrics = createMetrics({ version: '0.0.0' })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS)
  const values = new Map<string, number>()
  await until(async () => {
    const all = await metrics.getMetricsAsJSON()
    for (const {
      name,
      values: [first],
    } of all) {
      const [, value] = /^nodejs_eventloop_lag_(\w+)_seconds$/.exec(name) ?? []
      if (value !== undefined) values.set(value, first?.value ?? Number.NaN)
    }
    return Number(values.get('max')) > 0
  })
  assert.deepEqual([...values.keys()].sort(), ['max', 'mean', 'min', 'p50', 'p90', 'p99', 'stddev'])
  // A look is due each 250 ms, so one was late by at least the rest.
  assert(Number(values.get('max')) >= (STALL_MS - 250) / 1_000)
  for (const value of ['min', 'mean', 'p50', 'p90', 'p99']) assert(Number(values.get(value)) > 0, value)
})
