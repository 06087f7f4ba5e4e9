/** A broker that lets in whoever comes: what is expected is seen not to be so, and said; with a gateway of ours, or a condition, it fails the run. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { junitXml } from '../../../../devices/simulator/report/junit.ts'
import { summaryText } from '../../../../devices/simulator/report/summary-text.ts'
import { startMosquitto } from '../../../servers/mosquitto.ts'
import { requireServer } from '../../../servers/server.ts'
import { fleet, fleetOptions, never } from '../fleet.ts'

/** To send the rest of its messages a device has to be let in. */
const faults = (['expired-token', 'wrong-client-id'] as const).map((kind, index) => ({
  kind,
  atMs: 100,
  forMs: Number.POSITIVE_INFINITY,
  devices: { ids: `sim-${index + 1}` },
}))

async function run(t: TestContext, { failIf = [] as string[], gateway = undefined as string | undefined } = {}) {
  const broker = await requireServer(t, startMosquitto)
  if (!broker) return undefined
  const changes = { rate: 20, messages: 60, faults, failIf }
  return fleet({ ...fleetOptions(broker.url, changes), gateway }).run(never())
}

test('of another broker it is said, and the run holds', async (t) => {
  const summary = await run(t)
  if (!summary) return
  for (const { kind, times, asExpected } of summary.faults) {
    assert(times > 0, kind)
    assert.equal(asExpected, 0, kind)
  }
  assert.deepEqual([summary.refusals, summary.unacknowledged, summary.ok], [0, 0, true])
  const text = summaryText(summary)
  assert.match(text, /^expired-token .*, 0 of \d+ NOT as expected: refused each time/m)
  assert.match(text, /all \d+ messages acknowledged.*; NOT AS EXPECTED: expired-token, .*$/)
  assert.match(junitXml(summary), / failures="0"/)
})

test('of a broker beside a gateway of ours it fails the run, and so it does by a condition', async (t) => {
  const ours = await run(t, { gateway: 'http://127.0.0.1:1' })
  if (!ours) return
  assert.equal(ours.ok, false)
  assert.match(summaryText(ours), /\nNOT AS EXPECTED: expired-token, (\d+) of \1 times? \(expected: refused each time/)
  assert.match(junitXml(ours), /<failure message="0 of \d+ times? it was as expected: refused each time/)
  const other = await run(t, { failIf: ['unexpected>0'] })
  assert.equal(other?.ok, false)
})
