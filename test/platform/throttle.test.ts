import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Throttle } from '../../platform/throttle.ts'
import { TokenBucket } from '../../platform/token-bucket.ts'

const HOUR_MS = 3_600_000

test('a clock that is set back lets everybody begin again', () => {
  const throttle = new Throttle({ burst: 10, perSecond: 10, waitingMax: 10 })
  const begin = (now: number) => Array.from({ length: 21 }, () => throttle.wait(now, 'truck-7'))
  assert.equal(begin(HOUR_MS).indexOf(undefined), 20)
  assert.equal(begin(0).indexOf(undefined), 20)
  assert.equal(begin(1_000).indexOf(undefined), 10)
})

test('a bucket is full at first, fills steadily, holds no more than its capacity, and pays a debt first', () => {
  const bucket = new TokenBucket({ capacity: 10, perSecond: 2 })
  assert.equal(bucket.tokens(5_000), 10)
  bucket.take(5_000, 13)
  assert.equal(bucket.tokens(5_000), -3)
  assert.equal(bucket.tryTake(6_500), false)
  assert.equal(bucket.tryTake(7_000), true)
  assert.equal(bucket.tokens(1_000), 0)
  assert.equal(bucket.tokens(2_000), 2)
  assert.equal(bucket.tokens(2_000 + HOUR_MS), 10)
})
