/**
 * Owns the measures of many apps (`apps-load.ts`): mixed ones, beside a plain `ws` server; such of which no two ask for the same;
 * with one among them that is stalled, or that resumes far behind; and one with a rate. What is compared is measured in turns, so
 * that whatever else the machine does meets all alike.
 */

import { fileURLToPath } from 'node:url'
import { deviceNames } from './accept.ts'
import type { AppsOptions, AppsResult, AppsTarget, Round } from './apps-load.ts'
import { Child } from './child.ts'
import { type Figure, figure } from './figure.ts'
import { type Follower, startGateway, startYardstick } from './follower.ts'
import type { Plan } from './plan.ts'
import { cpuMs, memory } from './proc.ts'
import { distinctWishes, EVERYTHING, mixedWishes, type Wish } from './wishes.ts'

const LOAD = fileURLToPath(new URL('apps-load.ts', import.meta.url))
const DEVICES = 500
const WARM_SECONDS = 2
const ROUNDS_MAX = 3
const TIMED_EVERY = 20
const MIB = 1024 * 1024
const US_PER_SECOND = 1_000_000

interface Measured extends AppsResult {
  /** Of the process that serves apps, in the stretch that counts: share of a core. */
  readonly cpu: number
  /** Bytes of its own at the end of it. */
  readonly memory: number
}

type Load = Pick<AppsOptions, 'devices' | 'wishes' | 'rate' | 'timedEvery'>

/** The load that all measures but that of a rate have: 1,000 apps, and the devices that they ask for. */
function manyApps(plan: Plan, wishesOf: (devices: readonly string[], count: number) => Wish[]): Load {
  const devices = deviceNames(DEVICES)
  return { devices, wishes: wishesOf(devices, plan.apps), rate: plan.liveRate, timedEvery: TIMED_EVERY }
}

export async function measureApps(plan: Plan): Promise<Figure[]> {
  const load = manyApps(plan, mixedWishes)
  return withGateway(async (gateway) => {
    const yardstick = await startYardstick()
    try {
      const cases = { gateway: { target: 0 }, 'plain ws': { target: 1 } }
      return figuresOf(await inTurns(cases, load, [gateway, yardstick], plan))
    } finally {
      await yardstick.stop()
    }
  })
}

export async function measureDistinct(plan: Plan): Promise<Figure[]> {
  return besideOneStalled(manyApps(plan, distinctWishes), plan)
}

export async function measureStalled(plan: Plan): Promise<Figure[]> {
  return besideOneStalled(manyApps(plan, mixedWishes), plan)
}

async function besideOneStalled(load: Load, plan: Plan): Promise<Figure[]> {
  const cases = { 'none stalled': { target: 0 }, 'one stalled': { target: 0, isOneStalled: true } }
  const found = await withGateway((gateway) => inTurns(cases, load, [gateway], plan))
  const stalled = found['one stalled'].flatMap((each) => each.stalled ?? [])
  const kept = stalled.map(({ waitingBytes }) => waitingBytes / 1024)
  const returns = stalled.map((each) => each.returns)
  const caughtUp = stalled.map(({ caughtUpMs }) => caughtUpMs)
  return [
    ...figuresOf(found),
    figure('the stalled one: kept for it', 'KiB', kept, { note: 'by the gateway; the bound is 512 and a frame' }),
    figure('the stalled one: times it left the live stream', '', returns),
    figure('the stalled one: caught up', 'ms', caughtUp, { note: 'it had each reading, once and in order' }),
  ]
}

export async function measureCatchUp(plan: Plan): Promise<Figure[]> {
  const load = manyApps(plan, mixedWishes)
  const { messagesBefore } = plan
  const cases = {
    'nobody resumes': { target: 0, messagesBefore },
    'one resumes': { target: 0, messagesBefore, isResuming: true },
  }
  const found = await withGateway((gateway) => inTurns(cases, load, [gateway], plan))
  const resumes = found['one resumes'].flatMap(({ resumesMs }) => resumesMs)
  const note = `${messagesBefore} messages and what came meanwhile; then the next one resumes`
  return [...figuresOf(found), figure('one resumes: until it is live', 'ms', resumes, { note })]
}

