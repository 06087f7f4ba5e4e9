/**
 * Owns being connected to the other broker: one connection after another, as long as the bridge runs.
 *
 *   stopped --start()--> connecting --> up --it ended--> waiting --its time--> connecting
 *                            '-------------it ended---------^
 *
 * Always true: while it is not up, `away` says why. Each absence is told once when it begins (again if its cause is another one) and
 * once when it is over: as a line, and in the platform's journal.
 * Bound: the wait doubles from `WAIT_MS_MIN` to `WAIT_MS_MAX`, until a message was acknowledged, or it was up for `STEADY_MS`: what the log refuses
 * comes again at once.
 */

import type { Journal } from '../log/journal.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import { type Arrival, Connection, type ConnectionOptions, type Filter } from './connection.ts'
import type { BridgeMetrics } from './metrics.ts'

const WAIT_MS_MIN = 250
const WAIT_MS_MAX = 15_000
const STEADY_MS = 10_000

export interface LinkDependencies {
  /** To what it subscribes, when it connects. */
  readonly filters: () => readonly Filter[]
  readonly arrived: (message: Arrival, done: (error?: Error | null) => void) => void
  readonly journal: Journal
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: BridgeMetrics
}

export class Link {
  readonly #options: ConnectionOptions
  readonly #dependencies: LinkDependencies
  /** For a person. */
  readonly #name: string
  #connection: Connection | undefined
  #timer: NodeJS.Timeout | undefined
  #waitMs = WAIT_MS_MIN
  #upSince: number | undefined
  #isStopped = true
  #isRenewing = false
  #away: string | undefined

  constructor(name: string, options: ConnectionOptions, dependencies: LinkDependencies) {
    this.#name = name
    this.#options = options
    this.#dependencies = dependencies
    this.#away = `${name} was not reached yet`
  }

  /** Why nothing comes from the other broker now; undefined while it may. */
  get away(): string | undefined {
    return this.#away
  }

  start(): void {
    this.#isStopped = false
    this.#connect()
  }

  /** Connects anew, for what it subscribes to has changed. */
  renew(): void {
    if (this.#upSince === undefined || this.#isRenewing) return
    this.#isRenewing = true
    void this.#connection?.close()
  }

  publish(topic: string, payload: Buffer): boolean {
    return this.#connection?.publish(topic, payload) === true
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#connection?.close()
  }

  #connect(): void {
    const { filters, arrived, metrics } = this.#dependencies
    this.#connection = new Connection(this.#options, filters(), {
      up: () => this.#up(),
      arrived,
      acknowledged: (count) => {
        this.#waitMs = WAIT_MS_MIN
        metrics.acknowledged(count)
      },
      ended: (error) => this.#ended(error),
    })
  }

  #up(): void {
    const { journal, logger, metrics, clock } = this.#dependencies
    this.#upSince = clock.now()
    metrics.connected(true)
    logger.info(`connected to ${this.#name}`)
    if (this.#away !== undefined)
      journal.notePlatform({ kind: 'ended', code: 'bridge-away', text: `${this.#name} is connected` })
    this.#away = undefined
  }

  #ended(error: Error): void {
    const { journal, logger, metrics, clock } = this.#dependencies
    metrics.connected(false)
    if (this.#upSince !== undefined && clock.now() - this.#upSince >= STEADY_MS) this.#waitMs = WAIT_MS_MIN
    this.#upSince = undefined
    this.#connection = undefined
    if (this.#isStopped) return
    if (this.#isRenewing) {
      this.#isRenewing = false
      this.#connect()
      return
    }
    const away = `${this.#name} is away: ${error.message}`
    if (away !== this.#away) {
      logger.warn(`${away}; it is tried again`)
      journal.notePlatform({ kind: 'began', code: 'bridge-away', text: error.message })
    }
    this.#away = away
    this.#timer = setTimeout(() => this.#connect(), this.#waitMs)
    this.#waitMs = Math.min(WAIT_MS_MAX, 2 * this.#waitMs)
  }
}
