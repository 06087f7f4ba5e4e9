/**
 * Owns the resume storm: apps on two gateways over one log under load, cut off at random and resumed from their cursors, while gateways
 * are killed, the log forgets what apps have not had, and dead letters are replayed. In the end each app's own log must be what the
 * log held, but for what a `gap` named, and so must be the rows of the store.
 *
 * Bound: so many resumes, or `MINUTES_MAX`.
 */

import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Random, seededRandom } from '../../../devices/simulator/signals/random.ts'
import { Decoder } from '../../../schemas/decoder.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { until } from '../../until.ts'
import { Account } from './account.ts'
import { App, type AppOptions, type Door, Happenings } from './app.ts'
import { Chronicle } from './chronicle.ts'
import { Field, type StoreKind } from './field.ts'
import { Fleet, type KindName, kindOf, timeOf } from './fleet.ts'

const MINUTES_MAX = 15
/** How often what apps have had is held against the log. */
const SETTLE_MS = 20
/** As `Field` has it. */
const BUCKET_KEEPS_MS = 86_400_000
const DEVICES: Record<KindName, number> = { one: 8, json: 6, batch: 4, bulk: 2, late: 2, stale: 2, pump: 2, flood: 4 }
/** Doors and what apps want there, by turns. */
const DOORS: readonly Door[] = ['text', 'events', 'undecoded', 'text']
const AWAY_RATIO = 0.4
const CALM_MS_MAX = 1_500
const DOWN_MS_MAX = 500
/** So that what only the store has is more than a page of it. */
const LONG_AWAY_MS_MAX = 2_500
/** A number for the seed's sequence of acts: those below it are of the apps. */
const ACTS_STREAM = 1_000_000

export interface StormOptions {
  readonly seed: number
  readonly store: StoreKind
  readonly resumes: number
  readonly apps: number
  /** Devices publish so many times as often. */
  readonly speed: number
  readonly say: (line: string) => void
}

export interface StormReport {
  readonly seconds: number
  readonly resumes: number
  readonly resumesBeforeLog: number
  readonly disconnects: number
  readonly inCatchUp: number
  readonly endings: string
  readonly refused: number
  readonly kills: number
  readonly stops: number
  readonly floods: number
  readonly messages: number
  readonly published: number
  readonly replayed: number
  readonly readings: number
  readonly merged: number
  readonly gaps: number
  readonly missed: number
  readonly rows: number
  /** What is wrong: empty if all is well. */
  readonly findings: readonly string[]
}

/** Runs one storm. Throws `MissingServer` if there is no InfluxDB 2.7 where it is wanted. */
export async function resumeStorm(options: StormOptions): Promise<StormReport> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-resume-'))
  const field = await Field.start(directory, options.store)
  const storm = new Storm(field, options)
  try {
    await storm.begin()
    return await storm.rage()
  } finally {
    await storm.stop()
    await field.stop()
  }
}

export function formatReport({ findings, ...numbers }: StormReport): string {
  const lines = Object.entries(numbers).map(([name, value]) => `${name.padEnd(17)}${value}`)
  return [...lines, ...findings].join('\n')
}

class Storm {
  readonly #field: Field
  readonly #options: StormOptions
  readonly #beganAt = Date.now()
  readonly #happenings = new Happenings()
  readonly #registry: Registry
  readonly #chronicle: Chronicle
  readonly #acts: Random
  readonly #done = { kills: 0, stops: 0, floods: 0, replayed: 0 }
  #fleet: Fleet | undefined
  #apps: readonly App[] = []
  #startedAt = 0
  #isCalm = false
  #settling: NodeJS.Timeout | undefined

  constructor(field: Field, options: StormOptions) {
    this.#field = field
    this.#options = options
    this.#registry = field.registry()
    this.#acts = seededRandom(options.seed, ACTS_STREAM)
    this.#chronicle = new Chronicle(field.data, this.#registry, this.#beganAt)
  }

