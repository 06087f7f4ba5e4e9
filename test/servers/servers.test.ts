/** The servers the other tests lean on do start, answer and leave nothing behind. */

import assert from 'node:assert/strict'
import test from 'node:test'
import { startInfluxdb1 } from './influxdb1.ts'
import { startInfluxdb2 } from './influxdb2.ts'
import { startMosquitto } from './mosquitto.ts'
import { answers, requireServer } from './server.ts'
import { startVictoriaMetrics } from './victoriametrics.ts'

const servers = {
  'InfluxDB 2': startInfluxdb2,
  'InfluxDB 1': startInfluxdb1,
  VictoriaMetrics: startVictoriaMetrics,
  Mosquitto: startMosquitto,
}

for (const [name, start] of Object.entries(servers)) {
  test(`${name} starts on a free port and is gone after stop`, async (t) => {
    const server = await requireServer<{ url: string; stop(): Promise<void> }>(t, () => start())
    if (server === undefined) return
    await server.stop()
    await assert.rejects(answers(server.url.replace('mqtt:', 'http:')))
  })
}
