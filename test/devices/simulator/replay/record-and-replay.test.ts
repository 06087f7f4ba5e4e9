/** A whole platform is recorded as people do it, also through its death, and what was recorded is played to it again. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connectAsync, type MqttClient } from 'mqtt'
import { readRecording } from '../../../../devices/simulator/replay/recording.ts'
import { Replay } from '../../../../devices/simulator/replay/replay-source.ts'
import type { Reading } from '../../../../schemas/reading.ts'
import { plainEnvironment, RunningPlatform } from '../../../e2e/platform.ts'
import { scratchDirectory } from '../../../scratch.ts'
import { until } from '../../../until.ts'
import { registry } from '../fleet.ts'
import { makeSource } from '../messages/sources.ts'

const TELLTALE = fileURLToPath(new URL('../../../../cli/telltale.js', import.meta.url))

class Recorder {
  readonly child: ChildProcess
  output = ''

  constructor(t: TestContext, platform: RunningPlatform, ...args: readonly string[]) {
    const environment = {
      ...plainEnvironment(),
      TELLTALE_DATA_DIR: platform.directory,
      TELLTALE_GATEWAY_PORT: String(platform.gatewayPort),
    }
    this.child = spawn(process.execPath, [TELLTALE, 'record', ...args], { env: environment })
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (chunk) => (this.output += chunk))
    t.after(() => this.child.kill('SIGKILL'))
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    const [code] = this.child.exitCode === null ? await once(this.child, 'exit') : [this.child.exitCode]
    return code as number | null
  }
}

async function deviceOf(t: TestContext, platform: RunningPlatform, id: string): Promise<MqttClient> {
  const password = await platform.deviceToken(id)
  const client = await connectAsync({
    host: '127.0.0.1',
    port: platform.mqttPort,
    username: id,
    clientId: id,
    password,
    reconnectPeriod: 100,
  })
  t.after(() => client.end(true))
  return client
}

async function readingsIn(file: string): Promise<{ readings: Reading[]; gaps: number }> {
  const readings: Reading[] = []
  let gaps = 0
  for await (const recorded of readRecording({ file }, { streams: registry })) {
    assert.notEqual(recorded.kind, 'cut')
    if (recorded.kind === 'gap') gaps++
    if (recorded.kind !== 'reading') continue
    const { device, stream, ts, values } = recorded
    readings.push({ device, stream, ts, values })
  }
  return { readings, gaps }
}

const linesIn = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0)
const plain = ({ device, stream, ts, values }: Reading): Reading => ({ device, stream, ts, values })
const byTime = (a: Reading, b: Reading) => a.ts - b.ts || (a.stream < b.stream ? -1 : 1)

test('a recording has all that came, through a kill -9 of the platform and of the recorder, and is played again', async (t) => {
  const platform = await RunningPlatform.start(t)
  const file = join(scratchDirectory(t), 'site.ndjson')
  const recorder = new Recorder(t, platform, '--filter', 'devices/+/telemetry/#', '--out', file, '--last', '1h')
  const device = await deviceOf(t, platform, 'truck-1')
  const sources = ['vehicle', 'environment', 'vibration'].map((stream) => makeSource({ stream, device: 'truck-1' }))
  const began = Date.now()
  let sent = 0
  const publish = async (count: number) => {
    for (let at = 0; at < count; at++) {
      for (const source of sources) {
        await device.publishAsync(source.topic, source.write(source.measure(began + sent)), { qos: 1 })
        sent++
      }
    }
  }
  await publish(10)
  await until(
    () => linesIn(file) === sent,
    () => `${linesIn(file)} of ${sent}: ${recorder.output}`,
  )
  await platform.kill()
  await platform.start()
  await publish(10)
  await until(
    () => linesIn(file) === sent,
    () => `${linesIn(file)} of ${sent}: ${recorder.output}`,
  )
  assert.equal(await recorder.end('SIGKILL'), null)
  const recorded = await readingsIn(file)
  await platform.settled()
  const span = `from=${began - 1_000}&to=${Date.now() + 1_000}&limit=1000`
  const stored = await platform.readings(`filter=devices/truck-1/telemetry/%23&${span}`)
  assert.equal(recorded.gaps, 0)
  assert.deepEqual(recorded.readings.toSorted(byTime), stored.map(plain).toSorted(byTime))

  // The same to another platform, as it was.
  const other = await RunningPlatform.start(t)
  const player = await deviceOf(t, other, 'truck-1')
  for (const format of ['json', 'avro'] as const) {
    const replay = await Replay.open({ file, speed: 1, times: 'kept', format }, registry)
    assert.deepEqual([replay.devices, replay.readings], [['truck-1'], sent])
    for await (const { topic, payload } of replay.messages(0)) await player.publishAsync(topic, payload, { qos: 1 })
    await other.settled()
    const again = await other.readings(`filter=devices/truck-1/telemetry/%23&${span}`)
    assert.deepEqual(again.map(plain).toSorted(byTime), recorded.readings.toSorted(byTime), format)
  }

  // And as the CSV that history gives.
  const headers = { authorization: `Bearer ${await other.appToken()}`, accept: 'text/csv' }
  const answer = await fetch(`${other.url}/v1/readings?filter=devices/truck-1/telemetry/%23&${span}`, { headers })
  const csv = join(scratchDirectory(t), 'site.csv')
  writeFileSync(csv, await answer.text())
  assert.deepEqual((await readingsIn(csv)).readings.toSorted(byTime), recorded.readings.toSorted(byTime))
})

test('Ctrl-C ends a recording, which says how much there is', async (t) => {
  const platform = await RunningPlatform.start(t)
  const file = join(scratchDirectory(t), 'site.ndjson')
  const recorder = new Recorder(t, platform, '--out', file, '--last', '1h')
  const device = await deviceOf(t, platform, 'truck-1')
  const source = makeSource({ stream: 'environment', device: 'truck-1' })
  await device.publishAsync(source.topic, source.write(source.measure(Date.now())), { qos: 1 })
  await until(() => linesIn(file) === 1)
  assert.equal(await recorder.end('SIGINT'), 0)
  assert.match(recorder.output, /site\.ndjson: 1 reading, \d+ bytes; nothing is missing\n$/)
  const nothing = new Recorder(t, platform, '--out', join(scratchDirectory(t), 'x'), '--for', '1ms')
  const [code] = await once(nothing.child, 'exit')
  assert.equal(code, 1)
  const wrong = new Recorder(t, platform, '--out', 'x', '--filter', 'devices/+/status')
  assert.deepEqual(await once(wrong.child, 'exit'), [2, null])
  assert.match(wrong.output, /Allowed is a filter of telemetry, such as devices\/\+\/telemetry\/#/)
})
