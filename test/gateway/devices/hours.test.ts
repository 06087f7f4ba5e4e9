/** What there should have been of a device in an hour: not what came before it began, nor what is not due yet. */

import assert from 'node:assert/strict'
import type { DeviceRecord } from '../../../gateway/devices/one-device.ts'
import { until } from '../../until.ts'
import { duckdb } from '../live/aged.ts'
import { environment, HOUR_MS, NOW, onEachServer, startPlatform } from '../platform.ts'

const EVERY_MS = 10_000
const HOUR_FROM = Math.floor(NOW / HOUR_MS) * HOUR_MS

onEachServer('of the hour in which a device began, and of the one that goes on', async (t, server) => {
  const platform = await startPlatform(t, server, {
    devices: '{ device: truck-1, interval: 10s }',
    store: duckdb,
  })
  const { clock } = platform
  const hours = async () => {
    const record = (await (await platform.get('/v1/devices/truck-1')).json()) as DeviceRecord
    return record.hours.map(({ from, received, expected, completeness }) => [
      ...[(from - HOUR_FROM) / HOUR_MS, received, expected, completeness],
    ])
  }
  for (let sent = 0; sent < 5; sent++) {
    if (sent === 1) {
      await until(async () => (await hours())[0]?.[1] === 1)
      assert.deepEqual(await hours(), [[0, 1, 0, undefined]], 'of nothing that is due there is no share')
    }
    clock.time = NOW + sent * EVERY_MS
    await platform.publish('truck-1', 'environment', environment(clock.time))
  }
  await until(async () => (await hours())[0]?.[1] === 5)
  assert.deepEqual(await hours(), [[0, 5, 4, 1]])
  clock.time += 3 * EVERY_MS
  assert.deepEqual(await hours(), [[0, 5, 4, 1]], 'it is not silent, and what came since may not be counted yet')
  clock.time += EVERY_MS
  assert.deepEqual(await hours(), [[0, 5, 7, 0.714]], 'it is: one message is not due yet')
  clock.time = HOUR_FROM + HOUR_MS + 2 * EVERY_MS
  const due = Math.floor((HOUR_FROM + HOUR_MS - NOW) / EVERY_MS)
  assert.deepEqual(await hours(), [
    [0, 5, due, Math.round((5 / due) * 1_000) / 1_000],
    [1, 0, 1, 0],
  ])
})
