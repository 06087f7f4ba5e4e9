/** How long things took: what is said of many agrees with what was the longest. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timing } from '../../../../devices/simulator/fleet/timing.ts'

test('no percentile is above the maximum, also of what another process has told', () => {
  const times = fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(times, (all) => {
      const own = new Timing()
      for (const ms of all) own.record(ms)
      const told = new Timing()
      told.add(new Timing(own.encode()))
      for (const timing of [own, told]) {
        const { p50, p90, p99, p999, max } = timing.percentiles() ?? assert.fail('nothing was measured')
        assert.deepEqual(
          [p50, p90, p99, p999, max],
          [p50, p90, p99, p999, max].toSorted((a, b) => a - b),
        )
      }
    }),
  )
})
