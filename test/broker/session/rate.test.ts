import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rate, Rates } from '../../../broker/session/rate.ts'
import { RATES_MAX } from '../../../platform/limits.ts'

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
