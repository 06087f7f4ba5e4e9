import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIVE_SENDS_KEPT, LiveSends } from '../../gateway/live-sends.ts'
import { at } from '../log/only.ts'

test('of the newest messages it is known to how many they went, of older ones that it is forgotten', () => {
  const sends = new LiveSends()
  assert.equal(sends.of(0, at(0), at(0)), 'to-come', 'the tail is not live yet')
  sends.begin([at(10), at(500)])
  const kept = LIVE_SENDS_KEPT / 2
  const end = 10 + 2 * kept
  // Those with an even offset say something.
  for (let offset = 10; offset < end; offset += 2) sends.note(0, at(offset), offset, 3, 1)
  const of = (offset: number) => sends.of(0, at(offset), at(end))
  assert.deepEqual(of(end - 2), { at: end - 2, subscriptions: 3, reduced: 1 })
  assert.deepEqual(of(end - kept), { at: end - kept, subscriptions: 3, reduced: 1 })
  assert.equal(of(end - 1), 'unsent')
  assert.equal(of(end), 'to-come')
  for (const offset of [9, 10, end - kept - 2]) assert.equal(of(offset), 'forgotten')
  assert.equal(sends.of(1, at(499), at(500)), 'forgotten', 'what came before it was live')
  // What could not be read before is sent late, and takes the place of nothing newer.
  sends.note(0, at(end - 1), 7, 2, 0)
  sends.note(0, at(end - 2 - kept), 7, 2, 0)
  assert.deepEqual(of(end - 1), { at: 7, subscriptions: 2, reduced: 0 })
  assert.deepEqual(of(end - 2), { at: end - 2, subscriptions: 3, reduced: 1 })
})
