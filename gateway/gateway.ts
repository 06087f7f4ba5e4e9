/**
 * Owns the gateway: the port where apps connect, and the parts behind it.
 *
 *   idle --start()--> listening, not ready --tail live--> ready --stop()--> draining --> stopped
 *
 * Always true: every request is answered once, or counted as left by its peer. Bound: by its parts; see each.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { DeclaredDevices } from '../identity/declared-devices.ts'
import type { Commands } from '../log/commands.ts'
import type { Journal } from '../log/journal.ts'
import type { Presence } from '../log/presence.ts'
import type { Roles } from '../log/roles.ts'
import type { Clock } from '../platform/clock.ts'
import type { Part } from '../platform/lifecycle.ts'
import { GATEWAY_DRAIN_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { History } from '../schemas/history.ts'
import { seriesIn } from '../schemas/point.ts'
import type { Reading } from '../schemas/reading.ts'
import { Alerts, type AlertsDependencies } from './alerts/alerts.ts'
import type { Rules } from './alerts/rules.ts'
import { Columns } from './columns.ts'
import { HistoryPlaces } from './history-places.ts'
import { Http, type HttpDependencies, type HttpOptions, LIVE_PATH } from './http.ts'
import { Latest } from './latest.ts'
import { Feeds } from './live/feeds.ts'
import { Groups } from './live/groups.ts'
import { Live } from './live/live.ts'
import { Starts } from './live/starts.ts'
import { StoreReads } from './live/store-reads.ts'
import { Tail, type TailDependencies } from './live/tail.ts'
import { AlertMetrics, GatewayMetrics } from './metrics.ts'
import { Seed } from './seed.ts'
import { chooseServer, type ServerChoice } from './server/choose.ts'
import { Connections } from './server/connections.ts'
import type { Server } from './server/server.ts'
import { Tokens, type Verifies } from './tokens.ts'

export interface GatewayOptions extends HttpOptions {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  /** PEM files; HTTP and WebSocket are spoken over TLS then. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  readonly server: ServerChoice
  /** Connections at once, of whatever kind. */
  readonly connectionsMax: number
  /** Where alerts are kept that are firing, and what is still to be told of them. */
  readonly alertsFile: string
}

