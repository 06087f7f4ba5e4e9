/** A version of a schema that is added while the platform runs, and devices that send by it at once. */

import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { Registry } from '../../schemas/registry.ts'
import { probe, schemaFolder } from '../schemas/schema-folder.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'
import { STORES } from './stores.ts'

const X = { name: 'x', type: 'double' }
const FIRST = probe(X)
const SECOND = probe(X, { name: 'y', type: ['null', 'int'], default: null })

/** A whole file at once, as a deployment should do it. */
function addSecond(folder: string): void {
  writeFileSync(join(folder, 'next'), JSON.stringify(SECOND))
  renameSync(join(folder, 'next'), join(folder, 'probe/2.avsc'))
}

const both = (t: TestContext) => Registry.load(schemaFolder(t, { 'probe/1.avsc': FIRST, 'probe/2.avsc': SECOND }))

async function device(t: TestContext, platform: RunningPlatform, id: string): Promise<MqttClient> {
  const password = await platform.deviceToken(id)
  const client = await connectAsync({ port: platform.mqttPort, clientId: id, username: id, password })
  t.after(() => client.end(true))
  return client
}

type Shown = { readonly ts: number; readonly values: Record<string, number> }
const values = (readings: readonly Shown[]) => readings.map((reading) => reading.values)

async function sendsByBoth(t: TestContext, folder: string, broker: RunningPlatform, gateway: RunningPlatform) {
  const registry = both(t)
  const client = await device(t, broker, 'd')
  const live = await LiveSocket.open(gateway.url, await gateway.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/d/telemetry/probe', start: 'now' })
  await live.next('live')
  const seen: Shown[] = []
  const send = async (record: object, version: number) => {
    await client.publishAsync('devices/d/telemetry/probe', registry.encode('probe', record, version), { qos: 1 })
    seen.push(...((await live.next('readings')).readings as Shown[]))
  }
  const now = Date.now()
  await send({ ts: now, x: 1 }, 1)
  addSecond(folder)
  await send({ ts: now + 1, x: 2, y: 20 }, 2)
  await send({ ts: now + 2, x: 3 }, 1)
  assert.deepEqual(values(seen), [{ x: 1 }, { x: 2, y: 20 }, { x: 3 }])
  const ledger = await gateway.settled()
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [3, 3, 0])
  const stored = await gateway.readings(`filter=devices/d/telemetry/probe&from=${now}&to=${now + 3}`)
  assert.deepEqual(
    stored.map((reading) => reading.values).sort((a, b) => Number(a.x) - Number(b.x)),
    [{ x: 1 }, { x: 2, y: 20 }, { x: 3 }],
  )
  const shown = await gateway.get<{ id?: number }>('/v1/schemas/probe/2')
  if (shown.id === undefined)
    await until(async () => (await gateway.get<{ id?: number }>('/v1/schemas/probe/2')).id === 3)
}

test('one process with the embedded store: nothing is set aside, and nothing waits', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  await sendsByBoth(t, folder, platform, platform)
})

test('three processes: each knows it', async (t) => {
  const store = await STORES['InfluxDB 2.7']?.(t)
  if (store?.options === undefined) return
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const directory = scratchDirectory(t)
  const options = { store: store.options, environment: { TELLTALE_SCHEMAS_DIR: folder } }
  const [broker, ingest, gateway] = ['broker', 'ingest', 'gateway'].map(
    (roles) => new RunningPlatform(directory, ports, { roles, ...options }),
  )
  assert(broker && ingest && gateway)
  const processes = [broker, ingest, gateway]
  t.after(() => Promise.all(processes.map((each) => each.kill())))
  for (const each of processes) await each.start()
  await sendsByBoth(t, folder, broker, gateway)
})

test('a broken version is told, and the platform stays ready and stores by those of before', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  writeFileSync(join(folder, 'probe/2.avsc'), JSON.stringify(probe({ ...X, unit: 'm' })))
  await until(() => /2\.avsc.*the schemas of before stay in force/.test(platform.output))
  assert.equal((await fetch(`${platform.url}/readyz`)).status, 200)
  const client = await device(t, platform, 'd')
  await client.publishAsync('devices/d/telemetry/probe', '{"ts":' + Date.now() + ',"x":1}', { qos: 1 })
  assert.equal((await platform.settled()).stored, 1)
})
