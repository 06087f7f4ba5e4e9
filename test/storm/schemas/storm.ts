/**
 * Owns the schema storm: devices send three versions of a stream at once, at a rate that waits for nothing. A fourth is added, and all
 * devices send by it at once; later all send by a fifth, which is added only then. The platform may be killed with -9 after each. In the end
 * all that was sent is looked for in the store and in what an app saw live, value by value, and its order in the log.
 *
 *   three versions --the 4th is added, all switch--> 4th --all switch--> 5th, which nobody knows --it is added--> 5th
 *
 * Bound: so many seconds, and `DRAIN_MS_MAX` until all is stored and seen.
 */

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { seededRandom } from '../../../devices/simulator/signals/random.ts'
import { Registry } from '../../../schemas/registry.ts'
import { type Ledger, RunningPlatform } from '../../e2e/platform.ts'
import { writeSchemas } from '../../schemas/schema-folder.ts'
import { startInfluxdb2 } from '../../servers/influxdb2.ts'
import { freePort } from '../../servers/server.ts'
import { until } from '../../until.ts'
import { LiveAccount, orderInLog, storedOf } from './account.ts'
import { Device } from './device.ts'
import { VERSIONS } from './versions.ts'

const TICK_MS = 5
const DRAIN_MS_MAX = 120_000
const DOWN_MS_MAX = 1_000
/** Versions that are there from the beginning. */
const FIRST_VERSIONS = 3
/** Times of the run at which something happens, as a share of it. */
const ADDED_AT = 1 / 3
const SWITCHED_AT = 2 / 3
const ADDED_LATE_AT = 5 / 6
/** A kill comes within so much of the run after each. */
const KILL_WITHIN = 1 / 8

export type StoreKind = 'embedded' | 'influx'

export interface StormOptions {
  readonly seed: number
  readonly store: StoreKind
  readonly devices: number
  /** Messages a second of all devices together. */
  readonly rate: number
  readonly seconds: number
  readonly kill: boolean
  readonly say: (line: string) => void
}

export interface StormReport {
  readonly messages: number
  readonly readings: number
  /** How many a second were sent, and by how much the latest was late. */
  readonly messagesPerSecond: number
  readonly latestMs: number
  readonly kills: number
  /** Set aside when all had switched to the version that was there, and before any did to the one that was not. */
  readonly deadLetteredByAdded: number
  /** Waited for the version that came late, and were put through again. */
  readonly waited: number
  readonly heldAtEnd: number
  readonly pendingAtEnd: number
  readonly lost: number
  readonly wrong: number
  /** In the store, and never sent. */
  readonly invented: number
  readonly lostLive: number
  /** A gateway was killed before it could send them late: apps have them by asking for history. */
  readonly inStoreOnly: number
  readonly wrongLive: number
  readonly gapsLive: number
  /** Readings that stand before one of their device that was sent earlier. */
  readonly outOfOrder: number
  readonly outOfOrderLive: number
  readonly unbalanced: number
}

/** What must be 0. */
const FAULTS = [
  'deadLetteredByAdded',
  'heldAtEnd',
  'pendingAtEnd',
  'lost',
  'wrong',
  'invented',
  'lostLive',
  'wrongLive',
  'gapsLive',
  'outOfOrder',
  'outOfOrderLive',
  'unbalanced',
] as const satisfies readonly (keyof StormReport)[]

export const isCalm = (report: StormReport): boolean => FAULTS.every((name) => report[name] === 0)

