/** A run whose platform does not answer in the end keeps what it has shown until then, and fails. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSummary } from '../../../devices/simulator/report/run-files.ts'
import { summaryText } from '../../../devices/simulator/report/summary-text.ts'
import { judged } from '../../../devices/simulator/run/summarize.ts'
import { GatewayApi } from '../../../devices/simulator/verify/gateway-api.ts'
import { systemClock } from '../../../platform/clock.ts'
import { startBroker } from '../../broker/harness.ts'
import { scratchDirectory } from '../../scratch.ts'
import { freePort } from '../../servers/server.ts'
import { fleet, fleetOptions, never } from './fleet.ts'
import { VERIFICATION } from './report/finished-run.ts'

test('a run that cannot be verified in the end has its summary and its folder, fails, and says how it is verified later', async (t) => {
  const bench = await startBroker(t)
  const options = fleetOptions(`mqtt://127.0.0.1:${bench.port}`)
  const sign = (device: string) => bench.identity.signDevice(device, 60_000)
  const folder = scratchDirectory(t)
  const nobody = `http://127.0.0.1:${await freePort()}`
  const gateway = new GatewayApi({ url: nobody, patienceMs: 1 }, { token: async () => '', clock: systemClock })
  const verifier = {
    start: async () => undefined,
    acknowledged: () => {},
    caughtUp: async () => void (await gateway.get('/v1/ledger')),
    verify: async () => VERIFICATION,
    stop: async () => {},
  }
  const summary = await fleet(options, sign, { folder, verifier }).run(never())
  assert.deepEqual([summary.sent, summary.acknowledged, summary.ok], [30, 30, false])
  assert.match(
    summaryText(summary),
    /NOT VERIFIED: .* did not answer \/v1\/ledger in .*; once .*, telltale verify .* verifies it$/,
  )
  assert.deepEqual(readSummary(folder)?.unverified, summary.unverified)
  assert(existsSync(join(folder, 'report.html')))
  assert.match(readFileSync(join(folder, 'junit.xml'), 'utf8'), /<failure[^>]*NOT VERIFIED/)

  const later = judged({ ...summary, verification: VERIFICATION, unverified: undefined }, [], true)
  assert.equal(later.ok, true)
})
