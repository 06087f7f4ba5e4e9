/**
 * Owns the HTTP side of the gateway: which path is answered by what, who is let in, and what a failure looks like. All
 * paths are read with GET (or HEAD); nothing can be changed over HTTP.
 */

import type { Presence } from '../log/presence.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { History } from '../schemas/history.ts'
import { Access, tokenOf } from './access.ts'
import type { Columns } from './columns.ts'
import { type Dashboard, loadDashboard } from './dashboard.ts'
import { Devices } from './devices.ts'
import type { HistoryPlaces } from './history-places.ts'
import type { Latest } from './latest.ts'
import { type LedgerLog, ledgerOf } from './ledger.ts'
import type { GatewayMetrics } from './metrics.ts'
import { answerHealth, answerMetrics, answerReadiness, isHealth, OPERATIONS } from './operations.ts'
import { Origins, type OriginsOptions } from './origins.ts'
import { type HistoryTimes, Readings } from './readings.ts'
import { fullRefusal, Refusal, refusalOf } from './refusal.ts'
import { Reply } from './reply.ts'
import { type Request, readRequest } from './request.ts'
import { listSchemas, showSchema } from './schemas.ts'
import type { Connections } from './server/connections.ts'
import type { Exchange } from './server/server.ts'
import type { Tokens } from './tokens.ts'

export interface HttpDependencies {
  readonly log: LedgerLog
  readonly presence: Presence
  readonly schemas: CurrentSchemas
  readonly history: History
  readonly places: HistoryPlaces
  readonly tokens: Tokens
  readonly latest: Latest
  readonly columns: Columns
  readonly connections: Connections
  /** Why no traffic should come now; undefined when it should. */
  readonly ready: () => string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
  /** Answers `/v1/stream`. */
  readonly stream: (reply: Reply, request: Request, access: Access) => Promise<void>
  /** All instruments of the process. */
  readonly registered: Metrics
}

export interface HttpOptions extends OriginsOptions {
  /** Whether peers on this machine need no token for `/healthz`, `/readyz` and `/metrics`. */
  readonly loopbackMetrics: boolean
  /** How long history may take; by default as `readings.ts` says. */
  readonly historyTimes?: HistoryTimes
}

/** What answers a path; `route` is the path as counted, with its variable parts named. */
interface Route {
  readonly route: string
  readonly answer: (reply: Reply, request: Request, access: Access) => void | Promise<void>
}

/** Where apps open WebSockets. */
export const LIVE_PATH = '/v1/live'
const SCHEMA_PATH = /^\/v1\/schemas\/([^/]+)\/([^/]+)$/
const METHODS = 'GET, HEAD, OPTIONS'
const PREFLIGHT = {
  Allow: METHODS,
  'Access-Control-Allow-Methods': METHODS,
  'Access-Control-Allow-Headers': 'Authorization, Accept, Last-Event-ID',
  'Access-Control-Max-Age': '86400',
}

export class Http {
  readonly #options: HttpOptions
  readonly #dependencies: HttpDependencies
  readonly #origins: Origins
  readonly #dashboard: Dashboard = loadDashboard()
  readonly #routes: ReadonlyMap<string, Route>
  readonly #readings: Readings
  readonly #devices: Devices
  #underWay = 0
  #whenIdle: (() => void) | undefined

  constructor(options: HttpOptions, dependencies: HttpDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#origins = new Origins(options)
    this.#readings = new Readings(dependencies, options.historyTimes)
    this.#devices = new Devices(dependencies)
    this.#routes = this.#makeRoutes()
  }