export function formatReport(report: StormReport): string {
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(20)}${value}`)
    .join('\n')
}

/** Runs one storm. Throws `MissingServer` if there is no InfluxDB 2.7 where it is wanted. */
export async function schemaStorm(options: StormOptions): Promise<StormReport> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-schema-storm-'))
  const influx = options.store === 'influx' ? await startInfluxdb2() : undefined
  const folder = join(directory, 'schemas')
  writeSchemas(folder, filesOf(VERSIONS.slice(0, FIRST_VERSIONS)))
  const ports = { mqtt: await freePort(), gateway: await freePort() }
  const platform = new RunningPlatform(join(directory, 'data'), ports, {
    environment: { TELLTALE_SCHEMAS_DIR: folder },
    ...(influx && { store: influx.store }),
  })
  try {
    await platform.start()
    return await new Storm(platform, directory, folder, options).run()
  } finally {
    await platform.kill()
    await influx?.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

const filesOf = (versions: readonly object[]) =>
  Object.fromEntries(versions.map((schema, index) => [`probe/${index + 1}.avsc`, schema]))

class Storm {
  readonly #platform: RunningPlatform
  readonly #directory: string
  readonly #folder: string
  readonly #options: StormOptions
  readonly #from = Date.now() - 60_000
  /** By device. */
  #versionOf: (index: number) => number = (index) => 1 + (index % FIRST_VERSIONS)
  #deadLetteredByAdded = 0
  #kills = 0
  #unbalanced = 0

  constructor(platform: RunningPlatform, directory: string, folder: string, options: StormOptions) {
    this.#platform = platform
    this.#directory = directory
    this.#folder = folder
    this.#options = options
  }

  async run(): Promise<StormReport> {
    const { say } = this.#options
    const registry = this.#allVersions()
    const devices = await this.#devices(registry)
    const live = await LiveAccount.open(this.#platform, this.#from)
    const pace = this.#send(devices)
    await this.#happenings()
    const { messagesPerSecond, latestMs } = await pace.end()
    say('all is sent')
    await until(() => devices.every(({ isDone }) => isDone))
    await Promise.all(devices.map((device) => device.end()))
    say('all is acknowledged')
    const ledger = await this.#drained()
    const order = await orderInLog(join(this.#platform.directory, 'log'), registry, this.#from)
    const isKilled = this.#kills > 0
    await live.has(devices, order, isKilled, DRAIN_MS_MAX)
    const readings = devices.reduce((sum, { versions }) => sum + versions.length, 0)
    const { replayed: waited, held: heldAtEnd, pending: pendingAtEnd } = ledger
    return {
      messages: devices.reduce((sum, { messages }) => sum + messages, 0),
      readings,
      messagesPerSecond: Math.round(messagesPerSecond),
      latestMs: Math.round(latestMs),
      kills: this.#kills,
      deadLetteredByAdded: this.#deadLetteredByAdded,
      waited,
      heldAtEnd,
      pendingAtEnd,
      ...(await storedOf(this.#platform, devices, this.#from)),
      ...live.close(devices, order, isKilled),
      outOfOrder: order.outOfOrder,
      unbalanced: this.#unbalanced,
    }
  }

  #allVersions(): Registry {
    const folder = join(this.#directory, 'all-versions')
    writeSchemas(folder, filesOf(VERSIONS))
    return Registry.load(folder)
  }

  async #devices(registry: Registry): Promise<readonly Device[]> {
    const ids = Array.from({ length: this.#options.devices }, (_, index) => `d${index}`)
    const tokens = (await this.#platform.telltale('token', 'device', ...ids)).trim().split('\n')
    const { mqttPort: port } = this.#platform
    return ids.map((id, index) => new Device({ id, token: tokens[index] ?? '', port, from: this.#from, registry }))
  }

  /** Each message when it is due, whatever became of those before it. */
  #send(devices: readonly Device[]) {
    const startedAt = performance.now()
    let made = 0
    let latestMs = 0
    const timer = setInterval(() => {
      const due = ((performance.now() - startedAt) * this.#options.rate) / 1000
      latestMs = Math.max(latestMs, ((due - made) * 1000) / this.#options.rate)
      for (; made < due; made++) {
        const index = made % devices.length
        devices[index]?.make(this.#versionOf(index))
      }
    }, TICK_MS)
    const end = async () => {
      await pause(Math.max(0, this.#options.seconds * 1000 - (performance.now() - startedAt)))
      clearInterval(timer)
      return { messagesPerSecond: (made * 1000) / (performance.now() - startedAt), latestMs }
    }
    return { end }
  }

  async #happenings(): Promise<void> {
    const { seconds, kill, seed, say } = this.#options
    const random = seededRandom(seed, 0)
    const startedAt = performance.now()
    const at = (share: number) => pause(Math.max(0, share * seconds * 1000 - (performance.now() - startedAt)))
    const perhapsKilled = async (share: number) => {
      if (!kill) return
      await at(share + random.between(0, KILL_WITHIN))
      await this.#kill(random.between(0, DOWN_MS_MAX))
    }
    await at(ADDED_AT)
    this.#add(4)
    this.#versionOf = () => 4
    say('the 4th version is added, and all devices send by it at once')
    await perhapsKilled(ADDED_AT)
    await at(SWITCHED_AT)
    this.#deadLetteredByAdded = (await this.#ledger()).deadLettered
    this.#versionOf = () => 5
    say('all devices send by the 5th version, which nobody knows')
    await perhapsKilled(SWITCHED_AT)
    await at(ADDED_LATE_AT)
    await until(async () => (await this.#ledger()).held > 0)
    this.#add(5)
    say('the 5th version is added')
    await perhapsKilled(ADDED_LATE_AT)
  }

  /** A whole file at once, as a deployment should do it. */
  #add(version: number): void {
    writeFileSync(join(this.#folder, 'next'), JSON.stringify(VERSIONS[version - 1]))
    renameSync(join(this.#folder, 'next'), join(this.#folder, `probe/${version}.avsc`))
  }

  async #kill(downMs: number): Promise<void> {
    await this.#platform.kill()
    await pause(downMs)
    await this.#platform.start()
    this.#kills++
    this.#options.say(`killed, down for ${downMs.toFixed(0)} ms and a start`)
  }

  async #ledger(): Promise<Ledger> {
    const ledger = await this.#platform.ledger()
    const isBalanced = ledger.balanced && ledger.accepted === ledger.stored + ledger.deadLettered + ledger.pending
    if (!isBalanced) this.#unbalanced++
    return ledger
  }

  async #drained(): Promise<Ledger> {
    const deadline = performance.now() + DRAIN_MS_MAX
    for (;;) {
      const ledger = await this.#ledger()
      if ((ledger.pending === 0 && ledger.held === 0) || performance.now() > deadline) return ledger
      await pause(100)
    }
  }
}
