import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONNECT_GARBAGE_BYTES, ConnectRate } from '../../../broker/connect/connect-throttle.ts'
import { Pace } from '../../../broker/connect/pace.ts'
import { Rate, Rates } from '../../../broker/session/rate.ts'
import { CONNECTS_PER_ADDRESS, CONNECTS_PER_SECOND_MAX, RATES_MAX } from '../../../platform/limits.ts'

const HOUR_MS = 3_600_000

test('without limits there is no rate', () => {
  assert.equal(new Rates({}).of('truck-7'), undefined)
  assert.equal(new Rates({ messagesPerSecond: undefined, bytesPerSecond: undefined }).of('truck-7'), undefined)
})

test('a device keeps its rate from one connection to the next; the one that connected longest ago is forgotten', () => {
  const rates = new Rates({ messagesPerSecond: 10 })
  const first = rates.of('truck-0')
  const second = rates.of('truck-1')
  for (let index = 2; index < RATES_MAX; index++) rates.of(`truck-${index}`)
  assert.equal(rates.of('truck-0'), first)
  rates.of('one more')
  assert.equal(rates.of('truck-0'), first)
  assert.notEqual(rates.of('truck-1'), second)
})

test("a second's messages pass at once, and then as the bucket fills", () => {
  const rate = new Rate({ messagesPerSecond: 10 })
  const passed = (now: number) => Array.from({ length: 20 }, () => rate.passes(now, 1_000_000)).filter(Boolean).length
  assert.equal(passed(5_000), 10)
  assert.equal(passed(5_500), 5)
  assert.equal(passed(60_000), 10)
  assert.equal(passed(1_000), 0)
})

test("a message of more than a second's bytes passes, and is paid for before the next", () => {
  const rate = new Rate({ bytesPerSecond: 100 })
  assert(rate.passes(0, 250))
  assert(!rate.passes(1_400, 1))
  assert(rate.passes(1_600, 1))
})

test('an address opens a burst at once, the next at a steady pace, and leaves others their turn', () => {
  const rate = new ConnectRate()
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
  const rate = new ConnectRate()
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

test('a clock that is set back lets everybody begin again', () => {
  const pace = new Pace({ burst: 10, perSecond: 10, waitingMax: 10 })
  const begin = (now: number) => Array.from({ length: 21 }, () => pace.wait(now, 'truck-7'))
  assert.equal(begin(HOUR_MS).indexOf(undefined), 20)
  assert.equal(begin(0).indexOf(undefined), 20)
  assert.equal(begin(1_000).indexOf(undefined), 10)
})
