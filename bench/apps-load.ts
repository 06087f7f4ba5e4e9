/**
 * Owns the process of the measures of many apps: devices that publish, and the apps, of which some take the time of each reading and
 * the others count. Its first line of standard input is an `AppsOptions`, each further one a `Round`. In a round it connects the
 * apps, prints `measuring` and `measured` around the stretch that counts, waits until the apps have all they asked for, prints an
 * `AppsResult`, and closes them again.
 *
 * An app without a rate must have each reading of its devices, and what one with a rate was sent must add up to what was published,
 * or the run fails: of those that count only the former is looked at.
 */

import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { selectionOf } from '../identity/topics.ts'
import { CountingApp } from './counting-app.ts'
import { Fleet } from './fleet.ts'
import { Latencies, type Percentiles } from './latencies.ts'
import { gatewayMetric } from './telltale.ts'
import { TimedApp } from './timed-app.ts'
import { EVERYTHING, type Wish } from './wishes.ts'

export interface AppsTarget {
  readonly mqttPort: number
  readonly deviceTokens: readonly string[]
  readonly gatewayPort: number
  readonly appToken: string
  /** Whether it tells how many others a reading stands for. */
  readonly tellsMerged: boolean
}

export interface AppsOptions {
  readonly targets: readonly AppsTarget[]
  readonly devices: readonly string[]
  readonly wishes: readonly Wish[]
  /** Each so manyth app takes the time. */
  readonly timedEvery: number
  /** Messages a second of all devices. */
  readonly rate: number
  /** Not counted, at the start of each round. */
  readonly warmSeconds: number
  readonly seconds: number
  readonly deadlineMs: number
}

export interface Round {
  /** Which of the targets. */
  readonly target: number
  /** One more app asks for everything, and reads nothing until the stretch that counts is over. */
  readonly isOneStalled?: boolean
  /** Published before the apps come. */
  readonly messagesBefore?: number
  /** One more app after the other resumes before those. */
  readonly isResuming?: boolean
}

/** Latencies are those of apps without a rate. */
export interface AppsResult extends Percentiles {
  /** Readings that all apps had in the stretch that counts, a second. */
  readonly deliveriesPerSecond: number
  /** Messages published in the round. */
  readonly published: number
  /** Of the apps with a rate that take the time, in the round. */
  readonly reduced: { readonly readings: number; readonly merged: number }
  readonly stalled: StalledResult | undefined
  /** How long each app that resumed had to wait until it was live. */
  readonly resumesMs: readonly number[]
}

export interface StalledResult {
  /** What the gateway kept for it at the end of the stretch that counts. */
  readonly waitingBytes: number
  /** From when it read on until it had all that was published. */
  readonly caughtUpMs: number
  /** Times that it left the live stream and came back to it. */
  readonly returns: number
}

const READ_BYTES = 256 * 1024
/** How often an app that counts reads. */
const READING_MS = 50
/** Connected at once; the kernel's queue of new connections holds no more than some hundreds. */
const AT_ONCE = 50
const POLL_MS = 5
const MS_PER_SECOND = 1000

const buffer = Buffer.allocUnsafe(READ_BYTES)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const options = JSON.parse((await lines.next()).value ?? '') as AppsOptions
const fleets: Fleet[] = []
for (const { mqttPort, deviceTokens: tokens } of options.targets) {
  fleets.push(await Fleet.connect({ mqttPort, devices: options.devices, tokens }, fail))
}
for (;;) {
  const { value: line } = await lines.next()
  if (line === undefined) process.exit(0)
  console.log(JSON.stringify(await run(JSON.parse(line) as Round)))
}

