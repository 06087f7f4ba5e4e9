/**
 * Owns the soak: `npm run soak -- [--minutes 30] [--rate 5000] [--out docs/soak]`. Telltale, with a real InfluxDB 2.7 and
 * a small log that retention has to empty, under steady load, one app listening. Every 10 s a sample; at the end
 * `<out>.csv`, `<out>.svg` and a verdict. Ends with 1 if a series was not flat, or a message was lost.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startInfluxdb2 } from '../test/servers/influxdb2.ts'
import { freePort } from '../test/servers/server.ts'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import type { LiveOptions, LiveResult } from './live-load.ts'
import { memory, openFiles } from './proc.ts'
import { csv, judge, plot, type Sample, seriesAt } from './soak-report.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('live-load.ts', import.meta.url))
const DEVICES = 50
const WINDOW_SECONDS = 10
const SETTLE_MS = 60_000
const MIB = 2 ** 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '5000' },
    out: { type: 'string', default: 'docs/soak' },
  },
})
const rate = Number(values.rate)
const seconds = Number(values.minutes) * 60
const directory = mkdtempSync(join(tmpdir(), 'telltale-soak-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
const influx = await startInfluxdb2({ port: await freePort(), directory })
const telltale = await Telltale.start('broker,ingest,gateway', {
  INFLUX_URL: influx.url,
  INFLUX_ORG: influx.org,
  INFLUX_BUCKET: influx.bucket,
  INFLUX_TOKEN: influx.token,
  TELLTALE_LOG_RETENTION: '1m',
  TELLTALE_LOG_MAX_BYTES: '256MiB',
})
const startedAt = performance.now()
let last = { at: startedAt, cpuMs: telltale.cpuMs() }

try {
  const devices = deviceNames(DEVICES)
  const appToken = await telltale.appToken()
  const options: LiveOptions = {
    mqttPort: telltale.mqttPort,
    gatewayPort: telltale.gatewayPort,
    devices,
    tokens: await telltale.deviceTokens(devices),
    appToken,
    rate,
    seconds,
    warmSeconds: 0,
    windowSeconds: WINDOW_SECONDS,
    deadlineMs: seconds * 1000 + SETTLE_MS,
  }
  const samples: Sample[] = []
  const published = await underLoad(options, async (window) => {
    const sample = await take(window, appToken)
    samples.push(sample)
    console.log(JSON.stringify(sample))
  })
  await telltale.untilStored(published, appToken, SETTLE_MS)
  console.log(`published ${published}, lost ${published - (await telltale.ledger(appToken)).stored}`)

  const series = seriesAt(rate)
  writeFileSync(`${values.out}.csv`, csv(samples))
  writeFileSync(`${values.out}.svg`, plot(samples, series, `Telltale at ${rate} msg/s, InfluxDB 2.7`))
  for (const { series: each, middle, last, flat } of judge(samples, series)) {
    console.log(`${each.title}: ${middle.toFixed(1)} -> ${last.toFixed(1)}, ${flat ? 'flat' : 'NOT FLAT'}`)
    if (!flat) process.exitCode = 1
  }
} finally {
  await telltale.stop()
  await influx.stop()
}

/** Runs the load to its end, `onWindow` after each window. Returns how many readings the app had, which is all. */
async function underLoad(options: LiveOptions, onWindow: (window: LiveResult) => Promise<void>): Promise<number> {
  const load = new Child('live load', ['--import', 'tsx', LOAD, JSON.stringify(options)])
  try {
    for (;;) {
      const line = await load.line((each) => each.startsWith('{'), SETTLE_MS)
      const result = JSON.parse(line) as LiveResult
      if (result.kind === 'whole') return result.messages
      await onWindow(result)
    }
  } finally {
    await load.stop()
  }
}

/** What the platform is now, and its CPU since the sample before. */
async function take({ p99Ms, perSecond }: LiveResult, appToken: string): Promise<Sample> {
  const { balanced, pending } = await telltale.ledger(appToken)
  if (!balanced) throw new Error('the books do not balance')
  const { own, mapped } = memory(telltale.pid)
  const now = { at: performance.now(), cpuMs: telltale.cpuMs() }
  const cpuPercent = (100 * (now.cpuMs - last.cpuMs)) / (now.at - last.at)
  last = now
  return {
    seconds: (now.at - startedAt) / 1000,
    ownMiB: own / MIB,
    mappedMiB: mapped / MIB,
    openFiles: openFiles(telltale.pid),
    pending,
    p99Ms,
    cpuPercent,
    perSecond,
  }
}
