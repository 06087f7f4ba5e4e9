/** A verified run of the simulator while the platform, and its store, are killed -9 and stopped: nothing is lost, and the run says so itself. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RunRecord } from '../../devices/simulator/kept/run-folder.ts'
import type { Summary } from '../../devices/simulator/report/summary.ts'
import { scenarioOf } from '../planted/scenario.ts'
import { isOfTime } from '../planted/second-try.ts'
import { runRecord, verifiedRun } from '../planted/verified-run.ts'
import { scratchDirectory } from '../scratch.ts'
import { type Influxdb2, startInfluxdb2 } from '../servers/influxdb2.ts'
import { freePort, requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { plainEnvironment, RunningPlatform } from './platform.ts'

const SECONDS = 8
/** Four restarts of a machine that has much else to do. */
const DRAIN_SECONDS = 200
const KILLS = 3
/** Of the ledger of a run, which has 140,000 in the end: after each the platform is killed, or as soon as it is back. */
const BYTES_A_KILL = 25_000

const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0)

/** Kills the platform, and once whatever else there is, as the run's ledger grows. */
async function killMeanwhile(platform: RunningPlatform, messages: string, killStore?: () => Promise<void>) {
  for (let kill = 1; kill <= KILLS; kill++) {
    await until(() => sizeOf(messages) >= kill * BYTES_A_KILL)
    if (kill === 2) await killStore?.()
    await platform.kill()
    await platform.start()
  }
}

async function verifiedWhileKilled(t: TestContext, platform: RunningPlatform, killStore?: () => Promise<void>) {
  const directory = scratchDirectory(t)
  const ended = new AbortController()
  t.after(() => ended.abort())
  const running = verifiedRun(platform, {
    seconds: SECONDS,
    drainSeconds: DRAIN_SECONDS,
    directory,
    signal: ended.signal,
  })
  const messages = join(dirname(runRecord(directory)), 'messages-0.tsv')
  await killMeanwhile(platform, messages, killStore)
  const { exitCode, summary, said } = await running
  return { exitCode, summary: summary ?? assert.fail(said) }
}

/** That something came late may be this machine's: all else is the platform's. */
function assertHeld({ exitCode, summary }: { readonly exitCode: number | null; readonly summary: Summary }): void {
  const { verification, reconnects, unacknowledged, unsent } = summary
  assert(verification)
  const findings = verification.findings.filter((finding) => !isOfTime(finding))
  assert.deepEqual([findings, verification.lost, verification.duplicated], [[], 0, 0])
  assert.deepEqual([unacknowledged, unsent], [0, 0])
  const { stored, superseded, expectedReadings } = verification
  assert.equal(stored + superseded, expectedReadings)
  assert(stored > 0)
  assert(reconnects >= KILLS, `${reconnects} reconnects`)
  assert.equal(exitCode, verification.findings.length === 0 ? 0 : 1, JSON.stringify(summary))
}

test('the platform with its embedded store is killed -9 three times under a verified run', async (t) => {
  assertHeld(await verifiedWhileKilled(t, await RunningPlatform.start(t)))
})

test('the platform is killed -9 three times, and once its InfluxDB', async (t) => {
  const directory = scratchDirectory(t)
  const port = await freePort()
  const start = () => startInfluxdb2({ directory, port })
  let influx: Influxdb2 | undefined = await requireServer(t, start)
  if (influx === undefined) return
  t.after(() => influx?.stop())
  const platform = await RunningPlatform.start(t, { store: influx.store })
  const held = await verifiedWhileKilled(t, platform, async () => {
    await influx?.stop()
    influx = await start()
  })
  assertHeld(held)
})

test('a platform that is stopped while it is asked is waited for, which is said, and asked when it goes on', async (t) => {
  const platform = await RunningPlatform.start(t)
  const directory = scratchDirectory(t)
  const scenario = join(directory, 'scenario.yaml')
  writeFileSync(scenario, scenarioOf(4))
  const env = {
    ...plainEnvironment(),
    TELLTALE_DATA_DIR: platform.directory,
    TELLTALE_MQTT_PORT: String(platform.mqttPort),
    TELLTALE_GATEWAY_PORT: String(platform.gatewayPort),
  }
  const run = join(directory, 'run')
  const args = ['cli/telltale.js', 'simulate', '--scenario', scenario, '--out', run, '--verify']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  const exited = once(child, 'exit')
  await until(() => child.exitCode !== null || recordOf(run)?.endedAt !== undefined)
  process.kill(platform.pid, 'SIGSTOP')
  await until(
    () => child.exitCode !== null || /does not answer \/v1\/\S+ \(.*\): it is asked for \d+ s more/.test(printed),
  )
  process.kill(platform.pid, 'SIGCONT')
  await exited
  assert.match(printed, /does not answer/)
  assert.match(printed, /nothing lost|LATE/)
})

/** What the run's folder says of it, once that is there as a whole. */
function recordOf(run: string): RunRecord | undefined {
  const file = join(run, 'run.json')
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as RunRecord
  } catch {
    return undefined
  }
}
