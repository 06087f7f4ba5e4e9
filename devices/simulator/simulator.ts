/**
 * Owns one run of a simulated fleet, from the first connection to the summary.
 *
 *   connecting -> publishing -> draining -> verifying (if asked) -> closed
 *
 * With a ramp devices connect while others publish. Publishing ends with the first of: every device has sent its share, the duration is over,
 * the signal is aborted, a device is refused, which the summary says. Always true: the run folder is written as the run goes on. Bound: what
 * is not acknowledged `drainMs` after the end is reported as unacknowledged.
 */

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { type KeptFile, keptFiles } from './kept/kept-files.ts'
import type { RunRecord } from './kept/run-folder.ts'
import { writeReports, writeTimings } from './report/run-files.ts'
import type { Second } from './report/seconds.ts'
import { SecondsFile } from './report/seconds-file.ts'
import type { Summary } from './report/summary.ts'
import { BySecond } from './run/by-second.ts'
import { DueTimes } from './run/due-times.ts'
import type { FaultChecks } from './run/fault-checks.ts'
import { LiveLog, type LiveWatch } from './run/live-log.ts'
import type { Part } from './run/part.ts'
import { type Finished, summarize } from './run/summarize.ts'
import type { Totals } from './run/totals.ts'
import type { Fault } from './scenario/fault.ts'
import type { Scenario } from './scenario/scenario.ts'
import { SimulatorError } from './simulator-error.ts'
import type { Verifies } from './verify/run-verifier.ts'

export interface RunOptions {
  readonly scenario: Scenario
  /** The broker. */
  readonly url: string
  /** Of ours, where the store, the dead letters and live readings are asked for; undefined beside another broker. */
  readonly gateway: string | undefined
  /** Where the run is kept; undefined: nowhere. */
  readonly folder: string | undefined
  /** How often all processes are asked; a second unless told. */
  readonly everyMs?: number
}

export interface SimulatorDeps {
  /** One for each process. */
  readonly parts: readonly Part[]
  /** An app that sees what comes. */
  readonly watch: ((log: LiveLog) => LiveWatch) | undefined
  /** If the run is to be verified. */
  readonly verifier: Verifies | undefined
  /** Of faults that a platform of ours is asked about while they are done. */
  readonly faultChecks?: FaultChecks | undefined
  /** Of this process and the others. */
  readonly cost: () => Summary['cost']
  /** A sentence for whoever runs it, at once. */
  readonly say: (sentence: string) => void
}

/** So long a verified run waits for an app that is away; longer, and what it lacks is lost to it. */
const AWAY_MS_MAX = 120_000

export type Phase = 'connecting' | 'publishing' | 'draining' | 'verifying' | 'closed'

/** What is known of a run while it lasts. */
export interface Snapshot {
  readonly phase: Phase
  readonly scenario: Scenario
  /** Those of the scenario, and then those by hand. */
  readonly faults: readonly Fault[]
  readonly totals: Totals
  /** Those that are over. */
  readonly seconds: readonly Second[]
  /** Milliseconds since the first message was due; 0 before. */
  readonly elapsedMs: number
  /** Why no device is connected yet, or most are not any more; or what the verification waits for. */
  readonly problem: string | undefined
}

export class Simulator {
  readonly #options: RunOptions
  readonly #deps: SimulatorDeps
  readonly #dueTimes: DueTimes
  readonly #liveLog: LiveLog
  readonly #watch: LiveWatch | undefined
  readonly #bySecond: BySecond
  readonly #faults: Fault[]
  #secondsFile: SecondsFile | undefined
  #phase: Phase = 'connecting'
  #beganAt: number | undefined
  /** Why nobody follows it live. */
  #unfollowed: string | undefined
  /** What comes late, of what follows the run. */
  #waitingFor: string | undefined
  #startAt = 0
  #booksAfter: RunRecord['booksAfter']

