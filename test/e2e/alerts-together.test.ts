/** Several gateways on one log, with the same rules: one of them tells, and through a kill -9 of it another goes on (docs/alerts.md). */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { AlertsPage } from '../../gateway/alerts/listing.ts'
import { Receiver } from '../gateway/alerts/receiver.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const KILLS = 4
/** Each alert is logged by the gateway that has it begin. */
const TELLS = '"msg":"alert: '

test('of two gateways one tells each alert, and when it is killed the other goes on: none lost, none told by both', async (t) => {
  const receiver = await Receiver.start(t)
  const directory = scratchDirectory(t)
  const config = join(directory, 'config')
  mkdirSync(join(config, 'rules'), { recursive: true })
  const rules = `
- name: hot
  above: { devices: devices/+, field: environment.temperature, value: 60 }
  to: ${receiver.url}
- name: cold
  below: { devices: devices/+, field: environment.temperature, value: 0, for: 1s }
  to: ${receiver.url}
- name: behind
  lag: { above: 10s }
  to: ${receiver.url}
`
  // Nobody stores: the alert of lag begins once, and is firing through all kills.
  const environment = {
    TELLTALE_LOG_LEVEL: 'info',
    TELLTALE_CONFIG_DIR: config,
    INFLUX_API: 'v1',
    INFLUX_BUCKET: 'none',
    INFLUX_URL: `http://127.0.0.1:${await freePort()}`,
  }
  const mqtt = await freePort()
  const start = async (roles: string) => {
    const ports = { mqtt, gateway: await freePort() }
    const running = new RunningPlatform(join(directory, 'data'), ports, { roles, environment })
    t.after(() => running.kill())
    await running.start()
    return running
  }
  const broker = await start('broker')
  const gateways = [await start('gateway'), await start('gateway')]
  const telling = () => gateways.filter(({ output }) => output.includes(TELLS))

  const password = await broker.deviceToken('truck-7')
  const client = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { clientId: 'truck-7', username: 'truck-7', password })
  t.after(() => client.endAsync(true))
  const send = async (...temperatures: readonly number[]) => {
    for (const temperature of temperatures) {
      const reading = { ts: Date.now(), temperature, humidity: 1, pressure: 1, battery: 1, rssi: 1 }
      await client.publishAsync('devices/truck-7/telemetry/environment', JSON.stringify(reading), { qos: 1 })
    }
  }
  const told = () => [...new Map(receiver.messages.map((message) => [message.id, message])).values()]
  const states = () => told().map(({ rule, state }) => `${rule} ${state}`)
  const statesOfFields = () => states().filter((state) => !state.startsWith('behind'))
  const wanted: string[] = []
  const expect = async (...more: readonly string[]) => {
    wanted.push(...more)
    await until(
      () => statesOfFields().length >= wanted.length,
      () => `${wanted.join(', ')} is told, and not ${statesOfFields().join(', ')}`,
    )
  }

  // The rules come while they run. What is pending by them goes on with the other: it is told though nothing more comes.
  writeFileSync(join(config, 'rules', 'all.yaml'), rules)
  await until(() => gateways.every(({ output }) => output.includes('other rules are in force')))
  await send(-5)
  const [started] = gateways
  await started?.kill()
  await expect('cold firing')
  await send(20)
  await expect('cold resolved')
  await started?.start()

  for (let kill = 1; kill < KILLS; kill++) {
    await send(61)
    await expect('hot firing')
    const [first, second] = telling()
    assert(first !== undefined && second === undefined, 'one of them tells')
    // What the one that stands by answers is what the other saved.
    for (const each of gateways) {
      const { alerts } = await each.get<AlertsPage>('/v1/alerts')
      assert(alerts.some(({ rule, state }) => rule === 'hot' && state === 'firing'))
    }
    // This may be told by the one that is killed, or by the other; what comes while nobody looks, by the other.
    await send(20)
    await first.kill()
    await send(61, 20)
    await expect('hot resolved', 'hot firing', 'hot resolved')
    await first.start()
  }
  await until(() => states().includes('behind firing'))
  assert.deepEqual(statesOfFields(), wanted)
  assert.equal(states().length, wanted.length + 1, 'the store is behind all the time, and that is told once')
  const again = receiver.told.length - told().length
  t.diagnostic(`${told().length} messages through ${KILLS} kills of the one that tells, ${again} of them sent again`)
})
