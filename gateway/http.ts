/**
 * Owns the HTTP side of the gateway: which path is answered by what, who is let in, and what a failure looks like. Paths are read with
 * GET (or HEAD); all that can be changed over HTTP is that a schema is added, a command to a device is added or cancelled, and dead letters are
 * replayed or purged. Bound: `BODY_BYTES_MAX` of a body.
 */

import type { DeclaredDevices } from '../identity/declared-devices.ts'
import type { Commands } from '../log/commands.ts'
import type { Journal } from '../log/journal.ts'
import type { Measured } from '../log/log.ts'
import type { Presence } from '../log/presence.ts'
import type { Roles } from '../log/roles.ts'
import type { Clock } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import type { History } from '../schemas/history.ts'
import { Access, tokenOf } from './access.ts'
import type { Alerts } from './alerts/alerts.ts'
import { listAlerts } from './alerts/listing.ts'
import type { Columns } from './columns.ts'
import { compatibility, schemaById, subjects, versionAsSubject, versionsOf } from './confluent.ts'
import { answerDashboard, type Dashboard, loadDashboard, type MapTiles } from './dashboard.ts'
import { DeadLetterRemovals, type RemovalsLog } from './dead-letter-removals.ts'
import { DeadLetters, type DeadLettersLog } from './dead-letters.ts'
import { DeviceCommands } from './device-commands.ts'
import { Devices } from './devices/devices.ts'
import { OneDevice, type OneDeviceDependencies } from './devices/one-device.ts'
import type { HistoryPlaces } from './history-places.ts'
import type { Latest } from './latest.ts'
import { type LedgerLog, ledgerOf } from './ledger.ts'
import type { Groups } from './live/groups.ts'
import type { GatewayMetrics } from './metrics.ts'
import { answerHealth, answerMetrics, answerReadiness, isHealth, OPERATIONS } from './operations.ts'
import { Origins, type OriginsOptions } from './origins.ts'
import { PlatformHealth, type PlatformHealthOptions } from './platform-health.ts'
import { type HistoryTimes, Readings } from './readings.ts'
import { fullRefusal, Refusal, refusalOf } from './refusal.ts'
import { JSON_TYPE, Reply } from './reply.ts'
import { type Request, readRequest } from './request.ts'
import { listSchemas, schemaTypes, showSchema } from './schemas.ts'
import type { Connections } from './server/connections.ts'
import type { Exchange } from './server/server.ts'
import type { Tokens } from './tokens.ts'

export interface HttpDependencies {
  readonly log: LedgerLog & DeadLettersLog & RemovalsLog & Measured & OneDeviceDependencies['log']
  readonly presence: Presence
  readonly commands: Commands
  readonly journal: Journal
  readonly roles: Pick<Roles, 'all'>
  readonly declared: Pick<DeclaredDevices, 'has' | 'get' | 'ids'>
  /** Why the log takes nothing now; undefined while it does. */
  readonly full: () => string | undefined
  readonly schemas: CurrentSchemas
  readonly history: History
  /** What the store is and where, for a person. */
  readonly store: string
  readonly seriesOf: OneDeviceDependencies['seriesOf']
  readonly fateOf: OneDeviceDependencies['fateOf']
  readonly places: HistoryPlaces
  readonly tokens: Tokens
  readonly latest: Latest
  readonly alerts: Alerts
  readonly columns: Columns
  readonly connections: Connections
  readonly groups: Pick<Groups, 'subscriptions'>
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
  /** What `/v1/platform` tells of what runs. */
  readonly platform: PlatformHealthOptions
  /** Whether peers on this machine need no token for `/healthz`, `/readyz` and `/metrics`. */
  readonly loopbackMetrics: boolean
  /** Of the dashboard's map; none by default. */
  readonly mapTiles?: MapTiles
  /** How long history may take; by default as `readings.ts` says. */
  readonly historyTimes?: HistoryTimes
}

/** What answers a path; `route` is the path as counted, with its variable parts named. */
interface Route {
  readonly route: string
  readonly answer?: Answer
  readonly post?: Post
  readonly remove?: Answer
}

type Answer = (reply: Reply, request: Request, access: Access) => void | Promise<void>
type Post = (reply: Reply, request: Request, access: Access, body: string) => void | Promise<void>

/** A schema of 512 columns with a page of words about each. */
const BODY_BYTES_MAX = 1024 * 1024

/** Where apps open WebSockets. */
export const LIVE_PATH = '/v1/live'
const PREFLIGHT = {
  'Access-Control-Allow-Headers': 'Authorization, Accept, Content-Type, Last-Event-ID',
  'Access-Control-Max-Age': '86400',
}

export class Http {
  readonly #options: HttpOptions
  readonly #dependencies: HttpDependencies
  readonly #origins: Origins
  readonly #dashboard: Dashboard
  readonly #routes: ReadonlyMap<string, Route>
  readonly #readings: Readings
  readonly #devices: Devices
  readonly #commands: DeviceCommands
  readonly #deadLetters: DeadLetters
  readonly #removals: DeadLetterRemovals
  readonly #oneDevice: OneDevice
  readonly health: PlatformHealth
  #underWay = 0
  #whenIdle: (() => void) | undefined

