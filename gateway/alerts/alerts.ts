/**
 * Owns alerts: that the rules in force are looked after by one of the processes that share a log, and what is known of them here.
 *
 *   idle --start()--> standing by --the log gives the claim--> restoring --the log was read up to the tail--> looking --stop()--> stopped
 *
 * Always true: what is firing and what is still to be told outlives the process; so does the place in the log up to which fields were
 * looked at: what came after it, before a kill and while nobody looked, is looked at when somebody does. Bounds: those of its parts.
 */

import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { DeclaredDevices } from '../../identity/declared-devices.ts'
import { type DeadLetterPlace, formatPlace, placeBehind } from '../../log/dead-letter-place.ts'
import type { Entry } from '../../log/entry.ts'
import type { Claims, DeadLetterBox, Shard } from '../../log/log.ts'
import { formatPosition, type Position, parsePosition } from '../../log/position.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Part } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/logger.ts'
import { formatDuration } from '../../platform/units.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import type { Reading, Stream } from '../../schemas/reading.ts'
import type { FactsDependencies } from '../devices/facts.ts'
import type { Latest } from '../latest.ts'
import { isTelemetry, piecesOf, readingsOf } from '../live/telemetry.ts'
import type { AlertMetrics } from '../metrics.ts'
import { AlertBook, type BookText, lineOf } from './book.ts'
import { Completeness } from './completeness.ts'
import { DeadLetterCounts, type Mark } from './dead-letters.ts'
import { Deliveries } from './deliveries.ts'
import { Lag } from './lag.ts'
import type { Rule } from './rule.ts'
import { type Declared, isMember } from './rule-devices.ts'
import type { Rules } from './rules.ts'
import { Silence } from './silence.ts'
import { StateFile } from './state-file.ts'
import { alertsRequest, type Message, type Target } from './target.ts'
import { type PendingText, Thresholds } from './thresholds.ts'

/** How often conditions that come true by the passing of time are looked at. */
const LOOK_MS = 1_000
/** How often a process that stands by asks for the claim. */
const CLAIM_MS = 2_000
/** The place in the log is saved so often; what came after it is read again after a kill. */
const SAVE_PLACE_MS = 10_000
/** Devices that were only seen to connect are looked up so often. */
const CONNECTED_MS = 30_000
const REPEAT_TO_ALERTMANAGER_MS = 60_000
const ALERTS_PER_REPEAT = 500
const DEAD_LETTERS_PER_READ = 100
const CLAIM = 'alerts'

export interface AlertsOptions {
  /** Where what outlives the process is kept. */
  readonly file: string
}

export interface AlertsDependencies extends FactsDependencies {
  readonly log: FactsDependencies['log'] &
    Pick<DeadLetterBox, 'deadLetters' | 'followDeadLetters' | 'lastDeadLetter'> &
    Claims & {
      readonly id: string
      readonly shards: readonly Pick<Shard, 'first' | 'end' | 'read' | 'checkpoint'>[]
    }
  readonly declared: FactsDependencies['declared'] & Pick<DeclaredDevices, 'onChange'>
  readonly rules: Rules
  readonly latest: Latest
  readonly decoder: Pick<Decoder, 'decode'>
  readonly stream: (name: string) => Stream | undefined
  /** Up to where the tail has taken the log in; what comes then, it gives to `take`. */
  readonly tailed: () => Position
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: AlertMetrics
}

interface StateText extends BookText {
  readonly version: 1
  /** Up to where fields were looked at; absent while no rule is about one. */
  readonly place?: string
  readonly pending: readonly PendingText[]
  readonly marks: readonly Mark[]
}

export class Alerts implements Part {
  readonly name = 'alerts'
  readonly book: AlertBook
  readonly #dependencies: AlertsDependencies
  readonly #file: StateFile
  readonly #deliveries: Deliveries
  readonly #thresholds: Thresholds
  readonly #deadLetters: DeadLetterCounts
  readonly #lag: Lag
  readonly #silence: Silence
  readonly #completeness: Completeness
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #following: AbortController | undefined
  /** It is this process that looks and tells. */
  #isLooking = false
  /** What the tail takes in comes next after what was looked at. */
  #isCaughtUp = false
  /** There are rules about fields, and readings are looked at as they go by. */
  isWatching = false
  #connected: ReadonlySet<string> = new Set()
  #connectedAt = Number.NEGATIVE_INFINITY
  #savedAt = 0
  #savedPlace = ''
  #repeatedAt: number

