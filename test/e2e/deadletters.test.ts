/** Dead letters on the whole platform: looked at, replayed after their schema was added, across kill -9, with all books. */

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type IPublishPacket, type MqttClient } from 'mqtt'
import type { DeviceRecord } from '../../gateway/devices/one-device.ts'
import type { Why } from '../../gateway/devices/why.ts'
import { LocalLog } from '../../log/local/local-log.ts'
import { type DeviceLedger, INGEST_READER } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/logger.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { SHIPPED_SCHEMAS_DIR } from '../../schemas/registry.ts'
import { scratchDirectory } from '../scratch.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'
import { environmentBody, singleObject } from './avro-by-hand.ts'
import { RunningPlatform } from './platform.ts'

const NOW = Date.now() - 600_000
const PUMP = {
  type: 'record',
  name: 'pump',
  namespace: 'telltale',
  fields: [
    { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'flow', type: 'double', unit: 'L/min' },
  ],
}
const good = { ts: NOW, temperature: 21.3, humidity: 40, pressure: 1013.2, battery: 90, rssi: -60 }

/** A platform with schemas of its own, to which the stream `pump` can be added. */
async function startPlatform(t: TestContext) {
  const schemas = join(scratchDirectory(t), 'schemas')
  cpSync(SHIPPED_SCHEMAS_DIR, schemas, {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  })
  const platform = await RunningPlatform.start(t, { environment: { TELLTALE_SCHEMAS_DIR: schemas } })
  const addPump = () => {
    mkdirSync(join(schemas, 'pump'))
    writeFileSync(join(schemas, 'pump', '1.avsc'), JSON.stringify(PUMP))
  }
  return { platform, addPump }
}

async function connect(t: TestContext, platform: RunningPlatform, device: string): Promise<MqttClient> {
  const password = await platform.deviceToken(device)
  const client = await connectAsync({ port: platform.mqttPort, clientId: device, username: device, password })
  t.after(() => client.endAsync(true))
  return client
}

/** So many dead letters are left. */
const untilHeld = (platform: RunningPlatform, held: number) =>
  until(async () => (await platform.ledger()).held === held)

const pump = (number: number) => Buffer.from(JSON.stringify({ ts: NOW + number, flow: number / 10 }))

test('messages of a stream without a schema are replayed by themselves once it is there: stored and in balance', async (t) => {
  const { platform, addPump } = await startPlatform(t)
  const device = await connect(t, platform, 'pump-1')
  const send = (stream: string, payload: Buffer) =>
    device.publishAsync(`devices/pump-1/telemetry/${stream}`, payload, { qos: 1 })
  for (let number = 0; number < 5; number++) await send('pump', pump(number))
  await send('environment', singleObject(environmentBody(good)))
  await send('environment', singleObject(environmentBody(good)).subarray(0, 25))
  const before = await platform.settled()
  assert.deepEqual([before.accepted, before.stored, before.deadLettered], [7, 1, 6])

  const shown = await platform.telltale('deadletters', 'show', '6')
  assert.match(shown, /^contents +Avro single-object encoding, fingerprint 1cbbb95fb5d067f9, of environment 1$/m)
  assert.match(shown, /^ +temperature +21\.3$/m)
  assert.match(shown, /^ +stopped at byte 24: pressure needs 8 bytes, and 1 are left$/m)
  assert.match(shown, /^now +malformed-avro/m)
  assert.match(shown, /^000000 {2}c3 01 f9 67/m)

  addPump()
  await untilHeld(platform, 1)
  const after = await platform.settled()
  assert.deepEqual([after.accepted, after.stored, after.deadLettered, after.readings], [12, 6, 6, 6])
  const query = `filter=devices/%2B/telemetry/pump&from=${NOW - 1}&to=${NOW + 1_000}`
  const values = (await platform.readings(query)).map((reading) => reading.values.flow)
  assert.deepEqual(values, [0, 0.1, 0.2, 0.3, 0.4])
  const { cause, code } = await platform.get<Why>('/v1/devices/pump-1/why')
  assert.deepEqual([cause, code], ['set-aside', 'malformed-avro'], 'of what is left')
  assert.equal(await platform.telltale('deadletters', 'purge', '6'), 'purged 1\n')
  assert.notEqual((await platform.get<Why>('/v1/devices/pump-1/why')).cause, 'set-aside')
  const { hours } = await platform.get<DeviceRecord>('/v1/devices/pump-1')
  const sumOf = (name: 'received' | 'stored' | 'setAside') => hours.reduce((sum, hour) => sum + hour[name], 0)
  assert.deepEqual([sumOf('received'), sumOf('stored'), sumOf('setAside')], [7, 6, 1])

  const own = {
    device: 'pump-1',
    accepted: 12,
    stored: 6,
    deadLettered: 6,
    pending: 0,
    balanced: true,
    readings: 6,
    superseded: 0,
  }
  assert.deepEqual(await platform.get<DeviceLedger>('/v1/ledger?device=pump-1'), own)
  assert.deepEqual(JSON.parse(await platform.telltale('ledger', '--device', 'pump-1', '--json')), own)
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  const samples = [
    'telltale_ledger_messages{state="accepted"} 12',
    'telltale_ledger_messages{state="stored"} 6',
    'telltale_ledger_messages{state="dead_lettered"} 6',
    'telltale_ledger_messages{state="pending"} 0',
    'telltale_dead_letters{state="held"} 0',
    'telltale_dead_letters{state="replayed"} 5',
    'telltale_dead_letters{state="purged"} 1',
    'telltale_dead_letters{state="expired"} 0',
  ]
  for (const sample of samples) assert(metrics.includes(`${sample}\n`), `${sample} is not among the metrics`)
})

