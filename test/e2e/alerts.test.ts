/** docs/alerts.md, run: its rules are read by the platform, and alerts outlive a kill -9 of it. */

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { Rules } from '../../gateway/alerts/rules.ts'
import { Receiver } from '../gateway/alerts/receiver.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/alerts.md', import.meta.url)), 'utf8')
const ROUNDS = 4

test('every rule of the page can be used', () => {
  const texts = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = '']) => text)
  assert(texts.length >= 3)
  for (const [index, text] of texts.entries()) {
    const rules = new Rules()
    rules.use([{ file: `example-${index}.yaml`, text }])
    assert(rules.all.length > 0, text)
  }
})

test('through kills no alert is lost, and what is sent twice has the same id', async (t) => {
  const receiver = await Receiver.start(t)
  const config = join(scratchDirectory(t), 'config')
  mkdirSync(join(config, 'rules'), { recursive: true })
  const rule = `above: { devices: devices/+, field: environment.temperature, value: 60 }\nto: [ ${receiver.url}/hook ]\n`
  writeFileSync(join(config, 'rules', 'hot.yaml'), rule)
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_CONFIG_DIR: config } })
  const token = await platform.deviceToken('truck-7')
  const send = async (temperatures: readonly number[]) => {
    const client = await connectAsync(`mqtt://127.0.0.1:${platform.mqttPort}`, {
      clientId: 'truck-7',
      username: 'truck-7',
      password: token,
    })
    for (const temperature of temperatures) {
      const reading = { ts: Date.now(), temperature, humidity: 1, pressure: 1, battery: 1, rssi: 1 }
      await client.publishAsync('devices/truck-7/telemetry/environment', JSON.stringify(reading), { qos: 1 })
    }
    await client.endAsync(true)
  }
  const told = () => [...new Map(receiver.messages.map((message) => [message.id, message])).values()]
  const wanted: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    // In every other round the target is away meanwhile, and hears of it after the kill.
    const isAway = round % 2 === 1
    const { port } = receiver
    if (isAway) receiver.close()
    await send([61, 20])
    wanted.push('hot truck-7 firing', 'hot truck-7 resolved')
    await platform.kill()
    if (isAway) await receiver.listen(port)
    await platform.start()
    await until(() => told().length >= wanted.length)
  }
  assert.deepEqual(
    told().map(({ rule: name, device, state }) => `${name} ${device} ${state}`),
    wanted,
  )
  await platform.kill()
  await platform.start()
  await send([61])
  await until(() => told().length > wanted.length)
  const again = receiver.told.length - told().length
  t.diagnostic(`${told().length} messages through ${ROUNDS + 1} kills, ${again} of them sent again`)
  const { alerts } = await platform.get<{ alerts: { state: string }[] }>('/v1/alerts')
  assert.equal(alerts.filter(({ state }) => state === 'firing').length, 1)

  // A rule that is broken while running stays what it was; `map check` says what is wrong.
  const broken = join(config, 'rules', 'broken.yaml')
  writeFileSync(`${broken}.tmp`, 'silent: { devices: trucks, for: 5m }\nto: [ http://127.0.0.1:1/ ]\n')
  renameSync(`${broken}.tmp`, broken)
  await until(() => platform.output.includes('broken.yaml:1: devices is'))
  await assert.rejects(
    platform.telltale('map', 'check'),
    /broken\.yaml:1: devices is .*trucks.*; right is devices\/truck-7/,
  )
})
