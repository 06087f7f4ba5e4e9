/** A start after kill -9: how long it takes with a million messages pending, and a whole platform on a disk that fills up. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CommitBuilder } from '../../log/local/commit.ts'
import { openEnvironment } from '../../log/tables/environment.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort, requireProgram } from '../servers/server.ts'
import { until } from '../until.ts'

const PENDING = 1_000_000
const A_COMMIT = 5_000
const GOAL_MS = 5_000
/** Nothing listens there: what is pending stays so. */
const NO_STORE = { kind: 'influx', url: 'http://127.0.0.1:9', token: 't', org: 'o', bucket: 'b', api: 'v2' } as const

test('a start after kill -9 with a million messages pending does not read them', async (t) => {
  const directory = scratchDirectory(t)
  await fillLog(join(directory, 'log'))
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const platform = new RunningPlatform(directory, ports, { store: NO_STORE })
  t.after(() => platform.kill())
  for (const what of ['first start', 'start after kill -9']) {
    const startedAt = performance.now()
    await platform.start()
    const ms = performance.now() - startedAt
    t.diagnostic(`${what}: ready after ${ms.toFixed(0)} ms (the goal is ${GOAL_MS} ms)`)
    const { accepted, pending, balanced } = await platform.ledger()
    assert.deepEqual([accepted, pending, balanced], [PENDING, PENDING, true])
    await platform.kill()
  }
})

test('a platform whose disk fills up says 503, acknowledges nothing, and goes on by itself when room returns', async (t) => {
  const program = requireProgram(t, 'prlimit', 'apt install util-linux')
  if (program === undefined) return
  const platform = await RunningPlatform.start(t, { store: NO_STORE })
  await platform.appToken()
  const { size } = statSync(join(platform.directory, 'log', 'data.mdb'))
  const limit = (bytes: number | 'unlimited') => {
    execFileSync(program, ['--pid', String(platform.pid), `--fsize=${bytes}:unlimited`])
  }
  limit(size)
  const args = [
    '--devices',
    '20',
    '--messages',
    '1500',
    '--rate',
    '0',
    '--batch',
    '200',
    '--seed',
    '3',
    '--drain',
    '15m',
  ]
  const running = platform.simulate(...args)
  await until(async () => (await ready(platform)) !== 200)
  assert.equal(await ready(platform), 503)
  const { accepted } = await platform.ledger()
  assert(accepted < 1_500, `${accepted} were accepted on a full disk`)
  limit('unlimited')
  await until(async () => (await ready(platform)) === 200)
  const summary = await running
  assert.deepEqual([summary.sent, summary.acknowledged], [1_500, 1_500])
  const ledger = await platform.ledger()
  assert(ledger.balanced && ledger.pending >= 1_500, JSON.stringify(ledger))
  for (const line of [/messages are refused.*make room beside/, /has room again/]) {
    assert.equal(platform.output.split('\n').filter((each) => line.test(each)).length, 1, `${line}`)
  }
})

async function ready(platform: RunningPlatform): Promise<number> {
  const response = await fetch(`${platform.url}/readyz`)
  await response.arrayBuffer()
  return response.status
}

/** The log as a broker leaves it after a million messages. */
async function fillLog(directory: string): Promise<void> {
  const environment = await openEnvironment(directory)
  const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
  const now = Date.now()
  const run = new CommitBuilder()
  for (let number = 0; number < A_COMMIT; number++) {
    const reading = { ts: now - number, temperature: 20, humidity: 40, pressure: 1013.25, battery: 90, rssi: -70 }
    const payload = registry.encode('environment', reading)
    run.add({ device: `device-${number % 100}`, stream: 'environment', receivedAt: now, flags: 0, payload })
  }
  const value = run.finish()
  for (let offset = 0; offset < PENDING; offset += A_COMMIT) await environment.commits.put(offset, value)
  await environment.root.close()
}
