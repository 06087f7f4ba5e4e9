/** A version of a schema that is added while the platform runs, and devices that send by it at once. */

import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { eachEntry, REPLAYED, readEntry } from '../../log/entry.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { Decoder } from '../../schemas/decoder.ts'
import { Rejection } from '../../schemas/reading.ts'
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

async function device(t: TestContext, platform: RunningPlatform, id: string, token?: string): Promise<MqttClient> {
  const password = token ?? (await platform.deviceToken(id))
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

test('a version that is posted is known to whoever is sent by it next, and outlives the process', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  const client = await device(t, platform, 'd')
  const token = (await platform.telltale('token', 'app', '--filter', '#', '--schemas')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const posted = await fetch(`${platform.url}/v1/schemas`, { method: 'POST', headers, body: JSON.stringify(SECOND) })
  assert.equal(posted.status, 201)
  const payload = both(t).encode('probe', { ts: Date.now(), x: 1, y: 2 }, 2)
  await client.publishAsync('devices/d/telemetry/probe', payload, { qos: 1 })
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered], [1, 0])
  await platform.kill()
  await platform.start()
  assert.equal((await platform.get<{ id: number }>('/v1/schemas/probe/2')).id, 3)
})

test('a broken version is told, and the platform stays ready and stores by those of before', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  writeFileSync(join(folder, 'probe/2.avsc'), JSON.stringify(probe({ ...X, unit: 'm' })))
  await until(() => /2\.avsc.*the schemas of before stay in force/.test(platform.output))
  assert.equal((await fetch(`${platform.url}/readyz`)).status, 200)
  const client = await device(t, platform, 'd')
  await client.publishAsync('devices/d/telemetry/probe', `{"ts":${Date.now()},"x":1}`, { qos: 1 })
  assert.equal((await platform.settled()).stored, 1)
})

const DEVICES = 20
const MESSAGES = 300
/** From here on a device sends by the second version. */
const SWITCH = 100
const IN_FLIGHT = 10

/**
 * A fleet that sends readings with rising times; `at` is told of each number that the first device is about to send. None sends by the
 * second version before `added`.
 */
async function run(
  t: TestContext,
  platform: RunningPlatform,
  at: (number: number) => void | Promise<void>,
  added = Promise.resolve(),
) {
  const registry = both(t)
  const from = Date.now() - 60_000
  const ids = Array.from({ length: DEVICES }, (_, index) => `d${index}`)
  const tokens = (await platform.telltale('token', 'device', ...ids)).trim().split('\n')
  const send = async (index: number) => {
    const client = await device(t, platform, `d${index}`, tokens[index])
    client.on('error', () => undefined)
    const waiting: Promise<unknown>[] = []
    for (let number = 0; number < MESSAGES; number++) {
      if (index === 0) await at(number)
      if (number === SWITCH) await added
      const isSecond = number >= SWITCH
      const record = { ts: from + number, x: number, ...(isSecond && { y: number }) }
      const payload = registry.encode('probe', record, isSecond ? 2 : 1)
      waiting.push(client.publishAsync(`devices/d${index}/telemetry/probe`, payload, { qos: 1 }))
      if (waiting.length >= IN_FLIGHT) await waiting.shift()
    }
    await Promise.all(waiting)
  }
  await Promise.all(Array.from({ length: DEVICES }, (_, index) => send(index)))
  return { registry, from }
}

/** The times of each device's readings in the log, in its order: as they came, and of those that were put through again. */
async function timesInLog(platform: RunningPlatform, registry: Registry) {
  const options = {
    directory: join(platform.directory, 'log'),
    writer: false,
    maxBytes: 2 ** 30,
    retentionMs: 86_400_000,
  }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  const decoder = new Decoder(registry)
  const times = { came: new Map<string, number[]>(), again: new Map<string, number[]>() }
  const [shard] = log.shards
  assert(shard)
  for (let batch = await shard.read(await shard.first()); batch !== undefined; batch = await shard.read(batch.next)) {
    eachEntry(batch.bytes, batch.firstOffset, (at, offset) => {
      const entry = readEntry(batch?.bytes ?? assert.fail(), at, offset)
      if (entry.stream !== 'probe') return
      const readings = decoder.decode(entry)
      assert(!(readings instanceof Rejection))
      const which = (entry.flags & REPLAYED) === 0 ? times.came : times.again
      which.set(entry.device, [...(which.get(entry.device) ?? []), readings[0]?.ts ?? 0])
    })
  }
  await log.stop()
  return times
}

const isRising = (times: readonly number[]) =>
  times.every((time, index) => index === 0 || (times[index - 1] ?? 0) < time)

async function expectAllStored(platform: RunningPlatform, from: number): Promise<void> {
  for (let index = 0; index < DEVICES; index++) {
    const range = `from=${from}&to=${from + MESSAGES}&limit=1000`
    const stored = await platform.readings(`filter=devices/d${index}/telemetry/probe&${range}`)
    assert.equal(stored.length, MESSAGES)
    for (const { ts, values: of } of stored) {
      const number = ts - from
      assert.deepEqual(of, number < SWITCH ? { x: number } : { x: number, y: number })
    }
  }
}

test('a version is added in the middle of a run and devices send by it at once, kill -9 behind it: none is set aside', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  let restarted = Promise.resolve()
  let tell = () => {}
  const added = new Promise<void>((resolve) => {
    tell = resolve
  })
  const doings = async (number: number) => {
    if (number === SWITCH) {
      addSecond(folder)
      tell()
    }
    if (number === SWITCH + 50) {
      await platform.kill()
      restarted = platform.start()
    }
  }
  const { registry, from } = await run(t, platform, doings, added)
  await restarted
  const ledger = await platform.settled()
  assert.deepEqual([ledger.stored, ledger.deadLettered, ledger.held], [ledger.accepted, 0, 0])
  await expectAllStored(platform, from)
  const { again } = await timesInLog(platform, registry)
  assert.equal(again.size, 0)
})

test('devices send by a version that is added later, kill -9 in between: all is put through again, in order for each', async (t) => {
  const folder = schemaFolder(t, { 'probe/1.avsc': FIRST })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: folder } })
  let restarted = Promise.resolve()
  const { registry, from } = await run(t, platform, async (number) => {
    if (number !== SWITCH + 100) return
    await until(async () => (await platform.ledger()).held > 0)
    addSecond(folder)
    await until(async () => (await platform.ledger()).replayed > 0)
    await platform.kill()
    restarted = platform.start()
  })
  await restarted
  await until(async () => (await platform.ledger()).held === 0)
  const ledger = await platform.settled()
  assert.equal(ledger.deadLettered, ledger.replayed)
  assert.equal(ledger.stored, ledger.accepted - ledger.deadLettered)
  t.diagnostic(`${ledger.replayed} were put through again`)
  await expectAllStored(platform, from)
  const { again } = await timesInLog(platform, registry)
  assert(again.size > 0)
  for (const times of again.values()) assert(isRising(times), times.join(' '))
})
