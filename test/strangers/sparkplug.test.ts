/** An edge node by a library that nobody here wrote, through the whole platform: each value, a gap, a rebirth that it answers, its death. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { plainEnvironment, RunningPlatform } from '../e2e/platform.ts'
import { findOrSkip } from '../servers/server.ts'
import { until } from '../until.ts'
import { commandOf, SPARKPLUG_CLIENT } from './devices.ts'

test('npm sparkplug-client: births, data by alias, compressed data, a gap, a rebirth and a death', async (t) => {
  const command = findOrSkip(t, () => commandOf(SPARKPLUG_CLIENT))
  if (command === undefined) return
  const platform = await RunningPlatform.start(t)
  const now = Date.now() + 1_000
  const [file, ...args] = command
  const token = await platform.deviceToken('plant:line4')
  const env = { ...plainEnvironment(), PORT: String(platform.mqttPort), TELLTALE_TOKEN: token, NOW: String(now) }
  const { stdout } = await promisify(execFile)(file, args, { env })
  assert.equal(stdout, 'ncmd Node Control/Rebirth true\n')
  // QoS 0: nobody told the edge node that it was taken.
  await until(async () => (await platform.ledger()).accepted === 8)
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered, ledger.superseded], [8, 0, 0])
  const integers = {
    i8: -5,
    i16: -32768,
    i32: -(2 ** 31),
    i64: -5,
    u8: 255,
    u16: 65535,
    u32: 2 ** 32 - 1,
    u64: 2 ** 53 - 1,
  }
  const born = { ...integers, f: 21.3, d: 0.1, b: true, s: 'läuft' }
  const to = `from=${now - 10_000}&to=${now + 10_000}`
  const stored = async (device: string) => {
    const readings = await platform.readings(`filter=devices/${device}/telemetry/sparkplug&${to}`)
    return [...readings].sort((a, b) => a.ts - b.ts).map(({ ts, values }) => [ts - now, values])
  }
  assert.deepEqual(await stored('plant:line4'), [
    [0, { Properties_Version: '1.8' }],
    [4, { Properties_Version: '1.8' }],
  ])
  assert.deepEqual(await stored('plant:line4:press'), [
    [0, { ...born, t: now }],
    [1, { f: 21.5 }],
    [2, { i32: 7 }],
    [3, { s: 'steht' }],
    [4, { ...born, t: now + 4 }],
    [5, { i8: 1 }],
  ])
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  assert.match(metrics, /^telltale_sparkplug_sequence_gaps_total 1$/m)
  const { devices } = await platform.get<{ devices: { device: string; online: boolean }[] }>('/v1/devices')
  assert.deepEqual(
    devices.map(({ device, online }) => [device, online]),
    [
      ['plant:line4', false],
      ['plant:line4:press', false],
    ],
  )
})
