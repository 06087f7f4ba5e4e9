/**
 * Owns the kill storm: the whole platform and a real InfluxDB 2.7 under load, one or both killed with -9 at moments chosen
 * by a seed, again and again. In the end each acknowledged message is looked for in the store, by device and time.
 *
 * Always true: what is killed is one of our own children. Bound: `cycles`, or the time given.
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import type { Ledger } from '../../log/log.ts'
import { RunningPlatform } from '../e2e/platform.ts'
import { type Influxdb2, startInfluxdb2 } from '../servers/influxdb2.ts'
import { freePort } from '../servers/server.ts'
import { until } from '../until.ts'

const PUBLISHER = new URL('./publisher.ts', import.meta.url).pathname
const CALM_MS_MAX = 3_000
const DOWN_MS_MAX = 2_000
const DRAIN_MS_MAX = 120_000
const READY_GOAL_MS = 5_000

export interface StormOptions {
  readonly seed: number
  readonly cycles: number
  /** Ends at the first cycle that begins later than this, milliseconds after the start. */
  readonly durationMs: number
  readonly devices: number
  /** Messages a second of each device. */
  readonly rate: number
  readonly say: (line: string) => void
}

export interface StormReport {
  readonly cycles: number
  readonly platformKills: number
  readonly storeKills: number
  readonly sent: number
  readonly acknowledged: number
  /** Points in the store, of this storm's devices. */
  readonly points: number
  readonly lost: number
  /** Points beyond one for each message, or whose message was never sent. */
  readonly duplicated: number
  /** Cycles after which the ledger did not balance. */
  readonly unbalanced: number
  readonly ledger: Ledger
  /** Longest time from starting the process again to its being ready, milliseconds. */
  readonly slowestStartMs: number
}