const RATE = { messagesPerSecond: 100, maxRate: 2 }

export async function measureRate(plan: Plan): Promise<Figure[]> {
  const { messagesPerSecond, maxRate } = RATE
  const load = {
    devices: deviceNames(1),
    wishes: [{ filter: EVERYTHING, maxRate }],
    rate: messagesPerSecond,
    timedEvery: 1,
  }
  const found = await withGateway((gateway) => inTurns({ rate: { target: 0 } }, load, [gateway], plan))
  const seconds = WARM_SECONDS + plan.appsSeconds
  const of = (what: string, unit: string, read: (result: AppsResult) => number, note = '') =>
    figure(`maxRate ${maxRate}: ${what}`, unit, found.rate.map(read), { note })
  const whole = `${messagesPerSecond} msg/s of one series for ${seconds} s; windows cut off at both ends count`
  return [
    of('readings', '/s', ({ reduced }) => reduced.readings / seconds, whole),
    of('merged', '/s', ({ reduced }) => reduced.merged / seconds),
    of(
      'readings and merged, less published',
      'msg',
      ({ reduced, published }) => reduced.readings + reduced.merged - published,
    ),
  ]
}

/** What all cases have. */
function figuresOf(found: Readonly<Record<string, readonly Measured[]>>): Figure[] {
  return Object.entries(found).flatMap(([name, results]) => {
    const of = (what: string, unit: string, read: (result: Measured) => number) =>
      figure(`${name}: ${what}`, unit, results.map(read))
    return [
      of('p50', 'ms', ({ p50Ms }) => p50Ms),
      of('p99', 'ms', ({ p99Ms }) => p99Ms),
      of('deliveries', '/s', ({ deliveriesPerSecond }) => deliveriesPerSecond),
      of('CPU', '% of a core', ({ cpu }) => cpu * 100),
      of('CPU', 'us a delivery', ({ cpu, deliveriesPerSecond }) => (cpu * US_PER_SECOND) / deliveriesPerSecond),
      of('memory', 'MiB', (each) => each.memory / MIB),
    ]
  })
}

async function withGateway<T>(measure: (gateway: Follower) => Promise<T>): Promise<T> {
  const gateway = await startGateway()
  try {
    return await measure(gateway)
  } finally {
    await gateway.stop()
  }
}

/** Rounds of each case in turns; the first of each warms up. The first follower is a gateway. */
async function inTurns<Case extends string>(
  cases: Readonly<Record<Case, Round>>,
  load: Load,
  followers: readonly Follower[],
  plan: Plan,
): Promise<Record<Case, Measured[]>> {
  const targetOf = async (follower: Follower, index: number): Promise<AppsTarget> => ({
    mqttPort: follower.mqttPort,
    deviceTokens: await follower.deviceTokens(load.devices),
    gatewayPort: follower.port,
    appToken: await follower.appToken(),
    tellsMerged: index === 0,
  })
  const options: AppsOptions = {
    ...load,
    targets: await Promise.all(followers.map(targetOf)),
    warmSeconds: WARM_SECONDS,
    seconds: plan.appsSeconds,
    deadlineMs: plan.deadlineMs,
  }
  const names = Object.keys(cases) as Case[]
  const found = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Case, Measured[]>
  const child = new Child('apps load', ['--import', 'tsx', LOAD])
  const said = (wanted: string) => child.line((line) => line.startsWith(wanted), plan.deadlineMs)
  try {
    child.send(JSON.stringify(options))
    for (let round = 0; round <= Math.min(plan.rounds, ROUNDS_MAX); round++) {
      for (const name of names) {
        const { pid = 0 } = followers[cases[name].target] ?? {}
        child.send(JSON.stringify(cases[name]))
        await said('measuring')
        const before = { cpuMs: cpuMs(pid), at: performance.now() }
        await said('measured')
        const cpu = (cpuMs(pid) - before.cpuMs) / (performance.now() - before.at)
        const own = memory(pid).own
        const result = JSON.parse(await said('{')) as AppsResult
        if (round > 0) found[name].push({ ...result, cpu, memory: own })
      }
    }
    return found
  } finally {
    await child.stop()
  }
}