async function run(round: Round): Promise<AppsResult> {
  const { devices, wishes, timedEvery, rate, warmSeconds, seconds } = options
  const [target, fleet] = [options.targets[round.target], fleets[round.target]]
  if (target === undefined || fleet === undefined) throw new Error(`there is no target ${round.target}`)
  const { gatewayPort, appToken: token } = target
  const common = { gatewayPort, token, schedule: fleet, onFailed: fail }
  const cursor = round.messagesBefore && (await publishBefore(round.messagesBefore, common))

  fleet.prepare(rate, rate * (warmSeconds + seconds))
  const latencies = new Latencies()
  let countsFrom = Number.POSITIVE_INFINITY
  const onReading = (latencyMs: number, dueAt: number) => {
    if (dueAt >= countsFrom) latencies.add(latencyMs)
  }
  const counting: CountingApp[] = []
  const timed: { readonly app: TimedApp; readonly isReduced: boolean }[] = []
  const areDone: (() => boolean)[] = []
  const connectOne = async (wish: Wish, index: number) => {
    const wanted = fleet.perDevice * selected(wish)
    const isReduced = wish.maxRate !== undefined
    if (index % timedEvery > 0) {
      const app = await CountingApp.connect({ gatewayPort, token, wish, buffer, onFailed: fail })
      counting.push(app)
      if (!isReduced) areDone.push(() => isAll(app.readings, wanted))
    } else {
      const app = await TimedApp.connect({ ...common, wish, ...(!isReduced && { onReading }) })
      timed.push({ app, isReduced })
      if (!isReduced || target.tellsMerged) areDone.push(() => isAll(app.readings + app.merged, wanted))
    }
  }
  const reading = readInTurns(counting)
  for (let from = 0; from < wishes.length; from += AT_ONCE) {
    const some = wishes.slice(from, from + AT_ONCE)
    await Promise.all(some.map((wish, index) => connectOne(wish, from + index)))
  }
  await until(() => counting.every((app) => app.isLive), 'not all apps are live')
  const stalled = round.isOneStalled ? await TimedApp.connect({ ...common, wish: { filter: EVERYTHING } }) : undefined
  stalled?.stall()

  const apps = [...counting, ...timed.map(({ app }) => app)]
  const had = () => apps.reduce((sum, { readings }) => sum + readings, 0)
  countsFrom = fleet.start() + warmSeconds * MS_PER_SECOND
  await delay(countsFrom - performance.now())
  const before = { had: had(), at: performance.now() }
  console.log('measuring')
  const endsAt = before.at + seconds * MS_PER_SECOND
  const resumesMs = round.isResuming && cursor ? await resumeUntil(endsAt, cursor, target) : []
  await delay(endsAt - performance.now())
  console.log('measured')
  const deliveriesPerSecond = ((had() - before.had) * MS_PER_SECOND) / (performance.now() - before.at)
  const percentiles = latencies.percentiles

  const published = fleet.perDevice * devices.length
  const ofStalled = stalled && (await readOn(stalled, published, gatewayPort))
  const lacking = () => `${areDone.filter((isDone) => !isDone()).length} apps lack readings`
  await until(() => areDone.every((isDone) => isDone()), lacking)
  await until(() => fleet.isAcknowledged, 'not all was acknowledged')
  clearInterval(reading)
  for (const app of apps) app.close()
  stalled?.close()
  const reduced = { readings: 0, merged: 0 }
  for (const { app, isReduced } of timed) {
    if (!isReduced) continue
    reduced.readings += app.readings
    reduced.merged += app.merged
  }
  return { ...percentiles, deliveriesPerSecond, published, reduced, stalled: ofStalled, resumesMs }
}

interface Common {
  readonly gatewayPort: number
  readonly token: string
  readonly schedule: Fleet
  readonly onFailed: (error: Error) => void
}

/** Publishes so many messages, as fast as they are taken; resolves with the cursor before them when the gateway has passed them. */
async function publishBefore(messages: number, common: Common): Promise<string> {
  const { schedule: fleet } = common
  fleet.prepare(messages, messages)
  const app = await TimedApp.connect({ ...common, wish: { filter: EVERYTHING } })
  const { cursor } = app
  fleet.sendAll()
  await until(() => app.readings === messages && fleet.isAcknowledged, 'what came before never came')
  app.close()
  return cursor
}

/** One app after the other resumes at the cursor, until so late; resolves with how long each took. */
async function resumeUntil(endsAt: number, after: string, target: AppsTarget): Promise<number[]> {
  const resumesMs: number[] = []
  while (performance.now() < endsAt) {
    const from = performance.now()
    const wish = { filter: EVERYTHING, start: { after } }
    const { gatewayPort, appToken: token } = target
    const app = await CountingApp.connect({ gatewayPort, token, wish, buffer, isResting: false, onFailed: fail })
    await until(() => app.isLive, 'an app that resumed did not become live')
    resumesMs.push(performance.now() - from)
    app.close()
  }
  return resumesMs
}

/** It reads what waits for it, until it has all; each reading must come once and in order, as `TimedApp` sees to. */
async function readOn(app: TimedApp, published: number, gatewayPort: number): Promise<StalledResult> {
  const waitingBytes = await gatewayMetric(gatewayPort, 'telltale_gateway_waiting_bytes')
  const from = performance.now()
  app.readOn()
  await until(
    () => app.readings === published,
    () => `the stalled app had ${app.readings} of ${published} readings`,
  )
  return { waitingBytes, caughtUpMs: performance.now() - from, returns: app.lives - 1 }
}

/** Has each app read once in `READING_MS`, but not all at once: what takes the time is in this process, too. */
function readInTurns(apps: readonly CountingApp[]): NodeJS.Timeout {
  let turn = 0
  return setInterval(() => {
    for (let index = turn; index < apps.length; index += READING_MS) apps[index]?.read()
    turn = (turn + 1) % READING_MS
  }, 1)
}

/** How many of the devices the app asks for. */
function selected({ filter }: Wish): number {
  const devices = new Set(filter.map((each) => selectionOf(each)?.device))
  return devices.has(undefined) ? options.devices.length : devices.size
}

function isAll(had: number, wanted: number): boolean {
  if (had > wanted) fail(new Error(`an app had ${had} of ${wanted} readings`))
  return had === wanted
}

async function until(isSo: () => boolean, otherwise: string | (() => string)): Promise<void> {
  const deadline = performance.now() + options.deadlineMs
  while (!isSo()) {
    if (performance.now() > deadline) fail(new Error(typeof otherwise === 'string' ? otherwise : otherwise()))
    await delay(POLL_MS)
  }
}

function fail(error: Error): never {
  console.error(error.message)
  process.exit(1)
}
