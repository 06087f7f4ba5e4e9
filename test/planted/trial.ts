/**
 * Owns the trial of a build of ours that may be wrong: it is built and started, a verified run goes against it, it is killed meanwhile, and what was
 * found is told.
 *
 *   changes --build.js--> built --up--> running --kill -9, up, ...--> verified
 *      '-> not-built         '-> not-started  '-> crashed, not-started   '-> found | nothing-found | not-verified
 *                            '----------------'--------------------------'-> too-slow
 *
 * Always true: whatever was started is ended, and the folder removed. Nothing is found twice: what ends a trial first is what it is told by.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Finding, Summary } from '../../devices/simulator/report/summary.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { startInfluxdb2 } from '../servers/influxdb2.ts'
import { freePort } from '../servers/server.ts'
import { type Change, makeChangedTree, NotBuilt } from './changed-tree.ts'
import { type OnPublish, startProxy } from './proxy.ts'
import { startStoreProxy } from './store-proxy.ts'
import { runRecord, verifiedRun } from './verified-run.ts'

const START_MS_MAX = 60_000
/** What a platform says that ends because its own start took too long. */
const OWN_DEADLINE = /an ingest worker was not ready within/
/** How often it is looked whether the platform still runs. */
const LOOK_MS = 100

export interface TrialOptions {
  readonly changes: readonly Change[]
  readonly seconds: number
  /** kill -9 of the platform, evenly over the run. */
  readonly kills: number
  /** Stores in a real InfluxDB 2.7. */
  readonly influx?: boolean
  /** Between devices and broker. */
  readonly onPublish?: OnPublish
  /** Between ingest and InfluxDB: each so many writes one is dropped. */
  readonly dropsWrites?: number
}

export const ENDS = [
  'not-built',
  'not-started',
  'crashed',
  'too-slow',
  'not-verified',
  'found',
  'nothing-found',
] as const

export interface Outcome {
  readonly end: (typeof ENDS)[number]
  readonly findings: readonly Finding[]
  /** What was said, where it is not a finding. */
  readonly said: string
}

interface Stops {
  stop(): Promise<unknown>
}

export async function tryBuild(options: TrialOptions): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-tried-'))
  const started: Stops[] = []
  // Each is killed before it is waited for.
  const killAll = () => started.reverse().map(({ stop }) => stop())
  const onExit = () => {
    killAll()
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', onExit)
  try {
    return await tryIn(directory, options, started)
  } finally {
    await Promise.all(killAll())
    process.off('exit', onExit)
    rmSync(directory, { recursive: true, force: true })
  }
}

async function tryIn(directory: string, options: TrialOptions, started: Stops[]): Promise<Outcome> {
  let telltale: string
  try {
    telltale = await makeChangedTree(join(directory, 'tree'), options.changes)
  } catch (error) {
    if (error instanceof NotBuilt) return ended('not-built', error.message)
    throw error
  }
  const { seconds, onPublish, dropsWrites } = options
  const influx = options.influx ? await startInfluxdb2() : undefined
  if (influx !== undefined) started.push(influx)
  const storeProxy = influx && dropsWrites ? await startStoreProxy(influx.url, dropsWrites) : undefined
  if (storeProxy !== undefined) started.push(storeProxy)
  const store = influx && { ...influx.store, url: storeProxy?.url ?? influx.url }
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const platform = new RunningPlatform(join(directory, 'data'), ports, { telltale, ...(store && { store }) })
  started.push({ stop: () => platform.kill() })
  const proxy = onPublish && (await startProxy(ports.mqtt, onPublish))
  if (proxy !== undefined) started.push(proxy)

  const notStarted = await startWithin(platform)
  if (notStarted !== undefined) return notStarted
  const ending = new AbortController()
  const { signal } = ending
  const run = verifiedRun(platform, {
    seconds,
    directory,
    signal,
    ...(proxy && { url: proxy.url }),
  })
  const verified = run.then(({ exitCode, summary, said, isOverdue }): Outcome => {
    const findings = summary?.verification?.findings ?? []
    if (isOverdue) return ended('too-slow', said)
    if (summary === undefined) return ended('not-verified', said)
    if (exitCode === 0) return ended('nothing-found', said)
    return { end: 'found', findings, said: findings.length > 0 ? '' : whyFailed(summary, said) }
  })
  const watched = killAndWatch(platform, options, runRecord(directory), signal)
  const outcome = await Promise.race([verified, watched])
  ending.abort()
  await Promise.all([run, watched])
  return outcome
}

const ended = (end: Outcome['end'], said: string): Outcome => ({ end, findings: [], said })

/** Of a run that found nothing wrong, and is not well all the same. */
function whyFailed({ unacknowledged, unsent, refused }: Summary, said: string): string {
  return `${unacknowledged} unacknowledged, ${unsent} unsent, refused: ${refused ?? 'nobody'}\n${said}`.trim()
}

/**
 * Resolves with what went wrong if the platform ends by itself, or does not start again; else when `signal` says so. The run has begun, and its
 * time counts, when there is a file `record`.
 */
async function killAndWatch(
  platform: RunningPlatform,
  { seconds, kills }: TrialOptions,
  record: string,
  signal: AbortSignal,
): Promise<Outcome> {
  let beganAt = Number.POSITIVE_INFINITY
  for (let killed = 0; !signal.aborted; ) {
    await delay(LOOK_MS)
    if (!isRunning(platform)) return ended('crashed', lastLines(platform.output))
    if (beganAt === Number.POSITIVE_INFINITY && existsSync(record)) beganAt = performance.now()
    const dueAt = beganAt + ((killed + 1) * seconds * 1_000) / (kills + 1)
    if (killed === kills || performance.now() < dueAt) continue
    await platform.kill()
    killed++
    const notStarted = await startWithin(platform)
    if (notStarted !== undefined) return notStarted
  }
  return ended('not-verified', '')
}

/** How it ended, if it did not start. */
async function startWithin(platform: RunningPlatform): Promise<Outcome | undefined> {
  const late = new AbortController()
  const tooSlow = ended('too-slow', `not started within ${START_MS_MAX / 1_000} s`)
  const deadline = delay(START_MS_MAX, tooSlow, { signal: late.signal })
  const failure = platform.start().then(
    () => undefined,
    ({ message }: Error) => ended(OWN_DEADLINE.test(message) ? 'too-slow' : 'not-started', lastLines(message)),
  )
  const outcome = await Promise.race([failure, deadline])
  late.abort()
  await deadline.catch(() => undefined)
  return outcome
}

function isRunning({ pid }: RunningPlatform): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const LINES_SHOWN = 5

/** What a process said last is why it ended. */
const lastLines = (said: string) => said.trim().split('\n').slice(-LINES_SHOWN).join('\n')