  /** All are connected, and every app has its first cursor. */
  async begin(): Promise<void> {
    await this.#chronicle.start()
    const ids = Object.entries(DEVICES).flatMap(([kind, count]) =>
      Array.from({ length: count }, (_, number) => `${kind}-${number + 1}`),
    )
    const tokens = await this.#field.deviceTokens(ids)
    const random = seededRandom(this.#options.seed, ACTS_STREAM + 1)
    this.#fleet = new Fleet({
      mqttPort: this.#field.mqttPort,
      devices: ids.map((id, index) => ({ id, password: tokens[index] ?? '' })),
      registry: this.#registry,
      beganAt: this.#beganAt,
      random: () => random.next(),
      speed: this.#options.speed,
    })
    await this.#devices.connected()
    const token = await this.#field.appToken()
    this.#apps = Array.from({ length: this.#options.apps }, (_, number) => this.#makeApp(number, token, ids))
    await Promise.all(this.#apps.map((app) => app.begin()))
    this.#settling = setInterval(() => this.#settle(), SETTLE_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#settling)
    await this.#fleet?.end()
    await this.#chronicle.stop()
  }

  async rage(): Promise<StormReport> {
    this.#startedAt = performance.now()
    this.#devices.begin()
    const isOver = () =>
      this.#findings.length > 0 ||
      this.#happenings.resumes >= this.#options.resumes ||
      performance.now() - this.#startedAt > MINUTES_MAX * 60_000
    let isActing = true
    const running = this.#apps.map((app) => app.run(() => isOver() && !isActing))
    try {
      await this.#flood()
      await this.#learnPumps()
      while (!isOver()) await this.#act()
    } catch (error) {
      this.#happenings.findings.push(error instanceof Error ? `${error.stack}` : String(error))
    }
    isActing = false
    await Promise.all(running)
    const rows = this.#findings.length > 0 ? 0 : await this.#finish()
    return this.#report((performance.now() - this.#startedAt) / 1_000, rows)
  }

