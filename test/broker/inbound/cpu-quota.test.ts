import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ALLOWANCE_SHARE, CpuQuota } from '../../../broker/inbound/cpu-quota.ts'
import {
  ALLOWANCE_BYTES_PER_MS,
  ALLOWANCE_FIRST_MS,
  ALLOWANCE_MS,
  ALLOWANCE_PACKET_MS,
} from '../../../platform/limits.ts'

const work = fc.record({
  tookMs: fc.double({ min: 0, max: ALLOWANCE_FIRST_MS, noNaN: true }),
  packets: fc.nat(5_000),
  bytes: fc.nat(64 * 1024),
})
const costOf = ({ tookMs, packets, bytes }: { tookMs: number; packets: number; bytes: number }) =>
  tookMs + packets * ALLOWANCE_PACKET_MS + bytes / ALLOWANCE_BYTES_PER_MS

test('whatever a client sends, and however it pauses, it takes its share and what it had saved', () => {
  const pause = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1_000, noNaN: true }))
  fc.assert(
    fc.property(fc.array(fc.tuple(work, pause), { minLength: 1, maxLength: 200 }), (steps) => {
      const allowance = new CpuQuota(0)
      let now = 0
      let cost = 0
      for (const [step, pauseMs] of steps) {
        now += step.tookMs
        cost += costOf(step)
        const restMs = allowance.charge(now, step)
        now += restMs + pauseMs
        // After its rest it may go on, and has taken no more than its share of the time, and what may be saved up.
        assert(cost <= ALLOWANCE_MS + now * ALLOWANCE_SHARE + 1e-6, `${cost} ms of ${now}`)
      }
    }),
  )
})

test('a client that stays below its share never rests, nor one whose turn was interrupted once', () => {
  const allowance = new CpuQuota(0)
  const reading = { tookMs: 0.05, packets: 1, bytes: 200 }
  const everyMs = (costOf(reading) / ALLOWANCE_SHARE) * 1.01
  let now = 0
  for (let count = 0; count < 10_000; count++) {
    now += everyMs
    assert.equal(allowance.charge(now, reading), 0)
  }
  const quiet = new CpuQuota(0)
  assert.equal(quiet.charge(500, { ...reading, tookMs: 80 }), 0)
})
