/**
 * Owns the verification of a run that goes on: what the platform's books were before it, how soon the store has what was acknowledged, and
 * in the end what became of every message. Always true: while the run goes on it asks for one reading a second.
 */

import type { Clock } from '../../../platform/clock.ts'
import type { Logger } from '../../../platform/logger.ts'
import type { AcknowledgedReading } from '../kept/message-log.ts'
import type { RunRecord } from '../kept/run-folder.ts'
import type { Verification } from '../report/summary.ts'
import { booksAfter, caughtUp, readBooks } from './books.ts'
import { Findings } from './findings.ts'
import { GatewayApi } from './gateway-api.ts'
import { StoreProbe } from './store-probe.ts'
import type { StoreQuery } from './store-query.ts'
import { LATE_MS, PATIENCE_MS, verifyRun } from './verify.ts'

/** A reading that is not answered for in so long is asked for again in the next second. */
const PROBE_PATIENCE_MS = 1_000
const BOOKS_PATIENCE_MS = 5_000
/** After it was waited for in vain. */
const PATIENCE_AGAIN_MS = 10_000

export interface RunVerifierOptions {
  /** The run folder. */
  readonly directory: string
  /** Of the gateway. */
  readonly url: string
}

export interface RunVerifierDeps {
  readonly token: () => Promise<string>
  readonly clock: Clock
  readonly store: StoreQuery | undefined
  /** That something is waited for is told to whoever runs it, once each time. */
  readonly logger: Pick<Logger, 'warn'>
}

/** What a run needs of its verification. */
export interface Verifies {
  start(): Promise<RunRecord['booksBefore']>
  acknowledged(reading: AcknowledgedReading): void
  /** What the books are then; undefined if it has not, or nobody is asked. */
  caughtUp(): Promise<RunRecord['booksAfter']>
  verify(): Promise<Verification>
  stop(): Promise<void>
  /** For a person: what does not come, and for how long still it is waited for. */
  readonly waitingFor?: string | undefined
}

/** At a broker that is not ours nobody is asked: what came at the subscriber says it. */
export class SubscriptionVerifier implements Verifies {
  readonly #directory: string
  readonly #deps: RunVerifierDeps

  constructor(directory: string, deps: RunVerifierDeps) {
    this.#directory = directory
    this.#deps = deps
  }

  async start(): Promise<undefined> {
    return undefined
  }

  acknowledged(): void {}

  async caughtUp(): Promise<undefined> {
    return undefined
  }

  verify(): Promise<Verification> {
    return verifyRun({ directory: this.#directory }, this.#deps)
  }

  async stop(): Promise<void> {}
}

export class RunVerifier implements Verifies {
  readonly #options: RunVerifierOptions
  readonly #deps: RunVerifierDeps
  readonly #probe: StoreProbe
  #isCaughtUp = true
  #isTold = false
  /** What the platform does not give yet, in a sentence. */
  waitingFor: string | undefined

  constructor(options: RunVerifierOptions, deps: RunVerifierDeps) {
    this.#options = options
    this.#deps = deps
    const { directory, url } = options
    this.#probe = new StoreProbe(
      { directory, lateMs: LATE_MS },
      { gateway: new GatewayApi({ url, patienceMs: PROBE_PATIENCE_MS }, deps), clock: deps.clock },
    )
  }

  /** What the platform has taken so far, before the first message. Throws a `SimulatorError` `unreachable` or `refused`. */
  async start(): Promise<RunRecord['booksBefore']> {
    const gateway = new GatewayApi({ url: this.#options.url, patienceMs: BOOKS_PATIENCE_MS }, this.#deps)
    const books = await readBooks(gateway)
    this.#probe.start()
    return { ...books }
  }

  acknowledged(reading: AcknowledgedReading): void {
    this.#probe.acknowledged(reading)
  }

  /** Resolves when the platform has made up its mind of all that it has taken, or takes too long. */
  async caughtUp(): Promise<RunRecord['booksAfter']> {
    await this.#probe.stop()
    const { clock } = this.#deps
    const onWaiting = this.#waits
    const findings = new Findings()
    const gateway = new GatewayApi({ url: this.#options.url, patienceMs: PATIENCE_MS }, { ...this.#deps, onWaiting })
    await caughtUp(gateway, { patienceMs: PATIENCE_MS, clock, findings, onWaiting })
    this.#isCaughtUp = findings.count('late') === 0
    if (!this.#isCaughtUp) return undefined
    const books = await booksAfter(gateway)
    return books && { ...books }
  }

  /** Once the run folder is written. */
  async verify(): Promise<Verification> {
    const { directory, url } = this.#options
    const catchUpMs = this.#isCaughtUp ? PATIENCE_MS : PATIENCE_AGAIN_MS
    return verifyRun(
      { directory, gateway: url, catchUpMs, isJustOver: true },
      { ...this.#deps, onWaiting: this.#waits },
    )
  }

  readonly #waits = (what: string | undefined): void => {
    this.waitingFor = what
    if (what !== undefined && !this.#isTold) this.#deps.logger.warn(what)
    this.#isTold = what !== undefined
  }

  stop(): Promise<void> {
    return this.#probe.stop()
  }
}
