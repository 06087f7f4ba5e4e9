/** A run whose platform, or the app beside it, is away in the end: what is not waited for is not taken for known. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSummary } from '../../../devices/simulator/report/run-files.ts'
import { summaryText } from '../../../devices/simulator/report/summary-text.ts'
import type { LiveLog, LiveReading } from '../../../devices/simulator/run/live-log.ts'
import { judged } from '../../../devices/simulator/run/summarize.ts'
import { GatewayApi } from '../../../devices/simulator/verify/gateway-api.ts'
import { systemClock } from '../../../platform/clock.ts'
import { startBroker } from '../../broker/harness.ts'
import { scratchDirectory } from '../../scratch.ts'
import { freePort } from '../../servers/server.ts'
import { fleet, fleetOptions, never } from './fleet.ts'
import { VERIFICATION } from './report/finished-run.ts'

/** So often it is looked whether the app is there, and it is not. */
const AWAY_LOOKS = 3

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

test('an app that is away in the end is waited for, and what it missed comes before anything is judged', async (t) => {
  const bench = await startBroker(t)
  const sign = (device: string) => bench.identity.signDevice(device, 60_000)
  const folder = scratchDirectory(t)
  const late: LiveReading = { device: 'sim-1', stream: 'environment', ts: Date.now(), values: { humidity: 1 } }
  let looks = 0
  let judgedBy = ''
  const verifier = {
    start: async () => undefined,
    acknowledged: () => {},
    caughtUp: async () => undefined,
    verify: async () => {
      judgedBy = readFileSync(join(folder, 'live.tsv'), 'utf8')
      return VERIFICATION
    },
    stop: async () => {},
  }
  const watch = (log: LiveLog) => ({
    start: async () => undefined,
    stop: async () => {},
    get isThere() {
      if (++looks === AWAY_LOOKS) log.take(Date.now(), late)
      return looks >= AWAY_LOOKS
    },
  })
  const summary = await fleet(fleetOptions(`mqtt://127.0.0.1:${bench.port}`), sign, { folder, verifier, watch }).run(
    never(),
  )
  assert.match(judgedBy, /\tsim-1\tenvironment\t/)
  assert.equal(summary.unfollowed, undefined)
})

test('of an app that does not come back it is said, and how late readings came to it is not known', async (t) => {
  const bench = await startBroker(t)
  const sign = (device: string) => bench.identity.signDevice(device, 60_000)
  const watch = (log: LiveLog) => ({
    start: async () => {
      log.take(Date.now(), { device: 'sim-1', stream: 'environment', ts: Date.now(), values: {} })
      return undefined
    },
    stop: async () => {},
    isThere: false,
  })
  const options = fleetOptions(`mqtt://127.0.0.1:${bench.port}`, { drainMs: 100, failIf: ['live-p99>1h'] })
  const summary = await fleet(options, sign, { watch }).run(never())
  assert.match(summary.unfollowed ?? '', /^the app beside the run is away/)
  assert.deepEqual([summary.liveMs, summary.ok], [undefined, false])
})