  constructor(options: HttpOptions, dependencies: HttpDependencies) {
    this.#options = options
    this.#dependencies = dependencies
    this.#dashboard = loadDashboard(options.mapTiles)
    this.#origins = new Origins(options)
    this.#readings = new Readings(dependencies, options.historyTimes)
    this.#devices = new Devices(dependencies)
    this.#commands = new DeviceCommands(dependencies)
    this.#oneDevice = new OneDevice({ ...dependencies, decoder: dependencies.schemas })
    this.#deadLetters = new DeadLetters(dependencies)
    this.#removals = new DeadLetterRemovals(dependencies)
    const { connections, groups } = dependencies
    this.health = new PlatformHealth(options.platform, {
      ...dependencies,
      countDevices: () => this.#devices.count(),
      countApps: () => ({ connections: connections.open, subscriptions: groups.subscriptions }),
    })
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
    // Now, for later it is gone.
    const isPost = request.method === 'POST' && route?.post !== undefined
    const body = isPost ? exchange.body(BODY_BYTES_MAX) : undefined
    this.#dispatch(reply, request, route, body).catch((error: unknown) => this.refuse(reply, error))
  }

  async #dispatch(
    reply: Reply,
    request: Request,
    route: Route | undefined,
    body: Promise<Buffer | undefined> | undefined,
  ): Promise<void> {
    this.requireOrigin(request)
    if (route === undefined) throw new Refusal('not-found', `there is nothing at ${JSON.stringify(request.path)}`)
    if (this.#dependencies.connections.isFull && !isHealth(request.path)) throw fullRefusal()
    if (request.method === 'OPTIONS') return reply.send('204 No Content', preflightOf(route), '')
    if (body !== undefined && route.post !== undefined) {
      const access = await this.#admit(request)
      const bytes = await body
      if (bytes !== undefined) return route.post(reply, request, access, bytes.toString('utf8'))
      throw new Refusal('body-too-large', `the body is too long: allowed are ${BODY_BYTES_MAX} bytes`)
    }
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const answer = isRead ? route.answer : request.method === 'DELETE' ? route.remove : undefined
    if (answer === undefined) {
      const allowed = methodsOf(route)
      const message = `${request.path} does not take ${request.method}: allowed is ${allowed}`
      throw new Refusal('method-not-allowed', message, { headers: { Allow: allowed } })
    }
    if (request.path === '/') return answerDashboard(reply, request, this.#dashboard)
    await answer(reply, request, await this.#admit(request))
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
    const exact = this.#routes.get(path)
    if (exact !== undefined) return exact
    for (const [route, pattern] of PATTERNS) if (pattern.test(path)) return this.#routes.get(route)
    return undefined
  }

  #makeRoutes(): Map<string, Route> {
    const { log, schemas, ready, registered, alerts } = this.#dependencies
    const routes: Record<string, Answer> = {
      '/': () => undefined,
      '/healthz': (reply) => answerHealth(reply),
      '/readyz': (reply) => answerReadiness(reply, ready()),
      '/metrics': (reply) => answerMetrics(reply, registered),
      '/v1/alerts': async (reply, { query }, access) => reply.json(await listAlerts(alerts, query, access)),
      '/v1/deadletters': async (reply, { query }, access) => reply.json(await this.#deadLetters.page(query, access)),
      '/v1/deadletters/counts': async (reply, { query }, access) =>
        reply.json(await this.#deadLetters.counts(query, access)),
      [LETTER_ROUTE]: async (reply, { path, query }, access) =>
        reply.json(await this.#deadLetters.one(partsOf(LETTER_ROUTE, path)[0], query, access)),
      '/v1/devices': async (reply, { query }, access) =>
        reply.send('200 OK', JSON_TYPE, await this.#devices.answer(query, access)),
      [DEVICE_ROUTE]: async (reply, { path, query }, access) =>
        reply.json(await this.#oneDevice.record(partsOf(DEVICE_ROUTE, path)[0], query, access)),
      [WHY_ROUTE]: async (reply, { path, query }, access) =>
        reply.json(await this.#oneDevice.why(partsOf(WHY_ROUTE, path)[0], query, access)),
      [TRACE_ROUTE]: async (reply, { path, query }, access) =>
        reply.json(await this.#oneDevice.trace(partsOf(TRACE_ROUTE, path)[0], query, access)),
      [COMMANDS_ROUTE]: (reply, { path, query }, access) => {
        query.allow([])
        reply.json(this.#commands.list(partsOf(COMMANDS_ROUTE, path)[0], access))
      },
      '/v1/platform': async (reply, { query }, access) => reply.json(await this.health.answer(query, access)),
      '/v1/readings': (reply, request, access) => this.#readings.answer(reply, request, access),
      '/v1/schemas': (reply, { query }) => {
        query.allow([])
        reply.json(listSchemas(schemas.registry))
      },
      '/v1/schemas/types': (reply, { query }) => {
        query.allow([])
        reply.json(schemaTypes(schemas.registry))
      },
      [SCHEMA_ROUTE]: (reply, { path, query }) => {
        query.allow([])
        const [stream, version] = partsOf(SCHEMA_ROUTE, path)
        reply.json(showSchema(schemas.registry, stream, version))
      },
      '/subjects': (reply, { query }) => {
        query.allow([])
        reply.json(subjects(schemas))
      },
      [VERSIONS_ROUTE]: (reply, { path, query }) => {
        query.allow([])
        reply.json(versionsOf(schemas, partsOf(VERSIONS_ROUTE, path)[0]))
      },
      [VERSION_ROUTE]: (reply, { path, query }) => {
        query.allow([])
        reply.json(versionAsSubject(schemas, ...partsOf(VERSION_ROUTE, path)))
      },
      [ID_ROUTE]: (reply, { path, query }) => {
        query.allow([])
        reply.json(schemaById(schemas, partsOf(ID_ROUTE, path)[0]))
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
    const posts: Record<string, Post> = {
      '/v1/schemas': (reply, { query }, access, body) => {
        query.allow([])
        if (!access.principal.schemas) {
          throw new Refusal(
            'forbidden',
            'the token may not register schemas: `telltale token app --schemas` makes one that may',
          )
        }
        const { registered, isNew } = schemas.add(body)
        reply.json(registered, isNew ? '201 Created' : '200 OK')
      },
      '/v1/deadletters/replay': async (reply, { query }, access, body) => {
        query.allow([])
        reply.json(await this.#removals.replay(body, access))
      },
      '/v1/deadletters/purge': async (reply, { query }, access, body) => {
        query.allow([])
        reply.json(await this.#removals.purge(body, access))
      },
      [COMMANDS_ROUTE]: async (reply, { path, query }, access, body) => {
        query.allow([])
        reply.json(await this.#commands.add(partsOf(COMMANDS_ROUTE, path)[0], body, access), '202 Accepted')
      },
      [COMPATIBILITY_ROUTE]: (reply, { path, query }, _access, body) => {
        query.allow([])
        reply.json(compatibility(schemas, ...partsOf(COMPATIBILITY_ROUTE, path), body))
      },
    }
    const removes: Record<string, Answer> = {
      [COMMAND_ROUTE]: async (reply, { path, query }, access) => {
        query.allow([])
        reply.json(await this.#commands.cancel(...partsOf(COMMAND_ROUTE, path), access))
      },
    }
    const all = new Set([routes, posts, removes].flatMap(Object.keys))
    const routeOf = (route: string): Route => {
      const [answer, post, remove] = [routes[route], posts[route], removes[route]]
      return { route, ...(answer && { answer }), ...(post && { post }), ...(remove && { remove }) }
    }
    return new Map([...all].map((route) => [route, routeOf(route)]))
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

/** What a route takes, as `Allow` has it. */
function methodsOf({ answer, post, remove }: Route): string {
  return [...(answer ? ['GET', 'HEAD'] : []), 'OPTIONS', ...(post ? ['POST'] : []), ...(remove ? ['DELETE'] : [])].join(
    ', ',
  )
}

function preflightOf(route: Route) {
  const methods = methodsOf(route)
  return { ...PREFLIGHT, Allow: methods, 'Access-Control-Allow-Methods': methods }
}

const LETTER_ROUTE = '/v1/deadletters/{id}'
const COMMANDS_ROUTE = '/v1/devices/{id}/commands'
const COMMAND_ROUTE = '/v1/devices/{id}/commands/{command}'
const DEVICE_ROUTE = '/v1/devices/{id}'
const WHY_ROUTE = '/v1/devices/{id}/why'
const TRACE_ROUTE = '/v1/devices/{id}/trace'
const SCHEMA_ROUTE = '/v1/schemas/{stream}/{n}'
/** As Confluent's tools ask (`confluent.ts`). */
const VERSIONS_ROUTE = '/subjects/{subject}/versions'
const VERSION_ROUTE = '/subjects/{subject}/versions/{version}'
const ID_ROUTE = '/schemas/ids/{id}'
const COMPATIBILITY_ROUTE = '/compatibility/subjects/{subject}/versions/{version}'

const PATTERNS = new Map(
  [
    LETTER_ROUTE,
    DEVICE_ROUTE,
    WHY_ROUTE,
    TRACE_ROUTE,
    COMMANDS_ROUTE,
    COMMAND_ROUTE,
    SCHEMA_ROUTE,
    VERSIONS_ROUTE,
    VERSION_ROUTE,
    ID_ROUTE,
    COMPATIBILITY_ROUTE,
  ].map((route) => [route, new RegExp(`^${route.replaceAll(/\{\w+\}/g, '([^/]+)')}$`)]),
)

/** What stands in a path where its route has a name: two at most. */
function partsOf(route: string, path: string): [string, string] {
  const [, first = '', second = ''] = PATTERNS.get(route)?.exec(path) ?? []
  return [decoded(first), decoded(second)]
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part // Whoever looks for it says that there is none.
  }
}

const NOBODY = new Access({ kind: 'app', filters: [], expiresAt: 0 })
