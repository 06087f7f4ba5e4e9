/** The store in every trouble it can answer with, seen from outside: live goes on, the log holds, nothing is lost or set aside. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectAsync } from 'mqtt'
import { type Fault, startFaultServer } from '../ingest/influx/fault-server.ts'
import { startInfluxdb1 } from '../servers/influxdb1.ts'
import { freePort, requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { environmentBody, singleObject } from './avro-by-hand.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'

const PER_PHASE = 20
const VALUES = { temperature: 21.3, humidity: 40, pressure: 1013, battery: 90, rssi: -60 }

const TROUBLES: Record<string, Fault> = {
  'cut off': { status: 0 },
  'unauthorized (401)': { status: 401, body: { code: 'unauthorized', message: 'unauthorized access' } },
  'forbidden (403)': { status: 403, body: { code: 'forbidden', message: 'insufficient permissions' } },
  'without the bucket (404)': { status: 404, body: { code: 'not found', message: 'bucket not found' } },
  'overloaded (429)': { status: 429, headers: { 'retry-after': '1' } },
  'failing (500)': { status: 500, body: { code: 'internal error', message: 'engine: disk' } },
  'behind a proxy that is down (502)': { status: 502, body: '<html>Bad Gateway</html>' },
  'a login page (200)': { status: 200, body: '<html>Sign in</html>' },
}

test('a store in trouble holds up neither live readings nor acknowledgements, and has everything once it is well', async (t) => {
  const server = await startFaultServer(t)
  const store = { kind: 'influx', url: server.url, token: 't', org: 'o', bucket: 'b', api: 'v2' } as const
  let trouble: Fault | undefined
  server.decide = () => trouble
  const platform = await RunningPlatform.start(t, { store })
  const live = await LiveSocket.open(platform.url, await platform.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/environment', start: 'now' })
  await live.next('live')
  const client = await connectAsync({
    port: platform.mqttPort,
    clientId: 'd',
    username: 'd',
    password: await platform.deviceToken('d'),
  })
  t.after(() => client.endAsync(true))
  const start = Date.now() - 60_000
  let sent = 0
  for (const [name, fault] of Object.entries(TROUBLES)) {
    trouble = fault
    for (let more = 0; more < PER_PHASE; more++) {
      const payload = singleObject(environmentBody({ ts: start + sent++, ...VALUES }))
      await client.publishAsync('devices/d/telemetry/environment', payload, { qos: 1 })
    }
    let received = 0
    while (received < PER_PHASE) received += ((await live.next('readings')).readings as unknown[]).length
    const asked = server.requests.length
    await until(() => server.requests.length !== asked)
    assert.equal((await fetch(`${platform.url}/readyz`)).status, 200, name)
    const { accepted, stored, deadLettered, balanced } = await platform.ledger()
    assert.deepEqual([accepted, stored, deadLettered, balanced], [sent, 0, 0, true], name)
  }
  trouble = undefined
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered], [sent, 0])
  assert.equal(server.lines.size, sent)
})

test('a store that is down at the start is found when it comes up, and has what was taken meanwhile', async (t) => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const store = { kind: 'influx', url, token: '', org: '', bucket: 'telltale', api: 'v1' } as const
  const platform = await RunningPlatform.start(t, { store })
  const summary = await platform.simulate('--devices', '10', '--messages', '2000', '--rate', '0', '--seed', '5')
  assert.equal(summary.acknowledged, 2_000)
  const before = await platform.ledger()
  assert.deepEqual([before.accepted, before.stored, before.pending], [2_000, 0, 2_000])
  const influxdb = await requireServer(t, () => startInfluxdb1({ port, bucket: 'telltale' }))
  if (influxdb === undefined) return
  const { stored, deadLettered } = await platform.settled()
  assert.deepEqual([stored, deadLettered], [2_000, 0])
  assert.equal(await platform.countStored('environment', 'temperature'), 2_000)
})
