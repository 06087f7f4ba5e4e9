/** While the broker is away, what is shown of a run says why its devices are not connected. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summaryText } from '../../../devices/simulator/report/summary-text.ts'
import { PlainView } from '../../../devices/simulator/view/plain.ts'
import { startBroker } from '../../broker/harness.ts'
import { until } from '../../until.ts'
import { fleet, fleetOptions } from './fleet.ts'

test('a broker that goes away in mid-run: the lines say how far it is, and why nobody is connected', async (t) => {
  const bench = await startBroker(t)
  const options = fleetOptions(`mqtt://127.0.0.1:${bench.port}`, { messages: 1e9, rate: 50, drainMs: 1 })
  const simulator = fleet(options, (device) => bench.identity.signDevice(device, 60_000))
  const end = new AbortController()
  const running = simulator.run(end.signal)
  await until(() => simulator.snapshot.totals.counts.acknowledged > 0)
  assert.equal(simulator.snapshot.problem, undefined)
  await bench.stop()
  let shown = ''
  const view = new PlainView({ write: (text) => (shown += text) }, () => simulator.snapshot)
  view.start()
  await until(() =>
    /publishing {2}0\/3 online {2}.* {2}cannot connect to mqtt:.*ECONNREFUSED.*, trying again/.test(shown),
  )
  view.stop()
  end.abort()
  const { connectionsLost = {}, unsent, ...summary } = await running
  assert.equal(
    Object.values(connectionsLost).reduce((sum, count) => sum + count, 0),
    3,
    JSON.stringify(connectionsLost),
  )
  assert.match(
    summaryText({ ...summary, connectionsLost, unsent: 7, unacknowledged: 3 }),
    /^away +3 connections lost: /m,
  )
  assert.match(
    summaryText({ ...summary, connectionsLost, unsent: 7, unacknowledged: 3 }),
    /3 messages NOT acknowledged and 7 messages due and NOT sent, when the .* of waiting for them were over/,
  )
})
