/** What a terminal shows is what the run knows. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counts } from '../../../../devices/simulator/fleet/tally.ts'
import { Totals } from '../../../../devices/simulator/run/totals.ts'
import type { Snapshot } from '../../../../devices/simulator/simulator.ts'
import { momentOf } from '../../../../devices/simulator/view/run-moment.ts'
import { RECORD, ROWS } from '../report/finished-run.ts'

function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const { scenario } = RECORD
  const totals = new Totals()
  totals.counts = Object.assign(new Counts(), { sent: 130_000, toAcknowledge: 130_000, acknowledged: 129_990 })
  Object.assign(totals.counts, { connected: 1790, away: 200, muted: 5, reconnects: 3, refusals: 4 })
  totals.errors = { 'truncated-avro': 118 }
  totals.reasons = [{ by: 'PUBACK', code: 0x87, count: 7, words: 'not yours' }]
  totals.waiting = 620
  const seconds = ROWS.slice(0, 65)
  const whole = { phase: 'publishing' as const, scenario, faults: scenario.faults, totals, seconds, elapsedMs: 65_000 }
  return { ...whole, problem: undefined, ...changes }
}

test('devices are each in one state, what is left is told, and what fails most is first', () => {
  const moment = momentOf(snapshot(), 'mqtt://127.0.0.1:1883')
  assert.deepEqual(moment.states, { online: 1785, connecting: 10, away: 200, muted: 5 })
  assert.deepEqual([moment.devices, moment.leftMs, moment.askedRate, moment.backlog], [2000, 235_000, 2000, 620])
  assert.deepEqual([moment.rates.length, moment.rates.at(-1)], [60, 1800])
  assert.deepEqual(
    moment.failures.map(({ reason, count }) => `${count} ${reason}`),
    ['118 truncated-avro', '7 PUBACK 0x87: not yours', '4 connects that the broker refused'],
  )
  const { pubackP50: p50, pubackP99: p99, slipMax: max } = ROWS[64] ?? assert.fail()
  assert.deepEqual([moment.latencyMs, moment.slipMs], [{ p50, p99 }, { max }])
})

test('faults are in progress within their window', () => {
  const faultsAt = (elapsedMs: number) => momentOf(snapshot({ elapsedMs }), '').faults
  assert.deepEqual(faultsAt(65_000), [{ kind: 'link-loss', forMs: 30_000, leftMs: 25_000, befalls: '10 % of devices' }])
  assert.deepEqual(faultsAt(90_000), [])
  assert.deepEqual(
    faultsAt(120_000).map(({ befalls }) => befalls),
    ['truck-1*'],
  )
})