  get #devices(): Fleet {
    return this.#fleet ?? assert.fail('the storm has not begun')
  }

  get #findings(): readonly string[] {
    const own = this.#apps.flatMap(({ account }) => account.finding ?? [])
    return [...this.#happenings.findings, ...own]
  }

  #makeApp(number: number, token: string, ids: readonly string[]): App {
    const random = seededRandom(this.#options.seed, number)
    const { door, filters, selects, what } = wantedBy(number, random, ids)
    const options: AppOptions = {
      ...{ name: `app ${number}, ${door} of ${what}`, door, filters, token, random, beganAt: this.#beganAt },
      isRated: door !== 'undecoded' && random.below(4) === 0,
      start: random.below(4) === 0 ? 'latest' : 'now',
      gateway: () => this.#gateway(random.below(2)).url,
      isCalm: () => this.#isCalm,
      hasPlaces: (url) => this.#field.hasPlaces(url),
    }
    const decoder = new Decoder(this.#registry)
    const happenings = this.#happenings
    return new App(options, new Account(this.#chronicle, selects), { chronicle: this.#chronicle, decoder, happenings })
  }

  #gateway(index: number) {
    return this.#field.gateways[index] ?? assert.fail('there are two gateways')
  }

  #settle(): void {
    for (const { account } of this.#apps) account.settle()
  }

  async #act(): Promise<void> {
    await pause(this.#acts.below(CALM_MS_MAX))
    const gateway = this.#gateway(this.#acts.below(2))
    const act = this.#acts.below(5)
    if (act < 2) return this.#flood()
    if (act === 2 && this.#field.store === 'influx') return this.#replayRefused()
    const isStop = act === 3
    if (isStop) {
      await gateway.stop()
      this.#done.stops++
    } else {
      await gateway.kill()
      this.#done.kills++
    }
    await pause(this.#acts.below(DOWN_MS_MAX))
    await gateway.start()
    this.#say(`${isStop ? 'stopped' : 'killed'} ${gateway.url}`)
  }

  /** What InfluxDB refused is refused again; apps had it the first time. */
  async #replayRefused(): Promise<void> {
    const replayed = await this.#field.replay('environment')
    this.#done.replayed += replayed
    this.#say(`replayed ${replayed} messages that the store had refused`)
  }

  /** Some apps stay away until the log does not have any more what they had last. */
  async #flood(): Promise<void> {
    let comeBack = () => {}
    const away = new Promise<void>((resolve) => {
      comeBack = resolve
    })
    const apps = this.#apps.filter(() => this.#acts.next() < AWAY_RATIO)
    for (const app of apps) app.stayAway(away)
    await until(() => apps.every(({ isAway }) => isAway))
    await pause(this.#acts.between(LONG_AWAY_MS_MAX / 2, LONG_AWAY_MS_MAX))
    const target = await this.#chronicle.whole()
    const flooding = this.#devices.of('flood')
    await until(async () => {
      if ((await this.#chronicle.first()) > target) return true
      for (const device of flooding) device.publish()
      await until(() => this.#devices.isDone(flooding))
      await this.#chronicle.whole()
      return false
    })
    this.#done.floods++
    this.#say(`flooded the log up to ${await this.#chronicle.whole()}, ${apps.length} apps were away`)
    comeBack()
  }

  /** The pumps' messages, set aside so far, are replayed once they have a schema; only when no app has them before it any more. */
  async #learnPumps(): Promise<void> {
    const pumps = this.#devices.of('pump')
    this.#devices.pause(pumps)
    await until(() => this.#devices.isDone(pumps))
    const end = await this.#chronicle.whole()
    await this.#chronicle.ingested(end)
    this.#isCalm = true
    await until(() => this.#findings.length > 0 || this.#apps.every(({ account }) => account.place >= end))
    this.#isCalm = false
    this.#chronicle.knowsPump = true
    this.#say('all apps have what the pumps sent so far, or not')
    const before = await this.#field.replayed()
    await this.#field.learnPumps()
    this.#done.kills += this.#field.gateways.length
    this.#say('the gateways know the schema of the pumps')
    const sent = pumps.reduce((sum, { messages }) => sum + messages, 0)
    await until(async () => (await this.#field.replayed()) - before >= sent)
    this.#done.replayed += sent
    this.#say(`${sent} messages of pumps were replayed`)
    for (const pump of pumps) pump.begin()
  }

  /** Waits until all have everything; the number of rows in the store. */
  async #finish(): Promise<number> {
    const fleet = this.#devices
    fleet.pause()
    await until(() => fleet.isDone())
    const end = await this.#chronicle.whole()
    await Promise.all(this.#apps.map((app) => app.finish(end)))
    await this.#field.settled()
    let rows = 0
    for (const { id } of fleet.devices) rows += await this.#requireRows(id)
    return rows
  }

  /** The store has the rows that the log had. */
  async #requireRows(id: string): Promise<number> {
    const { devices, numbers } = this.#chronicle
    // InfluxDB refuses what is older than it keeps.
    const isKept = this.#field.store === 'embedded' || kindOf(id).ageMs < BUCKET_KEEPS_MS
    const wanted = numbers.filter((_, at) => isKept && devices[at] === id)
    const times = await this.#field.times(id, kindOf(id).stream)
    const had = new Set(times)
    const lacking = wanted.filter((number) => !had.has(timeOf(id, number, this.#beganAt)))
    if (lacking.length > 0 || times.length !== wanted.length || had.size !== times.length) {
      const what = `the store has ${times.length} rows of ${id}, the log had ${wanted.length} readings`
      this.#happenings.findings.push(`${what}; lacking are ${lacking.slice(0, 10)}`)
    }
    return times.length
  }

  #report(seconds: number, rows: number): StormReport {
    const { resumes, resumesBeforeLog, disconnects, inCatchUp, refused, endings } = this.#happenings
    const sum = (of: (account: Account) => number) => this.#apps.reduce((total, { account }) => total + of(account), 0)
    return {
      seconds: Math.round(seconds),
      ...{ resumes, resumesBeforeLog, disconnects, inCatchUp, endings: JSON.stringify(endings), refused },
      ...this.#done,
      messages: this.#devices.messages,
      published: this.#devices.readings,
      readings: sum(({ readings }) => readings),
      merged: sum(({ merged }) => merged),
      gaps: sum(({ gaps }) => gaps),
      missed: sum(({ missed }) => missed),
      rows,
      findings: this.#findings,
    }
  }

  #say(what: string): void {
    const seconds = ((performance.now() - this.#startedAt) / 1_000).toFixed(1)
    this.#options.say(`${seconds} s, ${this.#happenings.resumes} resumes: ${what}`)
  }
}

/** What an app asks for, by its number and its own chance. */
function wantedBy(number: number, random: Random, ids: readonly string[]) {
  const door = DOORS[number % DOORS.length] ?? 'text'
  const choice = random.below(4)
  if (choice === 0) return { door, filters: ['devices/+/telemetry/#'], selects: () => true, what: 'all' }
  if (choice === 1) {
    const selects = (id: string) => kindOf(id).stream === 'environment'
    return { door, filters: ['devices/+/telemetry/environment'], selects, what: 'environment' }
  }
  const own = new Set(Array.from({ length: 1 + random.below(4) }, () => ids[random.below(ids.length)] ?? ''))
  const filters = [...own].map((id) => `devices/${id}/telemetry/+`)
  return { door, filters, selects: (id: string) => own.has(id), what: [...own].join(' ') }
}
