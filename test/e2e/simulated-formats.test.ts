/** What simulated devices write in each format, through the whole platform: it makes of it what their sources say that it does. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { type Reading, Rejection } from '../../schemas/reading.ts'
import { fileName } from '../../schemas/schema-files.ts'
import { CASES, type Case, makeSource, schemasWith, siteFiles } from '../devices/simulator/messages/sources.ts'
import { scratchDirectory } from '../scratch.ts'
import { LiveSocket } from './live-socket.ts'
import { RunningPlatform } from './platform.ts'

const MESSAGES = 3
const STEP_MS = 10

/** A platform with the schemas and maps of a site that uses every format. */
async function startSite(t: TestContext): Promise<RunningPlatform> {
  const directory = scratchDirectory(t)
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  for (const file of siteFiles.files) write(join('schemas', fileName(file)), file.text)
  write('schemas/lock.json', siteFiles.lock ?? '')
  for (const { file, text } of siteFiles.maps ?? []) write(join('config', 'maps', file), text)
  const environment = {
    TELLTALE_SCHEMAS_DIR: join(directory, 'schemas'),
    TELLTALE_CONFIG_DIR: join(directory, 'config'),
  }
  return RunningPlatform.start(t, { environment })
}

async function connectDevice(t: TestContext, platform: RunningPlatform, id: string): Promise<MqttClient> {
  const password = await platform.deviceToken(id)
  const client = await connectAsync({
    port: platform.mqttPort,
    clientId: id,
    username: id,
    password,
    reconnectPeriod: 0,
  })
  t.after(() => client.end(true))
  return client
}

const inOrder = (readings: readonly Reading[]) =>
  readings
    .map(({ device, stream, ts, values }) => ({ device, stream, ts, values: { ...values } }))
    .sort((a, b) => a.device.localeCompare(b.device) || a.stream.localeCompare(b.stream) || a.ts - b.ts)

test('every format of every shipped stream becomes the readings that its source says', async (t) => {
  const platform = await startSite(t)
  const live = await LiveSocket.open(platform.url, await platform.appToken())
  t.after(() => live.close())
  live.send({ type: 'subscribe', id: '1', filter: 'devices/+/telemetry/#', start: 'now' })
  await live.next('live')
  const clients = new Map<string, MqttClient>()
  const schemas = schemasWith(siteFiles)
  const base = Date.now() + 1_000
  const expected: Reading[] = []
  /** Publishes as the device would, each message once the one before is on disk. */
  const publish = async (each: Case, index: number) => {
    const device = each.format === 'sparkplug' ? 'plant:node-1' : 'sim-1'
    const client = clients.get(device) ?? (await connectDevice(t, platform, device))
    clients.set(device, client)
    const source = makeSource({ ...each, everyMs: STEP_MS, schemas })
    for (const { topic, payload } of source.birth(base + index * MESSAGES * STEP_MS)) {
      await client.publishAsync(topic, payload, { qos: 1 })
    }
    for (let number = 0; number < MESSAGES; number++) {
      const at = base + (index * MESSAGES + number) * STEP_MS
      const payload = source.write(source.measure(at))
      const read = source.read(source.topic, payload, at)
      assert(!(read instanceof Rejection), read instanceof Rejection ? read.reason : '')
      expected.push(...read)
      await client.publishAsync(source.topic, payload, { qos: 1 })
    }
  }
  for (const [index, each] of CASES.entries()) await publish(each, index)
  const came: Reading[] = []
  while (came.length < expected.length) came.push(...((await live.next('readings')).readings as Reading[]))
  assert.deepEqual(inOrder(came), inOrder(expected))
})
