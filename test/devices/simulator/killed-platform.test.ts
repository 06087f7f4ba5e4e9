import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Identity } from '../../../identity/identity.ts'
import { systemClock } from '../../../platform/clock.ts'
import { scratchDirectory } from '../../scratch.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { fleet, fleetOptions, never } from './fleet.ts'

const CLI = fileURLToPath(new URL('../../../cli/telltale.js', import.meta.url))
const MESSAGES = 20_000
const HOUR_MS = 3_600_000

async function up(t: TestContext, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CLI, 'up'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(300_000) })
  return child
}

test('the platform killed -9 in mid-run: what was acknowledged is stored, each reading once', async (t) => {
  const directory = scratchDirectory(t)
  const [mqttPort, gatewayPort] = [await freePort(), await freePort()]
  const env = {
    TELLTALE_DATA_DIR: directory,
    TELLTALE_MQTT_PORT: String(mqttPort),
    TELLTALE_GATEWAY_PORT: String(gatewayPort),
    TELLTALE_LOG_LEVEL: 'error',
  }
  const first = await up(t, env)
  const identity = new Identity({ directory: join(directory, 'keys') }, { clock: systemClock })
  await identity.start()
  const simulator = fleet(fleetOptions(`mqtt://127.0.0.1:${mqttPort}`, { devices: 10, messages: MESSAGES }), (device) =>
    identity.signDevice(device, HOUR_MS),
  )
  const running = simulator.run(never())
  await until(() => simulator.snapshot.totals.counts.acknowledged > 2_000)
  first.kill('SIGKILL')
  await once(first, 'exit')
  await up(t, env)
  const summary = await running
  assert.deepEqual([summary.sent, summary.acknowledged, summary.unacknowledged], [MESSAGES, MESSAGES, 0])
  assert.equal(summary.reconnects, 10)

  const token = await identity.signApp(['devices/+/telemetry/#'], HOUR_MS)
  const ask = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`http://127.0.0.1:${gatewayPort}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    return (await answer.json()) as Record<string, unknown>
  }
  let books = await ask('/v1/ledger')
  for (const deadline = performance.now() + 300_000; books.pending !== 0 && performance.now() < deadline; )
    books = await ask('/v1/ledger')
  assert.equal(books.balanced, true)
  assert.equal(books.stored, books.accepted, JSON.stringify(books))
  assert(Number(books.accepted) >= MESSAGES)
  // Sent again or replayed, a reading is still one point: counted by series and time, there are as many as messages.
  const now = Date.now()
  const query = `from=${now - HOUR_MS}&to=${now + HOUR_MS}&every=1d&fn=count`
  const page = await ask(`/v1/readings?filter=${encodeURIComponent('devices/+/telemetry/environment')}&${query}`)
  const counts = page.readings as { values: { temperature: number } }[]
  const stored = counts.reduce((sum, reading) => sum + reading.values.temperature, 0)
  assert.equal(stored, MESSAGES)
})
