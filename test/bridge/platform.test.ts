/** A platform whose only way in is the bridge: its process, what it says of the other broker, and of a device behind it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Why } from '../../gateway/devices/why.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { startMosquitto } from '../servers/mosquitto.ts'
import { freePort, requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { client } from './harness.ts'

test('a platform with a bridge in place of a broker: ready when the other broker is there, stored, why', async (t) => {
  const port = await freePort()
  const environment = { TELLTALE_BRIDGE_URL: `mqtt://127.0.0.1:${port}` }
  if ((await requireServer(t, () => startMosquitto())) === undefined) return
  const platform = await RunningPlatform.start(t, { roles: 'bridge,ingest,gateway', environment })
  const readiness = async () => {
    const response = await fetch(`${platform.url}/readyz`)
    return `${response.status} ${await response.text()}`
  }
  await until(async () => /^503 .*is away: connect ECONNREFUSED/.test(await readiness()))
  const mosquitto = await startMosquitto([], port)
  t.after(() => mosquitto.stop())
  await until(async () => (await readiness()).startsWith('200'))

  const publisher = await client(t, port)
  const reading = { ts: Date.now(), temperature: 21, humidity: 40, pressure: 1013.2, battery: 90, rssi: -60 }
  await publisher.publishAsync('devices/truck-7/telemetry/environment', JSON.stringify(reading), { qos: 1 })
  await until(async () => (await platform.ledger()).stored === 1)
  const why = await platform.telltale('why', 'truck-7').catch(({ stdout }) => stdout as string)
  assert.match(why, /all is well with truck-7/)
  assert.match(why, /come over a bridge from mqtt:\/\/127\.0\.0\.1/)
  await publisher.publishAsync('devices/truck-7/telemetry/Not A Stream', JSON.stringify(reading), { qos: 1 })
  await until(async () => (await platform.get<Why>('/v1/devices/truck-7/why')).cause === 'wrong-topic')
  const { parts } = await platform.get<{ parts: { role: string; state: string }[] }>('/v1/platform')
  assert.deepEqual(
    parts.map(({ role, state }) => `${role} ${state}`),
    ['broker unknown', 'ingest running', 'gateway running', 'bridge running'],
  )
  await mosquitto.stop()
  const gone = () => platform.get<Why>('/v1/devices/truck-7/why')
  await until(async () => /bridge, and nothing of truck-7: the other broker is away/.test((await gone()).sentence))
  assert.equal((await gone()).cause, 'broker-down')
  assert.equal(await platform.stop(), 0)
})

test('the role bridge without its URL is refused, with what is missing', async (t) => {
  await assert.rejects(RunningPlatform.start(t, { roles: 'bridge' }), /TELLTALE_BRIDGE_URL.*is not set/)
})
