/**
 * Owns the broker as a part of the process: listeners, the Aedes subclass, admission, the reports to devices, and the
 * retained statuses across restarts.
 *
 *   new --start()--> listening --stop()--> draining (clients closed, then the ports) --> stopped
 *
 * Messages that are held then are the log's to flush; they are not acknowledged, and come again.
 */

import { ErrorReports } from '../intake/error-reports.ts'
import { ThrottledLines } from '../intake/throttled-lines.ts'
import type { Appends, DeadLetterBox, Log, NoticeBoard } from '../log/log.ts'
import type { Clock } from '../platform/clock.ts'
import type { Part } from '../platform/lifecycle.ts'
import type { Metrics } from '../platform/metrics.ts'
import { Admission, type AdmissionDependencies } from './admission/admission.ts'
import { Drops } from './admission/drops.ts'
import { StatusBoard } from './admission/status-board.ts'
import {
  Authentication,
  type AuthenticationDependencies,
  type AuthenticationOptions,
} from './connect/authentication.ts'
import { type Address, clientsMax, connectionsMax, type ListenerOptions, Listeners } from './connect/listeners.ts'
import { OtherBrokers } from './other-brokers.ts'
import { OUTBOUND_BYTES_TOTAL_MAX } from './outbound/sweeps.ts'
import { DeviceStory } from './reports/device-story.ts'
import { Disconnects } from './reports/disconnects.ts'
import { BrokerMetrics } from './reports/metrics.ts'
import { SparkplugHost } from './sparkplug-host.ts'
import { TelemetryBroker, type TelemetryBrokerDependencies, type TelemetryBrokerOptions } from './telemetry-broker.ts'

/**
 * How often connections are looked over for tokens that have expired or were revoked and for who is silent, for what is unread, and
 * for packets that are stuck half-way; never while there are none. A look at 50,000 connections takes milliseconds, so that while
 * little is unread three of four are left out.
 */
const TOKEN_SWEEP_MS = 1_000
const UNREAD_SWEEP_MS = 250
const STUCK_SWEEP_MS = 30_000
const UNREAD_BYTES_CALM = OUTBOUND_BYTES_TOTAL_MAX / 8
const CALM_LOOKS = 3
/** Fewer clients are what a forgotten limit of the system leaves, which is told at the start. */
const CONNECTIONS_FEW = 10_000

export interface BrokerDependencies {
  readonly log: Appends & DeadLetterBox & NoticeBoard
  readonly presence: Log['presence']
  readonly members: Log['members']
  readonly journal: Log['journal']
  readonly commands: TelemetryBrokerDependencies['commands']
  /** Undefined: anyone may connect, any topic (`TELLTALE_AUTH=off`). */
  readonly identity: AuthenticationDependencies['identity']
  /** Looks at telemetry of MQTT 5 before it is acknowledged (`TELLTALE_MQTT5_CHECK`); undefined: nobody does. */
  readonly check?: AdmissionDependencies['check']
  readonly users?: AuthenticationDependencies['users']
  readonly foreign?: AuthenticationDependencies['foreign']
  readonly clock: Clock
  readonly logger: TelemetryBrokerDependencies['logger']
  readonly metrics: Metrics
}

export interface BrokerOptions extends ListenerOptions {
  /** What one device may publish; not limited unless given. */
  readonly deviceRate?: AuthenticationOptions['deviceRate']
  /** Who shows a certificate over TLS is the device that it names. */
  readonly byCertificate?: boolean
  /** Clients at once, if fewer than files may be open for. */
  readonly clientsMax?: number
  readonly mqtt5?: TelemetryBrokerOptions['mqtt5']
  /** The id of the platform as a host application of Sparkplug, if it tells edge nodes that it is there. */
  readonly sparkplugHost?: string | undefined
  /** False: all telemetry goes the long way, as in `TelemetryBrokerOptions`. */
  readonly plainTelemetry?: boolean
}

export class Broker implements Part {
  readonly name = 'broker'
  readonly #aedes: TelemetryBroker
  readonly #listeners: Listeners
  readonly #reports: ErrorReports
  readonly #others: OtherBrokers
  /** There is none where there are no foreign topics. */
  readonly #host: SparkplugHost | undefined
  readonly #clock: Clock
  readonly #certificates: Authentication['certificates']
  /** Empty while no client is connected. */
  #sweeps: readonly NodeJS.Timeout[] = []
  /** Looks at what is unread that may be left out. */
  #calmLooks = 0
  #stopped: Promise<void> | undefined

