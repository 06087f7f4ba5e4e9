/** What becomes of a share when its batch is written. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Share, settleShare } from '../../ingest/share.ts'
import type { Offset } from '../../log/position.ts'
import { entryOf, reading, T0, weather } from './streams.ts'

test('a store that refuses all of a stream sets no message aside that has no reading: its value is in another', () => {
  const whole = entryOf(reading(weather, 'a', T0, { temperature: 1 }))
  const share: Share = {
    batch: { entries: [whole, { ...whole, readings: [] }] },
    devices: ['a', 'a'],
    starts: [0, 100],
    offsets: [7 as Offset, 8 as Offset],
    replays: new Set(),
    setAside: [],
    setAsideBefore: [],
    remarks: [],
  }
  const rejected = [
    { index: 0, refused: 1, reason: 'x' },
    { index: 1, refused: 0, reason: 'x' },
  ]
  const { stored, readings, setAside, devices } = settleShare(share, { rejected, superseded: [] })
  assert.deepEqual([stored, readings], [1, 0])
  assert.deepEqual(
    setAside.map(({ offset }) => offset),
    [7],
  )
  assert.deepEqual(
    devices.map(({ device, stored, readings }) => [device, stored, readings]),
    [['a', 1, 0]],
  )
})
