import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONNECT_GARBAGE_BYTES, ConnectThrottle } from '../../../broker/connect/connect-throttle.ts'
import { CONNECTS_PER_ADDRESS, CONNECTS_PER_SECOND_MAX } from '../../../platform/limits.ts'

test('an address opens a burst at once, the next at a steady pace, and leaves others their turn', () => {
  const rate = new ConnectThrottle()
  const open = (count: number, address: string, now: number) =>
    Array.from({ length: count }, () => rate.wait(now, address))
  const atOnce = CONNECTS_PER_ADDRESS.burst + CONNECTS_PER_ADDRESS.waitingMax
  const waits = open(atOnce + 1, '10.0.0.1', 7_000)
  assert(waits.slice(0, CONNECTS_PER_ADDRESS.burst).every((wait) => wait === 0))
  const [first, second] = waits.slice(CONNECTS_PER_ADDRESS.burst) as [number, number]
  assert.deepEqual([first, second - first], Array(2).fill(1_000 / CONNECTS_PER_ADDRESS.perSecond))
  assert.equal(waits.at(-1), undefined)
  assert.equal(open(1, '10.0.0.2', 7_000)[0], 0)
  assert.equal(
    open(CONNECTS_PER_SECOND_MAX, '10.0.0.3', 7_000).indexOf(undefined),
    CONNECTS_PER_SECOND_MAX - atOnce - 1,
  )
  const later = open(CONNECTS_PER_SECOND_MAX, '10.0.0.1', 8_000)
  assert.equal(later.indexOf(undefined), CONNECTS_PER_ADDRESS.perSecond)
  const rested = 8_000 + (atOnce / CONNECTS_PER_ADDRESS.perSecond) * 1_000
  assert.equal(open(CONNECTS_PER_ADDRESS.burst, '10.0.0.1', rested).lastIndexOf(0), CONNECTS_PER_ADDRESS.burst - 1)
})

test('a connection that fails counts for what it sent, and shuts its address out for no longer than others wait', () => {
  const rate = new ConnectThrottle()
  let begun = 0
  while (rate.wait(7_000, '10.0.0.1') === 0) {
    rate.failed(7_000, '10.0.0.1', 4 * CONNECT_GARBAGE_BYTES)
    begun++
  }
  assert.equal(begun, CONNECTS_PER_ADDRESS.burst / 5)
  for (let count = 0; count < 1_000; count++) rate.failed(7_000, '10.0.0.1', 4 * CONNECT_GARBAGE_BYTES)
  assert.equal(rate.wait(7_000, '10.0.0.1'), undefined)
  const waitedMs = (CONNECTS_PER_ADDRESS.waitingMax / CONNECTS_PER_ADDRESS.perSecond) * 1_000
  assert.equal(rate.wait(7_000 + waitedMs + 3, '10.0.0.1'), 0)
})