  constructor(options: BrokerOptions, dependencies: BrokerDependencies) {
    const { log, presence, members, journal, commands, identity, users, foreign, check, clock, logger } = dependencies
    this.#clock = clock
    const metrics = new BrokerMetrics(dependencies.metrics, () => this.#aedes.connectedClients)
    this.#reports = new ErrorReports((topic, payload) => this.#aedes.tell(topic, payload), {
      log,
      clock,
      logger,
      metrics,
    })
    const statusBoard = new StatusBoard(presence, { members, clock, logger })
    // Lines of their own: messages that are dropped must not take the places of connections that are refused.
    const story = new DeviceStory(journal)
    const drops = new Drops({
      reports: this.#reports,
      story,
      clock,
      metrics,
      lines: new ThrottledLines({ clock, logger }),
    })
    const ofHost = { statusBoard, reports: this.#reports, clock, metrics: dependencies.metrics }
    this.#host =
      foreign &&
      new SparkplugHost(options.sparkplugHost, { ...ofHost, foreign, send: (packet) => this.#aedes.send(packet) })
    const sparkplug = this.#host?.sparkplug
    const admission = new Admission({ log, statusBoard, foreign, sparkplug, drops, check, clock, metrics })
    const sockets = connectionsMax()
    if (sockets < CONNECTIONS_FEW) {
      logger.warn({ connectionsMax: sockets }, 'few clients can connect, for few files may be open: raise ulimit -n')
    }
    const lines = new ThrottledLines({ clock, logger })
    const disconnects = new Disconnects({ lines, metrics, logger })
    const { deviceRate = {}, byCertificate = false, mqtt5 = {}, plainTelemetry } = options
    const authentication = new Authentication(
      { deviceRate, byCertificate, hasEpochs: members.isShared },
      { identity, users, foreign, clock, metrics },
    )
    this.#certificates = authentication.certificates
    this.#aedes = new TelemetryBroker(
      { connectionsMax: sockets, clientsMax: options.clientsMax ?? clientsMax(sockets), mqtt5, plainTelemetry },
      {
        authentication,
        admission,
        statusBoard,
        commands,
        ended: (session) => sparkplug?.ended(session),
        check,
        disconnects,
        story,
        lines,
        metrics,
        clock,
        logger,
      },
    )
    this.#others = new OtherBrokers({ members, presence, statusBoard, journal, broker: this.#aedes, logger })
    this.#listeners = new Listeners(
      { ...options, connectionsMax: sockets },
      {
        accept: (stream, socket) => {
          authentication.certificates.note(stream, socket)
          this.#aedes.connections.pending.add(stream)
        },
        delayed: () => metrics.connectDelayed('address'),
        clock,
        disconnects,
      },
    )
  }

  /** Where clients connect, after `start`. */
  get addresses(): readonly Address[] {
    return this.#listeners.addresses
  }

  async start(): Promise<void> {
    await this.#aedes.listen()
    await this.#others.start()
    await this.#host?.start()
    await this.#reports.start()
    this.#aedes.commands.start()
    this.#aedes.on('client', () => this.#keepSweeping())
    await this.#listeners.start()
  }

  /** Has new connections served by this certificate, and ends those of clients that are in its list of revoked ones. */
  renewCertificate(pems: Parameters<Listeners['renewCertificate']>[0]): void {
    this.#listeners.renewCertificate(pems)
    this.#certificates.renew(pems)
  }

  /** Ends the connections whose token has expired or was revoked; a timer calls it, too. */
  sweepTokens(): void {
    this.#aedes.sweeps.tokens(this.#clock.now())
    this.#aedes.subscribers.sessionExpiry.sweep()
  }

  /** Ends the connections whose packet has made no progress since the last call; a timer calls it, too. */
  sweepStuck(): void {
    this.#aedes.sweeps.stuck()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  #keepSweeping(): void {
    if (this.#sweeps.length > 0 || this.#stopped !== undefined) return
    this.#sweeps = [
      setInterval(() => this.#sweepAll(), TOKEN_SWEEP_MS),
      setInterval(() => this.#sweepUnread(), UNREAD_SWEEP_MS),
      setInterval(() => this.sweepStuck(), STUCK_SWEEP_MS),
    ]
  }

  #sweepAll(): void {
    this.sweepTokens()
    this.#aedes.sweeps.silent(performance.now())
  }

  #sweepUnread(): void {
    if (this.#aedes.connectedClients === 0) this.#endSweeps()
    else if (this.#calmLooks > 0) this.#calmLooks--
    else if (this.#aedes.sweeps.unread() < UNREAD_BYTES_CALM) this.#calmLooks = CALM_LOOKS
  }

  #endSweeps(): void {
    for (const sweep of this.#sweeps) clearInterval(sweep)
    this.#sweeps = []
  }

  async #stop(): Promise<void> {
    this.#endSweeps()
    await this.#reports.stop()
    await this.#others.stop()
    await this.#host?.stop()
    this.#aedes.prepareToClose()
    await new Promise<void>((resolve) => this.#aedes.close(resolve))
    await this.#aedes.commands.stop()
    await this.#listeners.stop()
  }
}
