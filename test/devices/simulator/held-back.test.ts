/** Messages that a fault holds back until the one behind them is sent, at the end of a run. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBroker } from '../../broker/harness.ts'
import { fleet, fleetOptions, never } from './fleet.ts'

test('a message that changes places with the next is sent though there is none, also of a backlog', async (t) => {
  const bench = await startBroker(t)
  const options = fleetOptions(`mqtt://127.0.0.1:${bench.port}`, {
    devices: 8,
    messages: Number.POSITIVE_INFINITY,
    rate: 50,
    durationMs: 500,
    drainMs: 60_000,
    faults: [
      { kind: 'reordering', atMs: 0, forMs: Number.POSITIVE_INFINITY, devices: { share: 1 }, share: 0.7 },
      // They come back when nothing more is due.
      { kind: 'link-loss', atMs: 50, forMs: Number.POSITIVE_INFINITY, devices: { share: 0.5 } },
    ],
  })
  const running = fleet(options, (device) => bench.identity.signDevice(device, 60_000)).run(never())
  const { unsent, unacknowledged, sent } = await running
  assert.deepEqual([unsent, unacknowledged], [0, 0])
  assert(sent > 8)
})
