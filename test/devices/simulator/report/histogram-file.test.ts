/** Distributions as HdrHistogram writes them, and as the report reads them again. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from 'hdr-histogram-js'
import { histogramFile, readCurves } from '../../../../devices/simulator/report/histogram-file.ts'
import { PER_MS, spread } from './finished-run.ts'

test('each section has its name, milliseconds, and the percentiles of its histogram', () => {
  const puback = spread(2, 2.2)
  const live = spread(9, 1.9)
  const text = histogramFile({ live, puback }, PER_MS)
  assert.deepEqual(text.match(/^#(puback|live|connect|slip).*$/gm), ['#puback, milliseconds', '#live, milliseconds'])
  assert.equal(text.match(/^ +Value +Percentile +TotalCount 1\/\(1-Percentile\)$/gm)?.length, 2)
  const curves = readCurves(text)
  assert.deepEqual(Object.keys(curves), ['puback', 'live'])
  for (const [name, histogram] of Object.entries({ puback, live })) {
    const points = curves[name as 'live'] ?? []
    assert.equal(points[0]?.share, 0)
    assert.equal(points.at(-1)?.share, 1)
    for (const { share, ms } of points) {
      const expected = histogram.getValueAtPercentile(share * 100) / PER_MS
      assert(Math.abs(ms - expected) <= 0.01 * expected, `${name} at ${share}: ${ms}, not ${expected}`)
    }
  }
})

test('of what was not measured there is no section', () => {
  const empty = build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 })
  assert.equal(histogramFile({ connect: empty }, PER_MS), '')
  assert.deepEqual(readCurves(''), {})
})
