import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { pino } from 'pino'
import { startMosquitto } from '../servers/mosquitto.ts'
import { requireServer } from '../servers/server.ts'
import { until } from '../until.ts'
import { type Bench, READING, startBroker } from './harness.ts'

/** The bridge's part of its configuration, as the page says it, to this broker. */
async function bridgeTo(bench: Bench): Promise<string[]> {
  const page = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8')
  const [block] = /^ {4}connection telltale\n(?: {4}.*\n)+/m.exec(page) ?? assert.fail('the page has no bridge')
  const token = await bench.identity.signDevice('gate-1', 3_600_000)
  const lines = block.replace('HOST:1883', `127.0.0.1:${bench.port}`).replace('TOKEN', token).trim().split(/\n */)
  return [...lines, 'restart_timeout 1']
}

async function publishAt(t: TestContext, port: number, topic: string, qos: 1 | 2): Promise<void> {
  const sensor = await connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0 })
  t.after(() => sensor.endAsync(true))
  await sensor.publishAsync(topic, READING, { qos })
}

test('a Mosquitto bridge as the page has it hands on what it gets', async (t) => {
  const bench = await startBroker(t)
  const bridge = await bridgeTo(bench)
  const mosquitto = await requireServer(t, () => startMosquitto(bridge))
  if (mosquitto === undefined) return
  await until(async () => (await bench.metric('telltale_broker_connections')) === 1)
  for (const qos of [1, 2] as const) await publishAt(t, mosquitto.port, 'telemetry/environment', qos)
  await until(async () => (await bench.entries()).length === 2)
  const [entry] = await bench.entries()
  assert.deepEqual([entry?.device, entry?.stream], ['gate-1', 'environment'])
})

test('without notifications false it is refused, and the log says what to write', async (t) => {
  const said: string[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => said.push(JSON.parse(line).msg) })
  const bench = await startBroker(t, { logger })
  const bridge = (await bridgeTo(bench)).filter((line) => line !== 'notifications false')
  if ((await requireServer(t, () => startMosquitto(bridge))) === undefined) return
  await until(() => said.some((line) => line.endsWith('(a Mosquitto bridge: notifications false)')))
})