/** Runs one storm; its report. Throws `MissingServer` if there is no InfluxDB 2.7. */
export async function storm(options: StormOptions): Promise<StormReport> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-storm-'))
  const field = new Field(directory)
  try {
    await field.start()
    return await rage(field, options)
  } finally {
    await field.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The two that are killed. */
class Field {
  readonly directory: string
  #store: Influxdb2 | undefined
  #platform: RunningPlatform | undefined
  #storePort = 0
  slowestStartMs = 0

  constructor(directory: string) {
    this.directory = directory
  }

  get platform(): RunningPlatform {
    return this.#platform ?? assert.fail('not started')
  }

  get store(): Influxdb2 {
    return this.#store ?? assert.fail('not started')
  }

  async start(): Promise<void> {
    this.#storePort = await freePort()
    await this.startStore()
    const ports = { mqtt: await freePort(), gateway: await freePort() }
    const directory = mkdtempSync(join(this.directory, 'data-'))
    this.#platform = new RunningPlatform(directory, ports, { store: this.store.store })
    await this.startPlatform()
  }

  async startStore(): Promise<void> {
    // Its directory is made by its first start.
    this.#storeDirectory ??= mkdtempSync(join(this.directory, 'influx-'))
    this.#store = await startInfluxdb2({ port: this.#storePort, directory: this.#storeDirectory })
  }
  #storeDirectory: string | undefined

  async startPlatform(): Promise<void> {
    const startedAt = performance.now()
    await this.platform.start()
    this.slowestStartMs = Math.max(this.slowestStartMs, performance.now() - startedAt)
  }

  async stop(): Promise<void> {
    await this.#platform?.kill()
    await this.#store?.stop()
  }
}

async function rage(field: Field, options: StormOptions): Promise<StormReport> {
  const { say } = options
  const random = mulberry32(options.seed)
  const ids = Array.from({ length: options.devices }, (_, number) => `storm-${number + 1}`)
  const publisher = await startPublisher(field, ids, options.rate)
  const kills = { platform: 0, store: 0 }
  let unbalanced = 0
  let cycle = 0
  const startedAt = performance.now()
  try {
    for (; cycle < options.cycles && performance.now() - startedAt < options.durationMs; cycle++) {
      await pause(random() * CALM_MS_MAX)
      const choice = random()
      const isPlatform = choice < 0.75
      const isStore = choice >= 0.6
      const downMs = random() * DOWN_MS_MAX
      // Together, in whichever order the kernel gets to it.
      await Promise.all([isPlatform && field.platform.kill(), isStore && field.store.stop()])
      await pause(downMs)
      await Promise.all([isPlatform && field.startPlatform(), isStore && field.startStore()])
      kills.platform += Number(isPlatform)
      kills.store += Number(isStore)
      const ledger = await field.platform.ledger()
      const isBalanced = ledger.balanced && ledger.accepted === ledger.stored + ledger.deadLettered + ledger.pending
      if (!isBalanced) unbalanced++
      const what = [isPlatform && 'platform', isStore && 'InfluxDB'].filter(Boolean).join(' and ')
      const { accepted, stored, pending } = ledger
      say(
        `cycle ${cycle + 1}: killed ${what}, down ${downMs.toFixed(0)} ms; ` +
          `accepted ${accepted} stored ${stored} pending ${pending} balanced ${isBalanced}`,
      )
    }
    const { sent } = await publisher.finish()
    const ledger = await drained(field.platform)
    const acknowledged = readFileSync(publisher.file, 'utf8').trim().split('\n')
    return {
      cycles: cycle,
      platformKills: kills.platform,
      storeKills: kills.store,
      sent,
      acknowledged: acknowledged.length,
      ...(await account(field.store, ids, acknowledged)),
      unbalanced: unbalanced + (ledger.balanced ? 0 : 1),
      ledger,
      slowestStartMs: Math.round(field.slowestStartMs),
    }
  } finally {
    publisher.kill()
  }
}

/** True if nothing acknowledged is missing, nothing is there twice, and the books balanced all the time. */
export function isCalm(report: StormReport): boolean {
  const { lost, duplicated, unbalanced, sent, acknowledged, ledger } = report
  return lost === 0 && duplicated === 0 && unbalanced === 0 && sent === acknowledged && ledger.deadLettered === 0
}

export function formatReport(report: StormReport): string {
  const { ledger, slowestStartMs, ...numbers } = report
  const lines = Object.entries(numbers).map(([name, value]) => `${name.padEnd(15)}${value}`)
  const start = `slowest start  ${slowestStartMs} ms (the goal is ${READY_GOAL_MS} ms)`
  return [...lines, start, `ledger         ${JSON.stringify(ledger)}`].join('\n')
}

/** Compares what was acknowledged with the points of the store, one by one. */
async function account(
  store: Influxdb2,
  ids: readonly string[],
  acknowledged: readonly string[],
): Promise<{ points: number; lost: number; duplicated: number }> {
  const wanted = new Set(acknowledged)
  let points = 0
  let lost = wanted.size
  let duplicated = 0
  for (const id of ids) {
    const seen = new Set<number>()
    for (const [ts, temperature] of await pointsOf(store, id)) {
      points++
      if (seen.has(ts) || !wanted.has(`${id} ${ts}`) || temperature !== ts % 100) duplicated++
      else lost--
      seen.add(ts)
    }
  }
  return { points, lost, duplicated }
}

async function pointsOf(store: Influxdb2, device: string): Promise<readonly [number, number][]> {
  const question = `SELECT temperature FROM environment WHERE device = '${device}'`
  const url = `${store.url}/query?db=${store.bucket}&epoch=ms&q=${encodeURIComponent(question)}`
  const response = await fetch(url, { headers: { authorization: `Token ${store.token}` } })
  const answer = (await response.json()) as { results: { series?: { values: [number, number][] }[] }[] }
  return answer.results[0]?.series?.[0]?.values ?? []
}

async function drained(platform: RunningPlatform): Promise<Ledger> {
  const deadline = performance.now() + DRAIN_MS_MAX
  for (;;) {
    const ledger = await platform.ledger()
    if (ledger.pending === 0 || performance.now() > deadline) return ledger
    await pause(100)
  }
}

interface Publisher {
  readonly file: string
  /** Resolves when every message it made is acknowledged. */
  finish(): Promise<{ sent: number }>
  kill(): void
}

async function startPublisher(field: Field, ids: readonly string[], rate: number): Promise<Publisher> {
  const { platform, directory } = field
  const tokens = (await platform.telltale('token', 'device', ...ids)).trim().split('\n')
  const file = join(directory, 'acknowledged')
  writeFileSync(file, '')
  const args = ['--import', 'tsx', PUBLISHER, String(platform.mqttPort), String(rate), file]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(ids.map((id, index) => `${id} ${tokens[index]}`).join('\n'))
  const onExit = () => child.kill('SIGKILL')
  process.once('exit', onExit)
  await until(() => readFileSync(file).length !== 0)
  const finish = async () => {
    child.kill('SIGTERM')
    const said = await text(child.stdout)
    assert(said !== '', 'the publisher ended before all was acknowledged')
    return JSON.parse(said) as { sent: number }
  }
  const kill = () => {
    child.kill('SIGKILL')
    process.off('exit', onExit)
  }
  return { file, finish, kill }
}

/** Numbers from 0 to 1 that follow from the seed. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
