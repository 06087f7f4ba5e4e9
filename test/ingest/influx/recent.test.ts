import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { RecentPoints } from '../../../ingest/influx/recent.ts'
import { pulses, reading, T0, weather } from '../streams.ts'

const values = fc.record(
  {
    site: fc.constantFrom('x', 'y', ''),
    temperature: fc.constantFrom(0, -0, 1.5),
    note: fc.constantFrom('a', 'b'),
    on: fc.boolean(),
  },
  { requiredKeys: ['temperature'] },
)
const point = fc.record({
  device: fc.constantFrom('a', 'b'),
  ts: fc.nat(3),
  values,
})

test('a point replaces one of its series and time if their values differ: as a map of them says', () => {
  const property = fc.property(fc.array(point, { maxLength: 60 }), (points) => {
    const recent = new RecentPoints()
    const known = new Map<string, string>()
    for (const { device, ts, values } of points) {
      const { site = '', ...fields } = values
      const key = JSON.stringify([device, ts, site])
      const text = JSON.stringify([fields.temperature + 0, fields.note, fields.on])
      const before = known.get(key)
      known.set(key, text)
      const replaces = recent.replaces(reading(weather, device, T0 + ts, values), weather)
      assert.equal(replaces, before !== undefined && before !== text)
    }
  })
  fc.assert(property, { numRuns: 300 })
})

test('the last 100,000 points are known at least; older ones are forgotten, and none is taken for another', () => {
  const recent = new RecentPoints()
  const replaces = (n: number, level: number) =>
    recent.replaces(reading(pulses, `d${n % 1_000}`, T0 + n, { level }), pulses)
  let replaced = 0
  for (let n = 0; n < 350_000; n++) if (replaces(n, n)) replaced++
  assert.equal(replaced, 0)
  for (let n = 250_000; n < 350_000; n++) if (replaces(n, -1)) replaced++
  assert.equal(replaced, 100_000)
  for (let n = 0; n < 1_000; n++) assert.equal(replaces(n, -1), false)
})