  constructor({ file }: AlertsOptions, dependencies: AlertsDependencies) {
    this.#dependencies = dependencies
    const { log, logger, metrics } = dependencies
    this.book = new AlertBook(dependencies)
    const parts = { ...dependencies, book: this.book }
    this.#repeatedAt = dependencies.clock.now()
    this.#file = new StateFile(file, () => this.#text(), logger)
    const save = () => this.#file.save()
    const count = (outcome: string) => metrics.posts.inc({ outcome })
    this.#deliveries = new Deliveries({ ...parts, save, count })
    this.#thresholds = new Thresholds(parts)
    this.#deadLetters = new DeadLetterCounts({ ...parts, shards: log.shards.length })
    this.#lag = new Lag(log.shards)
    this.#silence = new Silence(parts)
    this.#completeness = new Completeness(parts)
    metrics.observe({ firing: () => this.book.firing.size, waiting: () => this.book.postsWaiting })
  }

  async start(): Promise<void> {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#following?.abort()
    await this.#deliveries.stop()
    await this.#running
  }

  /** The readings of a message that the tail has taken in. */
  take(entry: Entry, readings: readonly Reading[]): void {
    this.#thresholds.take(entry, readings)
  }

  /** What there is to tell whoever asks: of another process, what it saved last. */
  async state(): Promise<Pick<BookText, 'firing' | 'over' | 'untold' | 'dropped' | 'posts'>> {
    if (this.#isLooking) return this.book.text
    return { ...EMPTY, ...((await this.#file.read()) as StateText | undefined) }
  }

  /** Why the target takes nothing now, as far as it is known here. */
  problemOf(target: Target): string | undefined {
    return this.#deliveries.problemOf(lineOf(target))
  }

  async #run(): Promise<void> {
    const { log, rules, declared, tailed, logger } = this.#dependencies
    const { signal } = this.#stopping
    // What comes while the claim is asked for is looked at, and what came since another was seen to have it.
    let began = tailed()
    while (!signal.aborted) {
      const asked = tailed()
      try {
        if (await log.claim(CLAIM)) break
        began = asked
      } catch (error) {
        logger.error({ reason: messageOf(error) }, 'it is not known who looks after alerts')
      }
      await delay(CLAIM_MS, undefined, { signal }).catch(() => undefined)
    }
    if (signal.aborted) return
    const state = { ...EMPTY, ...((await this.#file.read()) as StateText | undefined) }
    this.book.restore(state)
    this.#isLooking = true
    this.#use(state.pending)
    const useAgain = () => {
      this.#use(this.#thresholds.text)
      this.#followDeadLetters(this.#deadLetters.marks)
      this.#savePlace()
    }
    const follows = [rules.onChange(useAgain), declared.onChange(useAgain)]
    this.#followDeadLetters(state.marks)
    await this.#catchUp(state.place, began)
    this.#savePlace()
    this.book.onPosts = this.#deliveries.look
    this.#deliveries.look()
    while (!signal.aborted) {
      try {
        await this.#look()
      } catch (error) {
        if (!signal.aborted) logger.error({ err: error }, 'alerts could not be looked at, and are again')
      }
      await delay(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined)
    }
    for (const stop of follows) stop()
    // Before that nothing was saved, nor told: all of it is done again.
    if (this.#isCaughtUp) await this.#file.save()
    this.#isLooking = false
    this.isWatching = false
    await log.release(CLAIM).catch(() => undefined)
  }

  /** The rules that are in force now are looked after; of those that are not, nothing is firing any more. */
  #use(pending: readonly PendingText[]): void {
    const { rules, declared, clock } = this.#dependencies
    const byName = new Map(rules.all.map((rule) => [rule.name, rule]))
    for (const alert of [...this.book.firing]) {
      const rule = byName.get(alert.rule)
      const why = whyOver(rule, alert, declared)
      if (why !== undefined) this.book.end(alert, clock.now(), `the rule ${alert.rule} ${why}`)
    }
    this.#thresholds.use(rules.all, pending)
    this.#deadLetters.use(rules.all)
    this.isWatching = this.#isCaughtUp && !this.#thresholds.isEmpty
  }

  /** Looks at what came since `place`, or since it `began` here, up to where the tail is: from there on it gives what it takes in. */
  async #catchUp(place: string | undefined, began: Position): Promise<void> {
    const { log, tailed, logger } = this.#dependencies
    let at: Position | undefined
    try {
      at = place === undefined ? began : parsePosition(log, place)
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'rules about fields begin now')
    }
    const reached = [...(at ?? tailed())]
    const isBehind = () => reached.some((offset, shard) => offset < (tailed()[shard] ?? offset))
    while (!this.#thresholds.isEmpty && !this.#stopping.signal.aborted && isBehind()) {
      try {
        for (const [shard, from] of reached.entries()) reached[shard] = await this.#read(shard, from)
        await nextTurn()
      } catch (error) {
        logger.error({ reason: messageOf(error) }, 'the log cannot be read for rules about fields, and is tried again')
        await delay(LOOK_MS, undefined, { ref: false })
      }
    }
    this.#isCaughtUp = !this.#stopping.signal.aborted
    this.isWatching = this.#isCaughtUp && !this.#thresholds.isEmpty
  }

  /** Looks at entries from `from` on, none that the tail has yet to take; the place after them. */
  async #read(shard: number, from: Position[number]): Promise<Position[number]> {
    const { log, tailed, decoder, logger } = this.#dependencies
    const batch = await log.shards[shard]?.read(from)
    if (batch === undefined) return tailed()[shard] ?? from
    if (batch.missed > 0)
      logger.warn({ missed: batch.missed }, 'retention removed entries before rules about fields saw them')
    let reached = from
    for (const { entries, next } of piecesOf(batch)) {
      for (const entry of entries) {
        if (entry.offset >= (tailed()[shard] ?? 0)) return entry.offset
        if (!isTelemetry(entry) || !this.#thresholds.wants(entry)) continue
        const readings = readingsOf(entry, decoder)
        if (readings !== undefined) this.#thresholds.take(entry, readings)
      }
      reached = next
      await nextTurn()
    }
    return reached
  }

  #followDeadLetters(marks: readonly Mark[]): void {
    if (this.#deadLetters.isEmpty) {
      this.#following?.abort()
      this.#following = undefined
    } else if (this.#following === undefined) {
      this.#following = new AbortController()
      void this.#takeDeadLetters(marks, this.#following.signal)
    }
  }

  async #takeDeadLetters(marks: readonly Mark[], signal: AbortSignal): Promise<void> {
    const { log, clock, logger } = this.#dependencies
    const counts = this.#deadLetters
    let after: DeadLetterPlace | undefined
    while (!signal.aborted && !this.#stopping.signal.aborted) {
      try {
        after ??= counts.restore(marks, await log.lastDeadLetter(), clock.now())
        for (;;) {
          const letters = await log.deadLetters({ after, limit: DEAD_LETTERS_PER_READ })
          for (const letter of letters) {
            counts.take(letter)
            after = placeBehind(after, letter.sequence)
          }
          if (letters.length === 0 || signal.aborted) break
        }
        counts.isRestored = true
        for await (const letter of log.followDeadLetters(after, signal)) {
          counts.take(letter)
          after = placeBehind(after, letter.sequence)
        }
      } catch (error) {
        if (signal.aborted) return
        logger.error({ reason: messageOf(error) }, 'dead letters cannot be followed for alerts, and are tried again')
        await delay(LOOK_MS, undefined, { ref: false })
      }
    }
  }

  async #look(): Promise<void> {
    const { rules, clock } = this.#dependencies
    const has = new Set(rules.all.map(({ condition }) => condition.kind))
    const now = clock.now()
    const devices = has.has('silent') || has.has('completeness') ? this.#devices(now) : new Set<string>()
    this.#thresholds.tick(now)
    this.#deadLetters.tick(now)
    if (has.has('silent')) await this.#silence.look(rules.all, devices)
    if (has.has('lag') || has.has('completeness')) {
      const storedUntil = await this.#lag.storedUntil(now)
      this.#lookAtLag(rules.all, now, storedUntil)
      await this.#completeness.look(rules.all, devices, storedUntil)
    }
    if (now - this.#savedAt >= SAVE_PLACE_MS) this.#savePlace()
    this.#repeat(now)
    this.#deliveries.look()
  }

  #lookAtLag(rules: readonly Rule[], now: number, storedUntil: number): void {
    for (const rule of rules) {
      if (rule.condition.kind !== 'lag') continue
      const lagMs = Math.round((now - storedUntil) / 1_000) * 1_000
      const { aboveMs } = rule.condition
      const alert = this.book.of(rule.name, {})
      const behind = `the store is ${formatDuration(lagMs)} behind`
      if (lagMs > aboveMs) this.book.begin(rule, {}, storedUntil, `${behind}, more than ${formatDuration(aboveMs)}`)
      // It would go to and fro where it was just too much.
      else if (alert !== undefined && lagMs <= aboveMs / 2) this.book.end(alert, now, behind)
    }
  }

  /** All that are known by what they sent, by a connection, or by a file. */
  #devices(now: number): ReadonlySet<string> {
    const { latest, presence, declared } = this.#dependencies
    if (now - this.#connectedAt >= CONNECTED_MS) {
      this.#connectedAt = now
      this.#connected = new Set(Array.from(presence.all(), ({ device }) => device))
    }
    const devices = new Set(this.#connected)
    for (const device of latest.devices()) devices.add(device)
    for (const device of declared.ids) devices.add(device)
    return devices
  }

  /** What is pending is found from there by whoever looks next. */
  #savePlace(): void {
    if (!this.#isCaughtUp) return
    this.#savedAt = this.#dependencies.clock.now()
    const { place = '', marks } = this.#text()
    const saved = `${place} ${formatPlace(marks.at(-1)?.place ?? [])}`
    if (saved === this.#savedPlace) return
    this.#savedPlace = saved
    void this.#file.save()
  }

  /** Alertmanager forgets what it is not told again. A try that fails is made up for by the next. */
  #repeat(now: number): void {
    if (now - this.#repeatedAt < REPEAT_TO_ALERTMANAGER_MS) return
    this.#repeatedAt = now
    const told = new Map<string, { readonly target: Target; readonly messages: Message[] }>()
    for (const { to, kind: _, id: alert, ...rest } of this.book.firing) {
      for (const target of to) {
        if (target.kind !== 'alertmanager') continue
        const key = lineOf(target)
        const known = told.get(key) ?? { target, messages: [] }
        told.set(key, known)
        if (known.messages.length < ALERTS_PER_REPEAT)
          known.messages.push({ ...rest, id: alert, alert, state: 'firing' })
      }
    }
    for (const [key, { target, messages }] of told) {
      // What is still to be told comes first.
      if (this.book.lines.has(key)) continue
      this.#deliveries.post(alertsRequest(target, messages, now)).catch((error: unknown) => {
        this.#dependencies.logger.debug({ reason: messageOf(error) }, 'an Alertmanager could not be told again')
      })
    }
  }

  #text(): StateText {
    const { log, tailed } = this.#dependencies
    const place = this.isWatching && { place: formatPosition(log, tailed()) }
    return { version: 1, ...place, pending: this.#thresholds.text, marks: this.#deadLetters.marks, ...this.book.text }
  }
}

const EMPTY: StateText = { version: 1, pending: [], marks: [], firing: [], over: [], posts: [], untold: 0, dropped: 0 }

/** Why an alert can be none of the rule of its name, as that is now; undefined if it can. */
function whyOver(
  rule: Rule | undefined,
  { kind, device = '', stream }: Pick<AlertOf, 'kind' | 'device' | 'stream'>,
  declared: Declared,
): string | undefined {
  if (rule === undefined) return 'is there no more'
  const { condition } = rule
  if (condition.kind !== kind) return 'is another now'
  if (condition.kind === 'lag') return undefined
  if (!isMember(condition.devices, device, declared)) return `is not of ${device} now`
  const isOfField = condition.kind === 'above' || condition.kind === 'below'
  return isOfField && condition.stream !== stream ? 'is another now' : undefined
}

type AlertOf = BookText['firing'][number]