  /** Resolves when no request is being answered. */
  idle(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenIdle = resolve
    })
  }

  /** An answer that is counted: for WebSocket upgrades, which come in beside the paths here. */
  readonly reply = (exchange: Exchange): Reply => this.#reply(exchange, LIVE_PATH, false)

  /** Answers what went wrong; our own mistakes with 500, and in the log. */
  readonly refuse = (reply: Reply, error: unknown): void => {
    const { logger, metrics } = this.#dependencies
    let refusal = refusalOf(error)
    if (refusal === undefined) {
      logger.error({ err: error }, 'a request failed')
      refusal = new Refusal('internal', 'the gateway failed to answer: its log says why')
    }
    metrics.refusals.inc({ reason: refusal.code })
    reply.refuse(refusal)
  }

  /** Throws a `Refusal` for a page that may not ask. */
  readonly requireOrigin = (request: Request): void => this.#origins.require(request)

  readonly answer = (exchange: Exchange): void => {
    const request = readRequest(exchange)
    const route = this.#routeOf(request.path)
    const reply = this.#reply(exchange, route?.route ?? 'unknown', request.method === 'HEAD')
    this.#dispatch(reply, request, route).catch((error: unknown) => this.refuse(reply, error))
  }

  async #dispatch(reply: Reply, request: Request, route: Route | undefined): Promise<void> {
    this.requireOrigin(request)
    if (route === undefined) throw new Refusal('not-found', `there is nothing at ${JSON.stringify(request.path)}`)
    if (this.#dependencies.connections.isFull && !isHealth(request.path)) throw fullRefusal()
    if (request.method === 'OPTIONS') return reply.send('204 No Content', PREFLIGHT, '')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const message = `${request.path} does not take ${request.method}: allowed is GET`
      throw new Refusal('method-not-allowed', message, { headers: { Allow: METHODS } })
    }
    if (request.path === '/') return reply.send('200 OK', this.#dashboard.headers, this.#dashboard.html)
    await route.answer(reply, request, await this.#admit(request))
  }

  /** What the request may read; nothing at all for operations without a token on loopback. */
  async #admit(request: Request): Promise<Access> {
    const isOperation = OPERATIONS.some((path) => path === request.path)
    const isLocal = request.local && request.foreign === undefined
    if (isOperation && isLocal && this.#options.loopbackMetrics) return NOBODY
    const token = tokenOf(request.authorization, request.query.one('access_token'))
    return this.#dependencies.tokens.verify(token)
  }

  #routeOf(path: string): Route | undefined {
    return this.#routes.get(path) ?? (SCHEMA_PATH.test(path) ? this.#routes.get(SCHEMA_ROUTE) : undefined)
  }

  #makeRoutes(): Map<string, Route> {
    const { log, schemas, ready, registered } = this.#dependencies
    const routes: Record<string, Route['answer']> = {
      '/': () => undefined,
      '/healthz': (reply) => answerHealth(reply),
      '/readyz': (reply) => answerReadiness(reply, ready()),
      '/metrics': (reply) => answerMetrics(reply, registered),
      '/v1/devices': (reply, { query }, access) => reply.json(this.#devices.page(query, access)),
      '/v1/readings': (reply, request, access) => this.#readings.answer(reply, request, access),
      '/v1/schemas': (reply, { query }) => {
        query.allow([])
        reply.json(listSchemas(schemas.registry))
      },
      [SCHEMA_ROUTE]: (reply, { path, query }) => {
        query.allow([])
        const [, stream = '', version = ''] = SCHEMA_PATH.exec(path) ?? []
        reply.json(showSchema(schemas.registry, stream, version))
      },
      '/v1/ledger': async (reply, { query }, access) => reply.json(await ledgerOf(log, query, access)),
      '/v1/stream': (reply, request, access) => this.#dependencies.stream(reply, request, access),
      [LIVE_PATH]: () => {
        throw new Refusal(
          'upgrade-required',
          `${LIVE_PATH} is a WebSocket: connect to it with the subprotocol telltale.v1`,
        )
      },
    }
    return new Map(Object.entries(routes).map(([route, answer]) => [route, { route, answer }]))
  }

  #reply(exchange: Exchange, route: string, head: boolean): Reply {
    this.#underWay++
    const headers = this.#origins.headersFor(exchange.header('origin'))
    return new Reply(exchange, { head, headers }, (status) => {
      this.#dependencies.metrics.requests.inc({ route, status })
      if (--this.#underWay === 0) this.#whenIdle?.()
    })
  }
}

const SCHEMA_ROUTE = '/v1/schemas/{stream}/{n}'
const NOBODY = new Access({ kind: 'app', filters: [], expiresAt: 0 })
