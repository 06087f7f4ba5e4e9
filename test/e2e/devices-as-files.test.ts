/** Devices as files on a real platform: from a file that is written while it runs to what it says of a device. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import type { DevicesPage } from '../../gateway/devices/devices.ts'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import { scratchDirectory } from '../scratch.ts'
import { until } from '../until.ts'
import { RunningPlatform } from './platform.ts'
import { Site } from './why/planted.ts'

test('a device is declared while the platform runs, gets its token, and is told what it does not send', async (t) => {
  const config = scratchDirectory(t)
  const folder = join(config, 'devices')
  mkdirSync(folder)
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_CONFIG_DIR: config } })
  const site = await Site.of(platform)
  t.after(() => site.stop())
  writeFileSync(
    join(folder, 'fleet.yaml'),
    '- { device: truck-7, site: yard, labels: { fleet: north }, streams: [environment, vehicle], interval: 1s }\n- { device: truck-8 }\n',
  )
  const devices = async (query = '') => (await platform.get<DevicesPage>(`/v1/devices${query}`)).devices
  await until(async () => (await devices()).length === 2)
  assert.deepEqual(
    (await devices()).map(({ device, cause }) => [device, cause]),
    ['truck-7', 'truck-8'].map((device) => [device, 'never-connected']),
  )
  const [line = ''] = (await platform.telltale('devices', 'apply')).split('\n')
  const [device, password = ''] = line.split(' ')
  assert.equal(device, 'truck-7')
  const client = await connectAsync({
    host: '127.0.0.1',
    port: platform.mqttPort,
    clientId: device,
    username: device,
    password,
  })
  t.after(() => client.endAsync(true))
  site.keepSending(client, device)
  const why = await site.answers(device, { cause: 'missing-stream' })
  assert.match(why.sentence, /^truck-7 sends environment, but never vehicle/)
  assert.match(
    await platform.telltale('devices', 'list', '--site', 'yard'),
    /^truck-7 +yard +fleet:north +incomplete +missing/m,
  )
  const shown = await platform.telltale('devices', 'show', device)
  assert.match(shown, /^vehicle +yes +- +-$/m)
  assert.match(shown, /^environment +yes +2/m)
  const record = await platform.get<DeviceRecord>(`/v1/devices/${device}`)
  assert.equal(record.intervalMs, 1_000)
  assert.notEqual(record.hours.at(-1)?.expected, undefined)

  writeFileSync(join(folder, 'fleet.yaml'), '- { device: truck-7, site: yard, interval: 1s }\n')
  await until(async () => (await devices('?site=yard'))[0]?.cause === 'well')
  assert.deepEqual(
    (await devices()).map(({ device, labels }) => [device, labels]),
    [['truck-7', undefined]],
  )
})