  constructor(options: RunOptions, deps: SimulatorDeps) {
    this.#options = options
    this.#deps = deps
    const { scenario, folder } = options
    this.#faults = [...scenario.faults]
    this.#dueTimes = new DueTimes(scenario)
    this.#liveLog = new LiveLog(
      folder === undefined || deps.watch === undefined ? undefined : join(folder, 'live.tsv'),
      this.#dueTimes,
    )
    this.#watch = deps.watch?.(this.#liveLog)
    this.#bySecond = new BySecond(deps.parts, this.#liveLog, {
      take: (second) => this.#secondsFile?.add(second),
      acknowledged: (reading) => deps.verifier?.acknowledged(reading),
      everyMs: options.everyMs,
    })
  }

  /** Where the run is kept; undefined: nowhere. */
  get folder(): string | undefined {
    return this.#options.folder
  }

  get snapshot(): Snapshot {
    const { totals, seconds, problem } = this.#bySecond
    return {
      phase: this.#phase,
      scenario: this.#options.scenario,
      faults: this.#faults,
      totals,
      seconds,
      elapsedMs: this.#beganAt === undefined ? 0 : epochNow() - this.#beganAt,
      problem: this.#phase === 'verifying' ? (this.#waitingFor ?? this.#deps.verifier?.waitingFor) : problem,
    }
  }

  /** By hand, from now on. Its number, by which it is ended. */
  befall(device: string, fault: Fault): number {
    const number = this.#faults.push(fault) - 1
    for (const part of this.#deps.parts) part.befall(device, { number, fault })
    return number
  }

  relieve(device: string, number: number): void {
    for (const part of this.#deps.parts) part.relieve(device, number)
  }

  /** As far as it is known. */
  isOnline(device: string): boolean | undefined {
    return this.#deps.parts.map((part) => part.isOnline(device)).find((isOnline) => isOnline !== undefined)
  }

  /**
   * Runs to the end; aborting `signal` ends it early, in good order. Once only. Rejects with a `SimulatorError`: `unknown-stream`,
   * `unsupported-field`, `message-too-large`, `refused`, `unreachable`, `no-gateway`.
   */
  async run(signal: AbortSignal): Promise<Summary> {
    const { scenario } = this.#options
    const { parts } = this.#deps
    const each = (step: (part: Part) => Promise<void>) => Promise.all(parts.map(step))
    try {
      await each((part) => part.prepare())
      this.#bySecond.start()
      const record = await this.#publish(signal)
      this.#phase = 'draining'
      await each((part) => part.drain(scenario.drainMs))
      const ended = { ...record, endedAt: epochNow() }
      await this.#bySecond.stop()
      this.#keep(ended)
      const payloadHash = await this.#payloadHash()
      await each((part) => part.close())
      this.#keepWith(ended, ['messages'])
      return await this.#account(ended, payloadHash, signal.aborted)
    } finally {
      await this.#bySecond.stop()
      await each((part) => part.close())
      await this.#deps.faultChecks?.stop()
      await this.#deps.verifier?.stop()
      await this.#watch?.stop()
      this.#liveLog.close()
      await this.#bySecond.look()
      this.#phase = 'closed'
    }
  }

  /** Connects, and publishes to the end. */
  async #publish(signal: AbortSignal): Promise<RunRecord> {
    const { scenario } = this.#options
    const { parts } = this.#deps
    const connect = () => Promise.all(parts.map((part) => part.connect(signal)))
    const isRamped = scenario.rampMs > 0
    const watching = this.#watchLive()
    // That nobody is there to send to says more than that nobody is there to follow, which is not waited for then.
    watching.catch(() => {})
    if (!isRamped) await connect()
    await watching
    if (this.#unfollowed !== undefined)
      this.#deps.say(`${this.#unfollowed}: the run goes on, and nothing is followed live`)
    const record = this.#begin(await this.#deps.verifier?.start())
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    const publishing = parts.map((part) => part.publish(record.beganAt + scenario.durationMs, either))
    if (isRamped) {
      // One that cannot connect ends it for all.
      await connect().catch((error) => {
        failed.abort()
        throw error
      })
    }
    await Promise.all(publishing)
    await this.#deps.faultChecks?.stop()
    return record
  }

  async #watchLive(): Promise<void> {
    if (this.#watch === undefined) return
    const failure = await this.#watch.start()
    if (failure === undefined) return
    if (this.#deps.verifier !== undefined) throw failure
    this.#unfollowed = failure.message
  }

  #begin(booksBefore: RunRecord['booksBefore']): RunRecord {
    const { scenario, url, gateway, folder } = this.#options
    const beganAt = epochNow()
    this.#beganAt = beganAt
    this.#startAt = scenario.startAt ?? Math.floor(beganAt)
    this.#phase = 'publishing'
    this.#dueTimes.begin(beganAt, this.#startAt)
    if (folder !== undefined) this.#secondsFile = new SecondsFile(join(folder, 'seconds.csv'))
    this.#bySecond.begin()
    for (const part of this.#deps.parts) part.begin(beganAt, this.#startAt)
    this.#deps.faultChecks?.start()
    const processes = this.#deps.parts.length
    const record = { scenario, url, gateway, beganAt, endedAt: undefined, processes, booksBefore }
    this.#keep(record)
    return record
  }

  #keep(record: RunRecord): void {
    const { folder } = this.#options
    if (folder !== undefined) writeFileSync(join(folder, 'run.json'), `${JSON.stringify(record, null, 2)}\n`)
  }

  /** Once these files are complete: how much is in them. */
  #keepWith(record: RunRecord, kept: readonly KeptFile[]): void {
    const { folder } = this.#options
    if (folder !== undefined) this.#keep({ ...record, files: keptFiles(folder, kept) })
  }

  /** Of all payloads in the order of each device, whatever process it is in. */
  async #payloadHash(): Promise<string> {
    const hashes = await Promise.all(this.#deps.parts.map((part) => part.payloadHashes()))
    const sorted = hashes.flatMap((each) => Object.entries(each)).sort(([one], [other]) => (one < other ? -1 : 1))
    return createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
  }

  /** A platform that does not answer in the end takes nothing from what the run has shown until then. */
  async #verify(): Promise<Pick<Finished, 'verification' | 'unverified'>> {
    const { verifier } = this.#deps
    if (verifier === undefined) {
      await this.#followedToTheEnd(this.#options.scenario.drainMs)
      return {}
    }
    this.#phase = 'verifying'
    try {
      this.#booksAfter = await verifier.caughtUp()
      await this.#followedToTheEnd(AWAY_MS_MAX)
      await this.#liveLog.settled()
      return { verification: await verifier.verify() }
    } catch (error) {
      if (!(error instanceof SimulatorError)) throw error
      const { folder } = this.#options
      const later = folder === undefined ? '' : `; once that is mended, telltale verify ${folder} verifies it`
      return { unverified: `${error.message}${later}` }
    }
  }

  /** An app that is away, for its gateway was, comes back and is sent what it missed; of one that does not, little is known. */
  async #followedToTheEnd(withinMs: number): Promise<void> {
    const watch = this.#watch
    if (watch === undefined || this.#unfollowed !== undefined) return
    const away = 'the app beside the run is away, and has not got all that was sent'
    await this.#liveLog.back(watch, withinMs, () => {
      this.#waitingFor = away
      this.#deps.say(`${away}: it is waited for`)
    })
    this.#waitingFor = undefined
    if (!watch.isThere) this.#unfollowed = away
  }

  async #account(run: RunRecord & { endedAt: number }, payloadHash: string, isInterrupted: boolean): Promise<Summary> {
    const { scenario, url, gateway, folder } = this.#options
    const { totals, live, refused } = this.#bySecond
    const verified = await this.#verify()
    await this.#watch?.stop()
    this.#liveLog.close()
    this.#bySecond.takeLive()
    this.#keepWith({ ...run, booksAfter: this.#booksAfter }, ['messages', 'live', 'store'])
    const summary = summarize({
      scenario,
      url,
      isOurs: gateway !== undefined,
      startAt: this.#startAt,
      processes: run.processes,
      elapsedMs: run.endedAt - run.beganAt,
      totals,
      live,
      faults: this.#faults,
      looks: this.#deps.faultChecks?.looks,
      payloadHash,
      ...verified,
      cost: this.#deps.cost(),
      isInterrupted,
      refused,
      unfollowed: this.#unfollowed,
    })
    if (folder !== undefined) {
      writeTimings(folder, { ...totals.timings, live })
      writeReports(folder, run, summary)
    }
    return summary
  }
}

const epochNow = () => performance.timeOrigin + performance.now()
