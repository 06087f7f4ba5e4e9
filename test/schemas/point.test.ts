import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seriesKey } from '../../schemas/point.ts'
import type { Reading, Stream } from '../../schemas/reading.ts'

const STREAM: Stream = {
  name: 'probe',
  version: 1,
  timeField: 'ts',
  precision: 'ms',
  columns: [
    { name: 'a', kind: 'string', tag: true },
    { name: 'x', kind: 'float', tag: false },
    { name: 'b', kind: 'string', tag: true },
  ],
}
const key = (values: Reading['values'], device = 'd') => seriesKey({ device, stream: 'probe', ts: 0, values }, STREAM)

test('readings of one device, stream and tags are one series, whatever else they hold', () => {
  assert.equal(key({ a: '1', x: 1, b: '2' }), key({ b: '2', a: '1' }))
})

test('a tag more, less or moved to another column is another series', () => {
  const keys = [key({}), key({ a: '1' }), key({ b: '1' }), key({ a: '1', b: '1' }), key({ a: '11' }), key({}, 'e')]
  assert.equal(new Set(keys).size, keys.length)
})
