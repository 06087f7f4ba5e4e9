/**
 * Owns the process of the apps of the fleet's measures: all ask for everything, one takes the time of each reading, the others count.
 * Its first line of standard input is a `FleetAppsOptions`. Then each run has two: a `FleetAppsRun`, on which it connects the apps
 * and prints `live`, and `{"firstDueNs":"..."}`. When all apps have had all readings it prints a `FleetAppsResult` and closes them.
 * An app that lacks one, or is told of a gap, fails the run.
 */

import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { CountingApp } from './counting-app.ts'
import { Latencies, type Percentiles } from './latencies.ts'
import { RunSchedule, type RunTimes } from './schedule.ts'
import { TimedApp } from './timed-app.ts'
import { EVERYTHING } from './wishes.ts'

export interface FleetAppsOptions {
  readonly gatewayPort: number
  readonly token: string
  readonly devices: readonly string[]
  readonly apps: number
  readonly deadlineMs: number
}

export interface FleetAppsRun extends RunTimes {
  /** Of all devices. */
  readonly messages: number
}

/** From when a message was due until the app that takes the time had it. */
export interface FleetAppsResult extends Percentiles {
  /** Of the processor, for all apps, from when they were live. */
  readonly cpuUs: number
}

const READ_BYTES = 256 * 1024
const READING_MS = 50
const POLL_MS = 5
const MS_PER_SECOND = 1000

const buffer = Buffer.allocUnsafe(READ_BYTES)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const options = await nextLine<FleetAppsOptions>()
for (;;) console.log(JSON.stringify(await follow(await nextLine<FleetAppsRun>())))

async function follow(run: FleetAppsRun): Promise<FleetAppsResult> {
  const { gatewayPort, token, devices, apps } = options
  const schedule = new RunSchedule(devices, run)
  const latencies = new Latencies()
  const common = { gatewayPort, token, wish: { filter: EVERYTHING }, onFailed: fail }
  const timed = await TimedApp.connect({ ...common, schedule, onReading: (latencyMs) => latencies.add(latencyMs) })
  const counting: CountingApp[] = []
  while (counting.length < apps - 1) counting.push(await CountingApp.connect({ ...common, buffer }))
  // Real ones have machines of their own; here they read seldom, and leave the cores to what is measured.
  const reading = setInterval(() => {
    for (const app of counting) app.read()
  }, READING_MS)
  await until(
    () => counting.every(({ isLive }) => isLive),
    () => 'not all apps are live',
  )
  console.log('live')
  const before = cpuUs()
  schedule.begin(BigInt((await nextLine<{ firstDueNs: string }>()).firstDueNs))

  const all = [timed, ...counting]
  const lacking = () => all.filter(({ readings }) => readings < run.messages)
  await until(
    () => lacking().length === 0,
    () => `${lacking().length} of ${apps} apps lack readings of ${run.messages}`,
    (run.messages * MS_PER_SECOND) / run.rate,
  )
  const used = cpuUs() - before
  clearInterval(reading)
  for (const app of all) app.close()
  return { ...latencies.percentiles, cpuUs: used }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function nextLine<T>(): Promise<T> {
  const { value: line } = await lines.next()
  if (line === undefined) process.exit(0)
  return JSON.parse(line) as T
}

async function until(isSo: () => boolean, otherwise: () => string, besidesMs = 0): Promise<void> {
  const deadline = performance.now() + options.deadlineMs + besidesMs
  while (!isSo()) {
    if (performance.now() > deadline) fail(new Error(otherwise()))
    await delay(POLL_MS)
  }
}

function fail(error: Error): never {
  console.error(error.message)
  process.exit(1)
}