export interface GatewayDependencies {
  readonly log: HttpDependencies['log'] & TailDependencies['log'] & AlertsDependencies['log']
  readonly presence: Presence
  readonly commands: Commands
  readonly journal: Journal
  readonly roles: Pick<Roles, 'all'>
  readonly declared: Pick<DeclaredDevices, 'has' | 'get' | 'ids' | 'onChange'>
  /** Why the log takes nothing now; undefined while it does. */
  readonly full: () => string | undefined
  readonly schemas: CurrentSchemas
  readonly history: History
  /** What history comes from, for a person: its kind and where it is. */
  readonly storeShown: string
  readonly rules: Rules
  readonly identity: Verifies
  /** Why the platform should get no traffic now; undefined when it should. */
  readonly ready: () => string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export class Gateway implements Part {
  readonly name = 'gateway'
  readonly #options: GatewayOptions
  readonly #dependencies: GatewayDependencies
  readonly #tail: Tail
  readonly #live: Live
  readonly #seed: Seed
  readonly #alerts: Alerts
  readonly #http: Http
  readonly #connections: Connections
  #server: Server | undefined
  #stopped: Promise<void> | undefined
  #port = 0
  #servedBy = ''

  constructor(options: GatewayOptions, dependencies: GatewayDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    const { schemas, history } = dependencies
    const metrics = new GatewayMetrics(dependencies.metrics)
    const columns = new Columns(schemas)
    const latest = new Latest({ stream: (name) => schemas.registry.stream(name) })
    const { log } = dependencies
    const seriesOf = (reading: Reading) => seriesIn(schemas.registry, reading)
    const feeds = new Feeds({ log, decoder: schemas, tagsOf: columns.tagsOf, seriesOf })
    const groups = new Groups((group) =>
      feeds.of(group, group.wanted, (frame, readings) => this.#live.publish(group, frame, readings)),
    )
    const places = new HistoryPlaces()
    const store = new StoreReads({ history, places })
    const tokens = new Tokens(dependencies)
    const connections = new Connections({ max: options.connectionsMax }, (reason) =>
      metrics.connectionsCut.inc({ reason }),
    )
    this.#connections = connections
    const parts = {
      ...dependencies,
      connections,
      tokens,
      metrics,
      columns,
      latest,
      groups,
      feeds,
      decoder: schemas,
      places,
      store,
      tagsOf: columns.tagsOf,
    }
    this.#alerts = new Alerts(
      { file: options.alertsFile },
      {
        ...parts,
        stream: (name) => schemas.registry.stream(name),
        tailed: () => this.#tail.place.position,
        random: Math.random,
        metrics: new AlertMetrics(dependencies.metrics),
      },
    )
    this.#tail = new Tail({
      ...parts,
      watcher: this.#alerts,
      publish: (group, frame, readings) => this.#live.publish(group, frame, readings),
      published: () => this.#live.published(),
    })
    this.#http = new Http(options, {
      ...parts,
      alerts: this.#alerts,
      registered: dependencies.metrics,
      store: dependencies.storeShown,
      seriesOf,
      fateOf: (shard, offset) => this.#tail.fateOf(shard, offset),
      ready: () => this.#notReady(),
      stream: (reply, request, access) => this.#live.stream(reply, request, access),
    })
    const { reply, refuse, requireOrigin } = this.#http
    const starts = new Starts({ ...parts, tail: this.#tail })
    this.#live = new Live(options, { ...parts, starts, reply, refuse, requireOrigin })
    this.#seed = new Seed({ latest, history, clock: dependencies.clock, logger: dependencies.logger })
    metrics.observe({
      connections: () => connections.open,
      sockets: () => this.#live.sockets,
      groups: () => groups.size,
      subscriptions: () => groups.subscriptions,
      waitingBytes: () => this.#live.waitingBytes,
      series: () => latest.series,
      latestBytes: () => latest.bytes,
      latestDropped: () => latest.dropped,
    })
  }

  /** The port it listens on. */
  get port(): number {
    return this.#port
  }

  /** Which server it has, and why not the other: to follow on "served by". */
  get servedBy(): string {
    return this.#servedBy
  }

  /** Rejects with a `ServerError` if there is no server or no port to be had, with a `LogError` if the log cannot be read. */
  async start(): Promise<void> {
    const { host, port, tls, server: wanted } = this.#options
    const { makeServer, why } = await chooseServer(wanted)
    const handlers = {
      request: this.#http.answer,
      upgrade: this.#live.upgrade,
      troubled: (error: Error) => this.#dependencies.logger.error({ err: error }, 'a connection could not be taken'),
    }
    const server = makeServer(
      { webSocketPath: LIVE_PATH, connections: this.#connections, ...(tls && { tls }) },
      handlers,
    )
    this.#server = server
    this.#live.start(server)
    this.#port = await server.listen(host, port)
    this.#servedBy = why
    try {
      await Promise.all([this.#seed.start(), this.#tail.start()])
      await Promise.all([this.#alerts.start(), this.#http.health.start()])
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Has new connections served by what the certificate's files hold now. Throws a `ServerError` if that cannot be. */
  renewCertificate(): void {
    this.#server?.renewCertificate()
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  async #drain(): Promise<void> {
    // Apps are not kept waiting by it: they are to come back elsewhere at once.
    const alerts = this.#alerts.stop()
    this.#http.health.stop()
    await Promise.all([this.#tail.stop(), this.#seed.stop()])
    this.#live.drain()
    const deadline = delay(GATEWAY_DRAIN_MS, undefined, { ref: false })
    await Promise.race([this.#http.idle(), deadline])
    await delay(CLOSE_FRAMES_MS)
    await alerts
    this.#server?.close()
    this.#server = undefined
  }

  #notReady(): string | undefined {
    if (this.#stopped) return 'the gateway is stopping'
    return this.#tail.problem ?? this.#dependencies.ready()
  }
}

/** Time for close frames to leave before connections are cut; nothing tells when they have. */
const CLOSE_FRAMES_MS = 50