test('kill -9 while they are: it goes on at the next start, and each message is stored once', async (t) => {
  const messages = 10_000
  const { platform, addPump } = await startPlatform(t)
  const device = await connect(t, platform, 'pump-1')
  const packet: Pick<IPublishPacket, 'qos'> = { qos: 1 }
  await Promise.all(
    Array.from({ length: messages }, (_, number) =>
      device.publishAsync('devices/pump-1/telemetry/pump', pump(number), packet),
    ),
  )
  await device.endAsync()
  assert.equal((await platform.settled()).deadLettered, messages)

  const directory = join(platform.directory, 'log')
  const options = { directory, writer: false, maxBytes: 2 ** 30, retentionMs: 86_400_000 }
  const log = new LocalLog(options, { clock: systemClock, logger: silentLogger(), metrics: createMetrics() })
  await log.start()
  t.after(() => log.stop())
  addPump()
  await until(async () => (await log.deadLetterCounts()).replayed !== 0)
  await platform.kill()
  const { held, replayed: before } = await log.deadLetterCounts()
  t.diagnostic(`killed when ${before} of ${messages} were replayed`)
  assert.equal(held + before, messages)
  const torn = await log.ledger(INGEST_READER)
  assert.deepEqual([torn.accepted, torn.deadLettered, torn.balanced], [messages + before, messages, true])

  await platform.start()
  await untilHeld(platform, 0)
  const { held: left, replayed, ...ledger } = await platform.settled()
  assert.deepEqual([left, replayed], [0, messages])
  assert.deepEqual([ledger.accepted, ledger.stored, ledger.deadLettered], [2 * messages, messages, messages])
  const { device: _, ...own } = await platform.get<DeviceLedger>('/v1/ledger?device=pump-1')
  assert.deepEqual(own, ledger)
  assert.equal(await platform.countStored('pump', 'flow'), messages)
  assert.deepEqual(
    { ...(await log.deadLetterCounts()), heldBytes: 0 },
    {
      held: 0,
      heldBytes: 0,
      replayed: messages,
      purged: 0,
      expired: 0,
    },
  )
})

test('what the disk gives back changed is set aside and told; all else is stored, and it too once a person replays it', async (t) => {
  const directory = scratchDirectory(t)
  const log = new LocalLog(
    { directory: join(directory, 'log'), writer: true, maxBytes: 2 ** 30, retentionMs: 3_600_000 },
    { clock: systemClock, logger: silentLogger(), metrics: createMetrics() },
  )
  await log.start()
  for (let number = 0; number < 20; number++) {
    const payload = Buffer.from(JSON.stringify({ ...good, ts: NOW + number, temperature: 100 + number }))
    const entry = { device: 'truck-7', stream: 'environment', receivedAt: systemClock.now(), flags: 0, payload }
    await new Promise<void>((resolve, reject) => log.append(entry, (error) => (error ? reject(error) : resolve())))
  }
  await log.stop()
  const file = join(directory, 'log', 'data.mdb')
  const bytes = readFileSync(file)
  // Pages that are not in use any more may hold it too.
  const damaged = bytes.toString('latin1').replaceAll('"temperature":107', '"temperature":167')
  writeFileSync(file, damaged, 'latin1')

  const platform = new RunningPlatform(directory, { mqtt: await freePort(), gateway: await freePort() }, {})
  t.after(() => platform.kill())
  await platform.start()
  const { accepted, stored, deadLettered } = await platform.settled()
  assert.deepEqual([accepted, stored, deadLettered], [20, 19, 1])
  assert.match(platform.output, /the disk gave a commit of the log back changed/)
  const list = JSON.parse(await platform.telltale('deadletters', 'list', '--code', 'log-damaged', '--json'))
  assert.deepEqual([list.device, list.stream, list.offset], ['truck-7', 'environment', 7])
  assert.match(await platform.telltale('deadletters', 'show', String(list.sequence)), /temperature\D+167/)
  assert.equal(await platform.telltale('deadletters', 'replay', '--code', 'log-damaged'), 'replayed 1\n')
  const after = await platform.settled()
  assert.deepEqual([after.accepted, after.stored, after.deadLettered], [21, 20, 1])
})
