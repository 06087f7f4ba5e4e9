/**
 * Owns the gateway: the port where apps connect, and the parts behind it.
 *
 *   idle --start()--> listening, not ready --tail live--> ready --stop()--> draining --> stopped
 *
 * Runs on the main thread: in a worker thread uWebSockets.js aborted the process at exit. Always true: every request is
 * answered once, or counted as left by its peer. Bound: by its parts; see each.
 */

import uWS, { type TemplatedApp, type us_listen_socket } from 'uWebSockets.js'
import { setTimeout as delay } from 'node:timers/promises'
import type { Identity } from '../devices/identity.ts'
import type { Log } from '../log/log.ts'
import type { Presence } from '../log/presence.ts'
import type { Clock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import type { Part } from '../platform/lifecycle.ts'
import { GATEWAY_DRAIN_MS } from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { History } from '../schemas/history.ts'
import type { Registry } from '../schemas/registry.ts'
import { Columns } from './columns.ts'
import { Groups } from './groups.ts'
import { Http } from './http.ts'
import { Latest } from './latest.ts'
import { Live } from './live.ts'
import { GatewayMetrics } from './metrics.ts'
import { Seed } from './seed.ts'
import { Tail } from './tail.ts'
import { Tokens } from './tokens.ts'

export interface GatewayOptions {
  readonly host: string
  /** 0 for a free one. */
  readonly port: number
  /** PEM files; HTTP and WebSocket are spoken over TLS then. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
  /** Whether peers on this machine need no token for `/healthz`, `/readyz` and `/metrics`. */
  readonly loopbackMetrics: boolean
}

export interface GatewayDependencies {
  readonly log: Log
  readonly presence: Presence
  readonly registry: Registry
  readonly history: History
  readonly identity: Pick<Identity, 'verify'>
  /** Why the platform should get no traffic now; undefined when it should. */
  readonly ready: () => string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** `listen-failed`: the port is taken, or the certificate cannot be used. */
export class GatewayError extends TelltaleError {}

/** Of uWebSockets.js: by default two processes may share a port, and each get some of the connections. */
const EXCLUSIVE_PORT = 1
/** uWebSockets.js takes the options after host and port too, though its types do not say so (tried on 20.x). */
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void

export class Gateway implements Part {
  readonly name = 'gateway'
  readonly #options: GatewayOptions
  readonly #dependencies: GatewayDependencies
  readonly #tail: Tail
  readonly #live: Live
  readonly #seed: Seed
  readonly #http: Http
  #app: TemplatedApp | undefined
  #listening: us_listen_socket | undefined
  #stopped: Promise<void> | undefined
  #port = 0

  constructor(options: GatewayOptions, dependencies: GatewayDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    const { registry, history } = dependencies
    const metrics = new GatewayMetrics(dependencies.metrics)
    const columns = new Columns(registry)
    const latest = new Latest(registry)
    const groups = new Groups()
    const tokens = new Tokens(dependencies)
    const parts = { ...dependencies, tokens, metrics, columns, latest, groups, tagsOf: columns.tagsOf }
    this.#http = new Http(
      { loopbackMetrics: options.loopbackMetrics },
      { ...parts, registered: dependencies.metrics, ready: () => this.#notReady() },
    )
    const { reply, refuse } = this.#http
    this.#live = new Live({ ...parts, reply, refuse, cursor: () => this.#tail.cursor })
    this.#tail = new Tail({ ...parts, publish: this.#live.publish })
    this.#seed = new Seed({ latest, history, logger: dependencies.logger })
    metrics.observe({
      sockets: () => this.#live.sockets,
      groups: () => groups.size,
      subscriptions: () => groups.subscriptions,
      series: () => latest.series,
      latestBytes: () => latest.bytes,
      latestDropped: () => latest.dropped,
    })
  }

  /** The port it listens on. */
  get port(): number {
    return this.#port
  }

  /** Rejects with a `GatewayError` if the port cannot be had, with a `LogError` if the log cannot be read. */
  async start(): Promise<void> {
    const app = this.#makeApp()
    this.#app = app
    this.#live.attach(app)
    this.#http.attach(app)
    await this.#listen(app)
    try {
      await Promise.all([this.#seed.start(), this.#tail.start()])
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  async #drain(): Promise<void> {
    await Promise.all([this.#tail.stop(), this.#seed.stop()])
    this.#live.drain()
    const deadline = delay(GATEWAY_DRAIN_MS, undefined, { ref: false })
    await Promise.race([this.#http.idle(), deadline])
    await delay(CLOSE_FRAMES_MS)
    if (this.#listening) uWS.us_listen_socket_close(this.#listening)
    this.#listening = undefined
    this.#app?.close()
    this.#app = undefined
  }

  #notReady(): string | undefined {
    if (this.#stopped) return 'the gateway is stopping'
    return this.#tail.problem ?? this.#dependencies.ready()
  }

  #makeApp(): TemplatedApp {
    const { tls } = this.#options
    if (tls === undefined) return uWS.App()
    try {
      return uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile })
    } catch (cause) {
      const message = `the certificate ${tls.certFile} and key ${tls.keyFile} cannot be used: allowed is a PEM file each`
      throw new GatewayError('listen-failed', message, { cause })
    }
  }

  #listen(app: TemplatedApp): Promise<void> {
    const { host, port } = this.#options
    const listen: Listen = app.listen.bind(app) as unknown as Listen
    return new Promise((resolve, reject) => {
      listen(host, port, EXCLUSIVE_PORT, (socket) => {
        if (socket === false) {
          reject(new GatewayError('listen-failed', `cannot listen on ${host}:${port}: is it taken by another process?`))
          return
        }
        this.#listening = socket
        this.#port = uWS.us_socket_local_port(socket)
        resolve()
      })
    })
  }
}

/** Time for close frames to leave before connections are cut; nothing tells when they have. */
const CLOSE_FRAMES_MS = 50
