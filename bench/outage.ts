/**
 * Owns the measure of a store outage: `npm run outage -- [--minutes 10] [--rate 5000]`. A real InfluxDB 2.7 is killed while
 * devices publish, stays away, and comes back. Printed: live latency and Telltale's memory before, during and after; how the
 * backlog drained while the load went on; what was lost. Ends with 1 if anything was.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startInfluxdb2 } from '../test/servers/influxdb2.ts'
import { freePort } from '../test/servers/server.ts'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import type { LiveOptions, LiveResult } from './live-load.ts'
import { memory } from './proc.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('live-load.ts', import.meta.url))
const DEVICES = 50
const BEFORE_SECONDS = 20
const DEADLINE_MS = 600_000
const POLL_MS = 250
const MIB = 2 ** 20

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '5000' } },
})
const rate = Number(values.rate)
const outageSeconds = Number(values.minutes) * 60
const afterSeconds = Math.max(30, Math.ceil(outageSeconds / 5))

const directory = mkdtempSync(join(tmpdir(), 'telltale-outage-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
const place = { port: await freePort(), directory }
let influx = await startInfluxdb2(place)
const telltale = await Telltale.start('broker,ingest,gateway', {
  INFLUX_URL: influx.url,
  INFLUX_ORG: influx.org,
  INFLUX_BUCKET: influx.bucket,
  INFLUX_TOKEN: influx.token,
})

let peak = 0
const sampling = setInterval(() => {
  peak = Math.max(peak, memory(telltale.pid).own)
}, POLL_MS)

try {
  const devices = deviceNames(DEVICES)
  const appToken = await telltale.appToken()
  const ports = { mqttPort: telltale.mqttPort, gatewayPort: telltale.gatewayPort }
  const common = { ...ports, devices, tokens: await telltale.deviceTokens(devices), appToken, rate, warmSeconds: 3 }
  const load = (seconds: number) => runLoad({ ...common, seconds, deadlineMs: seconds * 1000 + DEADLINE_MS })
  let published = 0
  const count = ({ messages }: LiveResult) => {
    published += messages
  }

  const before = await load(BEFORE_SECONDS)
  count(before)
  print('before', before)

  await influx.stop()
  const during = await load(outageSeconds)
  count(during)
  print('during', during)
  const backlog = await telltale.ledger(appToken)
  console.log(`backlog ${backlog.pending} of ${backlog.accepted} accepted`)

  const loading = load(afterSeconds)
  influx = await startInfluxdb2(place)
  const startedAt = performance.now()
  let books = await telltale.ledger(appToken)
  const storedBefore = books.stored
  while (books.pending > rate / 2 && performance.now() - startedAt < DEADLINE_MS) {
    await delay(POLL_MS)
    books = await telltale.ledger(appToken)
    if (!books.balanced) throw new Error(`the books do not balance: ${JSON.stringify(books)}`)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const drained = (books.stored - storedBefore) / seconds
  console.log(
    `drained in ${seconds.toFixed(1)} s at ${drained.toFixed(0)} msg/s, ${(drained / rate).toFixed(1)} x the incoming rate, memory at most ${takePeak()} MiB`,
  )
  const after = await loading
  count(after)
  print('after', after)

  await telltale.untilStored(published, appToken, DEADLINE_MS)
  const lost = published - (await telltale.ledger(appToken)).stored
  console.log(`published ${published}, lost ${lost}`)
  process.exitCode = lost === 0 ? 0 : 1
} finally {
  clearInterval(sampling)
  await telltale.stop()
  await influx.stop()
}

async function runLoad(options: LiveOptions): Promise<LiveResult> {
  const load = new Child('live load', ['--import', 'tsx', LOAD, JSON.stringify(options)])
  try {
    return JSON.parse(await load.line((line) => line.startsWith('{'), options.deadlineMs)) as LiveResult
  } finally {
    await load.stop()
  }
}

function print(phase: string, { p50Ms, p99Ms, maxMs, perSecond, messages }: LiveResult): void {
  const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, max ${maxMs.toFixed(1)} ms`
  console.log(
    `${phase}: ${messages} readings live at ${perSecond.toFixed(0)}/s, ${latency}, memory at most ${takePeak()} MiB`,
  )
}

/** Of its own, since this was last asked. */
function takePeak(): string {
  const taken = (peak / MIB).toFixed(0)
  peak = memory(telltale.pid).own
  return taken
}
