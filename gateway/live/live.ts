/**
 * Owns `/v1/live` and `/v1/stream`: who may connect, what apps ask for, and the fan-out of frames to them.
 *
 * Frames of a subscription are published once, to the topic of its group. Bounds: `LIVE_SOCKETS_MAX` or a share of all
 * connections, one more is refused with 503; a share of that for one token and for one address, one more is refused with 429.
 */

import { randomInt } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import { LIVE_COMMAND_BYTES_MAX, LIVE_LOOK_BYTES, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import { type Access, tokenOf } from '../access.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { fullRefusal, Refusal, refusalOf } from '../refusal.ts'
import type { Reply } from '../reply.ts'
import { type Query, type Request, readRequest } from '../request.ts'
import type { Connections } from '../server/connections.ts'
import type { Frame, Server, UpgradeExchange } from '../server/server.ts'
import { Topics } from '../server/topics.ts'
import { Shares } from '../shares.ts'
import type { Tokens } from '../tokens.ts'
import { CatchUps } from './catch-ups.ts'
import { CLOSE } from './close-codes.ts'
import {
  type Command,
  CommandRefusal,
  LIVE_COMMANDS_PER_SECOND_MAX,
  readCommand,
  readSubscribe,
  type SubscribeOptions,
  Wrong,
} from './commands.ts'
import { EVENT_HEADERS, EventStream, eventOf } from './event-stream.ts'
import { SUBPROTOCOLS, type Subprotocol } from './frames.ts'
import type { Group, Groups } from './groups.ts'
import { LIVE_STREAM_PING_MS, LiveSession, type SessionOwner } from './session.ts'
import type { Starts } from './starts.ts'

/** Apps at once, by `/v1/live` and `/v1/stream`, and their share of all connections; one more is refused with 503. */
export const LIVE_SOCKETS_MAX = 20_000
export const LIVE_SOCKETS_RATIO = 0.8
/** Shares of one token and of one address (all apps behind a proxy have its own); one more is refused with 429. */
export const LIVE_SOCKETS_PER_TOKEN_RATIO = 0.5
export const LIVE_SOCKETS_PER_ADDRESS_RATIO = 0.75
/** How often apps are looked over for tokens that are over and for those that take nothing. */
const LIVE_SWEEP_MS = 1_000
/** How long a subscription may be quiet before its apps are told where it has come to: a cursor must not get old. */
const LIVE_QUIET_MS = 30_000
/** When the gateway stops each app is asked to come back after a time of its own, up to this, so that they do not come all at once. */
const LIVE_COME_BACK_MS_MAX = 5_000

export interface LiveDependencies {
  readonly tokens: Tokens
  readonly groups: Groups
  readonly starts: Starts
  readonly connections: Connections
  /** Answers a request that is not upgraded, counted under `/v1/live`. */
  readonly reply: (exchange: UpgradeExchange) => Reply
  readonly refuse: (reply: Reply, error: unknown) => void
  /** Throws a `Refusal` for a page that may not ask. */
  readonly requireOrigin: (request: Request) => void
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
}

const VERSION = '13'
/** Refusals of commands that may be carried out later. */
const MAY_RETRY: ReadonlySet<string> = new Set(['too-many-groups', 'too-many-commands', 'store-unavailable'])
const STREAM_PARAMETERS = ['filter', 'start', 'last', 'after', 'fields', 'maxRate', 'reduce', 'maxDelay']
/** Of what JavaScript takes for numbers, what people do: not `0x10`. */
const DECIMAL = /^\d+(\.\d+)?$/
/** A subprotocol that begins so is a token. */
const TOKEN_SUBPROTOCOL = 'telltale.token.'

export class Live {
  readonly #dependencies: LiveDependencies
  readonly #sessions = new Set<LiveSession>()
  readonly #socketsMax: number
  readonly #byToken: Shares<Access>
  readonly #byAddress: Shares<string>
  readonly #owner: SessionOwner
  #server: Pick<Server, 'publish'> | undefined
  #sweeping: NodeJS.Timeout | undefined
  #draining = false
  readonly #catchUps = new CatchUps()
  /** Of apps that have events, what a server's topics are to others. */
  readonly #streams = new Topics<string>()
  /** Published since apps were last looked at, bytes. */
  #published = 0

  constructor(options: { readonly connectionsMax: number }, dependencies: LiveDependencies) {
    this.#dependencies = dependencies
    this.#socketsMax = Math.min(LIVE_SOCKETS_MAX, Math.ceil(options.connectionsMax * LIVE_SOCKETS_RATIO))
    this.#byToken = new Shares(Math.ceil(this.#socketsMax * LIVE_SOCKETS_PER_TOKEN_RATIO))
    this.#byAddress = new Shares(Math.ceil(this.#socketsMax * LIVE_SOCKETS_PER_ADDRESS_RATIO))
    const { starts, groups, clock, metrics } = dependencies
    this.#owner = {
      now: () => clock.now(),
      whyOver: (access) => dependencies.tokens.whyOver(access),
      cursorOf: (group) => starts.cursorOf(group),
      behind: (group, access) => starts.behind(group, access),
      hasPast: (session) => this.#catchUps.add(session),
      opened: (session) => this.#opened(session),
      closed: (session) => this.#closed(session),
      message: (session, data, isBinary) => this.#message(session, data, isBinary),
      refusalOf: (session, id, error) => {
        const refusal = refusalOf(error)
        if (refusal !== undefined) return new CommandRefusal(id, 'store-unavailable', refusal.message, true)
        this.#failed(session, error)
        return undefined
      },
      dropped: () => metrics.droppedFrames.inc(),
      left: (group) => groups.leave(group),
      closing: (reason) => metrics.closes.inc({ code: reason.code }),
    }
  }

  get sockets(): number {
    return this.#sessions.size
  }

  /** What waits in this process for apps to take it. */
  get waitingBytes(): number {
    let bytes = 0
    for (const session of this.#sessions) bytes += session.waitingBytes
    return bytes
  }

  /** Publishes by `server` from now on. */
  start(server: Pick<Server, 'publish'>): void {
    this.#server = server
    this.#sweeping = setInterval(() => this.sweep(), LIVE_SWEEP_MS).unref()
  }

  /** Sends a frame of `readings` readings to all apps of the group. */
  readonly publish = (group: Group, frame: Frame, readings: number): void => {
    const { metrics, clock } = this.#dependencies
    metrics.frames.inc()
    metrics.deliveries.inc(readings * group.members)
    group.publishedAt = clock.now()
    this.#published += frame.data.length
    this.#server?.publish(group.name, frame)
    this.#streams.publish(group.name, () => eventOf(frame))
  }

  /**
   * Has those leave the live stream who do not take what they are sent. Called when all frames lead up to one place, so that they can
   * go on from there.
   */
  readonly published = (): void => {
    if (this.#published < LIVE_LOOK_BYTES) return
    this.#published = 0
    const { metrics } = this.#dependencies
    for (const session of this.#sessions) if (session.look()) metrics.behind.inc()
  }

  /** Looks every app over for what time brings about. */
  sweep(): void {
    const { clock, groups, starts } = this.#dependencies
    const now = clock.now()
    for (const session of this.#sessions) session.sweep(now)
    for (const group of groups.all()) {
      if (Math.abs(now - group.publishedAt) < LIVE_QUIET_MS) continue
      this.publish(group, group.encoding.frame(group, starts.cursorOf(group), []), 0)
    }
  }

  /** Asks every app to come back, and lets no new one in. */
  drain(): void {
    this.#draining = true
    clearInterval(this.#sweeping)
    for (const session of this.#sessions) session.drain(randomInt(LIVE_COME_BACK_MS_MAX))
  }

  /** Lets an app in, or answers why not. */
  readonly upgrade = (exchange: UpgradeExchange): void => {
    const request = readRequest(exchange)
    const protocols = exchange.header('sec-websocket-protocol')
    const version = exchange.header('sec-websocket-version')
    const address = exchange.peer
    const reply = this.#dependencies.reply(exchange)
    const admit = async () => {
      this.#dependencies.requireOrigin(request)
      requireVersion(version)
      const offer = readOffer(protocols)
      const { authorization, query } = request
      query.allow([])
      const token = tokenOf(authorization, offer.token ?? query.one('access_token'))
      const access = await this.#dependencies.tokens.verify(token)
      if (access.selections.length === 0) {
        throw new Refusal('forbidden', "the token's filters select no telemetry")
      }
      this.#requireRoom(access, address)
      const session = new LiveSession(access, address, offer.protocol || 'telltale.v1', this.#owner)
      reply.upgrade(() => exchange.upgrade(offer.protocol, session))
    }
    admit().catch((error: unknown) => this.#dependencies.refuse(reply, error))
  }

  /**
   * Answers `/v1/stream`: one subscription as events, of which a browser resumes after the last it had. One that comes while the gateway
   * stops is cut without an answer: at any status but 200 a browser gives up for ever (HTML standard, 9.2.3), after a connection that was
   * lost it comes again; and nginx asks another gateway.
   */
  readonly stream = async (reply: Reply, request: Request, access: Access): Promise<void> => {
    try {
      await this.#stream(reply, request, access)
    } catch (error) {
      if (!isStopping(error)) throw error
      reply.cut(503)
    }
  }

  async #stream(reply: Reply, request: Request, access: Access): Promise<void> {
    const { query, lastEventId, peer: address } = request
    query.allow(STREAM_PARAMETERS)
    const options = readStreamOptions(query, lastEventId)
    const { starts } = this.#dependencies
    const wanted = wrongRefused(() => starts.wanted(options, access, 'telltale.v1'))
    const begin = await starts.begin(options, wanted, access).catch(refuseWrong)
    this.#requireRoom(access, address)
    const session = new LiveSession(access, address, 'telltale.v1', this.#owner, LIVE_STREAM_PING_MS)
    const { group, past } = wrongRefused(begin)
    const stream: EventStream | undefined = reply.open(
      EVENT_HEADERS,
      (answer) => new EventStream(answer, session, this.#streams),
    )
    if (stream === undefined) {
      past?.drop()
      return this.#dependencies.groups.leave(group)
    }
    session.opened(stream)
    session.subscribe('1', group, past)
  }

  #requireRoom(access: Access, address: string): void {
    if (this.#draining) throw new Refusal('not-ready', 'the gateway is stopping')
    if (this.#dependencies.connections.isFull) throw fullRefusal()
    if (this.#sessions.size >= this.#socketsMax) {
      throw new Refusal('too-busy', `${this.#socketsMax} apps are connected: no more are taken`)
    }
    if (!this.#byToken.hasRoom(access)) {
      throw new Refusal('too-many-sockets', `this token has ${this.#byToken.max} live connections: no more are taken`)
    }
    if (!this.#byAddress.hasRoom(address)) {
      throw new Refusal('too-many-sockets', `${address} has ${this.#byAddress.max} live connections: no more are taken`)
    }
  }

  #opened(session: LiveSession): void {
    this.#sessions.add(session)
    this.#byToken.take(session.access)
    this.#byAddress.take(session.address)
    if (this.#draining) session.drain(randomInt(LIVE_COME_BACK_MS_MAX))
  }

  #closed(session: LiveSession): void {
    if (!this.#sessions.delete(session)) return
    this.#byToken.leave(session.access)
    this.#byAddress.leave(session.address)
  }

  #message(session: LiveSession, data: Buffer, isBinary: boolean): void {
    if (isBinary || data.length > LIVE_COMMAND_BYTES_MAX) {
      session.end(isBinary ? CLOSE.notText : CLOSE.frameTooLarge)
      return
    }
    const command = readCommand(data.toString())
    if (command instanceof CommandRefusal) {
      this.#refuse(session, command)
      return
    }
    this.#obey(session, command).catch((error: unknown) => {
      if (error instanceof Wrong) {
        this.#refuse(session, new CommandRefusal(command.id, error.code, error.message, MAY_RETRY.has(error.code)))
      } else if (!isStopping(error)) {
        // Of a gateway that stops, the close that follows tells.
        this.#failed(session, error)
      }
    })
  }

  #refuse(session: LiveSession, refusal: CommandRefusal): void {
    this.#dependencies.metrics.refusals.inc({ reason: refusal.error.code })
    session.refuse(refusal)
  }

  #failed(session: LiveSession, error: unknown): void {
    this.#dependencies.logger.error({ err: error }, `an app could not be served: ${messageOf(error)}`)
    session.end(CLOSE.internal)
  }

  /** Rejects with a `Wrong`. */
  async #obey(session: LiveSession, command: Command): Promise<void> {
    if (!session.mayCommand()) {
      throw new Wrong('too-many-commands', `more than ${LIVE_COMMANDS_PER_SECOND_MAX} commands came in a second`)
    }
    const { id } = command
    if (command.type === 'subscribe') return this.subscribe(session, id, command.options)
    const { subscription } = command
    const group = session.groupOf(subscription)
    if (group === undefined) {
      throw new Wrong('unknown-subscription', `this socket has no subscription ${JSON.stringify(subscription)}`)
    }
    if (command.type === 'unsubscribe') return session.unsubscribe(id, subscription)
    const { rate, ...wanted } = group.wanted
    if (wanted.isRaw) throw new Wrong('unsupported', 'maxRate needs decoded readings: use the subprotocol telltale.v1')
    const { groups, starts } = this.#dependencies
    const joined = starts.join({ ...wanted, ...(command.rate && { rate: command.rate }) }, () => undefined).group
    if (!session.update(id, subscription, joined)) groups.leave(joined)
  }

  /** Begins a subscription of the session; rejects with a `Wrong`. */
  async subscribe(session: LiveSession, id: string, options: SubscribeOptions): Promise<void> {
    const { groups, starts } = this.#dependencies
    const wanted = starts.wanted(options, session.access, session.protocol)
    const begin = await starts.begin(options, wanted, session.access)
    if (!session.isOpen) return
    if (session.full) {
      const message = `this socket has ${LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX} subscriptions: no more are taken`
      throw new Wrong('too-many-subscriptions', message)
    }
    const { group, past } = begin()
    if (!session.subscribe(id, group, past)) groups.leave(group)
  }
}

const isStopping = (error: unknown) => error instanceof Refusal && error.code === 'not-ready'

/** RFC 6455 section 4.4. */
function requireVersion(version: string): void {
  if (version === VERSION) return
  const message = `Sec-WebSocket-Version is ${JSON.stringify(version)}: allowed is ${VERSION}`
  throw new Refusal('upgrade-required', message, { headers: { 'Sec-WebSocket-Version': VERSION } })
}

/**
 * The subprotocol to answer with, ours if offered and none if none was, and the token that stands among them: a browser can
 * send one in no header of its own, and in the query it would end up in logs. Throws a `Refusal` for anything else.
 */
function readOffer(offered: string): { readonly protocol: Subprotocol | ''; readonly token?: string } {
  if (offered === '') return { protocol: '' }
  const names = offered.split(',').map((name) => name.trim())
  const tokens = names.filter((name) => name.startsWith(TOKEN_SUBPROTOCOL))
  const protocols = names.filter((name) => !name.startsWith(TOKEN_SUBPROTOCOL))
  // RFC 6455 section 4.1: they are tokens, each once.
  const isList = !protocols.includes('') && new Set(protocols).size === protocols.length && tokens.length <= 1
  // The app's first choice of ours.
  const protocol = SUBPROTOCOLS.find((own) => own === protocols.find((name) => isOurs(name)))
  if (isList && protocol !== undefined) {
    return { protocol, ...(tokens[0] !== undefined && { token: tokens[0].slice(TOKEN_SUBPROTOCOL.length) }) }
  }
  const shown = JSON.stringify([...protocols, ...tokens.map(() => `${TOKEN_SUBPROTOCOL}***`)].join(', '))
  const allowed = `${SUBPROTOCOLS.join(' or ')}, and ${TOKEN_SUBPROTOCOL}<token> once`
  throw new Refusal('bad-subprotocol', `Sec-WebSocket-Protocol is ${shown}: allowed is ${allowed}`)
}

const isOurs = (name: string) => SUBPROTOCOLS.some((own) => own === name)

/** The same options as in a command, from a query. */
function readStreamOptions(query: Query, lastEventId: string): SubscribeOptions {
  const [start, last, resumeAfter] = [query.one('start'), query.one('last'), query.one('after')]
  const after = lastEventId === '' ? resumeAfter : lastEventId
  if ([start, last, resumeAfter].filter((given) => given !== undefined).length > 1) {
    throw new Refusal('bad-parameter', 'start, last and after are given together: allowed is one of them')
  }
  const maxRate = query.one('maxRate')
  const given = {
    filter: query.all('filter').filter((filter) => filter !== ''),
    start: after !== undefined ? { after } : last !== undefined ? { last } : start,
    fields: query.one('fields')?.split(','),
    maxRate: maxRate !== undefined && DECIMAL.test(maxRate) ? Number(maxRate) : maxRate,
    reduce: query.one('reduce'),
    maxDelay: query.one('maxDelay'),
  }
  return wrongRefused(() => readSubscribe(given))
}

/** What `make` makes; throws a `Refusal` for a `Wrong`. */
function wrongRefused<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    return refuseWrong(error)
  }
}

function refuseWrong(error: unknown): never {
  if (!(error instanceof Wrong)) throw error
  const { code, message } = error
  throw new Refusal(code === 'forbidden' ? code : code === 'too-many-groups' ? 'too-busy' : 'bad-parameter', message)
}
