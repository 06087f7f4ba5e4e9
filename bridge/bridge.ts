/**
 * Owns the bridge as a part of the process: it subscribes at a broker that a company has already, and appends what comes to the log before it
 * acknowledges it, so that nobody must replace a broker to use the rest.
 *
 *   new --start()--> running, whether the other broker is there or not --stop()--> draining --> stopped
 *
 * Always true: what the other broker was told is acknowledged is in the log. It keeps the rest for us while we are away: the session is kept
 * under one client id. With a group several bridges share what comes.
 */

import { ErrorReports } from '../intake/error-reports.ts'
import { ThrottledLines } from '../intake/throttled-lines.ts'
import type { Journal } from '../log/journal.ts'
import type { Appends, DeadLetterBox, NoticeBoard } from '../log/log.ts'
import type { Presence } from '../log/presence.ts'
import type { Maps } from '../maps/maps.ts'
import type { UnmappedTopics } from '../maps/unmapped-topics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Part } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import { Arrivals } from './arrivals.ts'
import type { ConnectionOptions, Filter } from './connection.ts'
import { Link } from './link.ts'
import { BridgeMetrics } from './metrics.ts'

export interface BridgeOptions extends ConnectionOptions {
  /** The topics to subscribe to, besides those of maps. */
  readonly topics: readonly string[]
  /** Of a shared subscription (MQTT 5 section 4.8.2), undefined: none. */
  readonly group?: string | undefined
  /** Whether devices are told at the other broker what is wrong with their messages. */
  readonly tellsErrors: boolean
}

export interface BridgeDependencies {
  readonly log: Appends & DeadLetterBox & NoticeBoard
  readonly presence: Presence
  readonly journal: Journal
  readonly maps: Pick<Maps, 'for' | 'filters'>
  readonly unmapped: Pick<UnmappedTopics, 'note'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export class Bridge implements Part {
  readonly name = 'bridge'
  readonly #options: BridgeOptions
  readonly #dependencies: BridgeDependencies
  readonly #link: Link
  readonly #reports: ErrorReports | undefined
  #subscribed = ''

  constructor(options: BridgeOptions, dependencies: BridgeDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    const { log, journal, clock, logger } = dependencies
    const { host, port, tls } = options.address
    const name = `${tls === undefined ? 'mqtt' : 'mqtts'}://${host}:${port}`
    const metrics = new BridgeMetrics(dependencies.metrics)
    const publish = (topic: string, payload: Buffer) => {
      if (!this.#link.publish(topic, payload)) metrics.unreported()
    }
    // The log may have messages of devices that never were at the other broker.
    const tells = (device: string) => arrivals.knows(device)
    const reports = options.tellsErrors ? new ErrorReports(publish, { log, tells, clock, logger, metrics }) : undefined
    this.#reports = reports
    const arrivals = new Arrivals(name, {
      ...dependencies,
      report: reports && ((device, report) => reports.report(device, report)),
      lines: new ThrottledLines({ clock, logger }),
      metrics,
    })
    this.#link = new Link(name, options, {
      filters: () => this.#filters(),
      arrived: (message, done) =>
        arrivals.take(message, (verdict) => done(verdict.kind === 'refused' ? verdict.error : null)),
      journal,
      clock,
      logger,
      metrics,
    })
  }

  /** Why nothing comes from the other broker now; undefined while it may. */
  get away(): string | undefined {
    return this.#link.away
  }

  async start(): Promise<void> {
    await this.#reports?.start()
    this.#link.start()
  }

  async stop(): Promise<void> {
    await this.#reports?.stop()
    await this.#link.stop()
  }

  /** Maps may have changed: subscribes to what they are for now. */
  look(): void {
    if (this.#subscribed !== '' && JSON.stringify(this.#subscriptions()) !== this.#subscribed) this.#link.renew()
  }

  #filters(): readonly Filter[] {
    const filters = this.#subscriptions()
    this.#subscribed = JSON.stringify(filters)
    return filters
  }

  /** A status is not shared: what is retained comes to no shared subscription (MQTT 5 section 4.8.2), and each bridge may keep it. */
  #subscriptions(): readonly Filter[] {
    const { topics, group } = this.#options
    const all = [...new Set([...topics, ...this.#dependencies.maps.filters])]
    return all.map((topic) => {
      const retained = isOfStatus(topic)
      return { filter: retained || group === undefined ? topic : `$share/${group}/${topic}`, retained }
    })
  }
}

const isOfStatus = (filter: string): boolean => /^devices\/[^/]+\/status$/.test(filter)
