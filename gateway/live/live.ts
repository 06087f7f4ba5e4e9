/**
 * Owns `/v1/live`: who may connect, what apps ask for, and the fan-out of frames to them.
 *
 * Frames of a subscription are published once, to the topic of its group. Bounds: `LIVE_SOCKETS_MAX` or a share of all
 * connections, one more is refused with 503; a share of that for one token and for one address, one more is refused with 429.
 */

import type { Clock } from '../../platform/clock.ts'
import { LIVE_COMMAND_BYTES_MAX, LIVE_GROUPS_MAX, LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX } from '../../platform/limits.ts'
import type { Logger } from '../../platform/logger.ts'
import { type Access, outside, tokenOf } from '../access.ts'
import type { Columns } from '../columns.ts'
import type { Latest } from '../latest.ts'
import type { GatewayMetrics } from '../metrics.ts'
import { fullRefusal, Refusal } from '../refusal.ts'
import type { Reply } from '../reply.ts'
import { type Request, readRequest } from '../request.ts'
import type { Connections } from '../server/connections.ts'
import type { Server, UpgradeExchange } from '../server/server.ts'
import { Shares } from '../shares.ts'
import type { Tokens } from '../tokens.ts'
import { CLOSE } from './close-codes.ts'
import { type Command, CommandRefusal, readCommand } from './commands.ts'
import { SUBPROTOCOL } from './frames.ts'
import type { Group, Groups } from './groups.ts'
import { LiveSession, type SessionOwner } from './session.ts'
import { Snapshot } from './snapshot.ts'

/** Sockets of `/v1/live`, and their share of all connections; one more is refused with 503 before the upgrade. */
const LIVE_SOCKETS_MAX = 20_000
const LIVE_SOCKETS_RATIO = 0.8
/** Shares of one token and of one address (all apps behind a proxy have its own); one more is refused with 429. */
const LIVE_SOCKETS_PER_TOKEN_RATIO = 0.5
const LIVE_SOCKETS_PER_ADDRESS_RATIO = 0.75
/** How often sockets are looked over for tokens that are over and for slow ones that never drained. */
const LIVE_SWEEP_MS = 1_000

export interface LiveDependencies {
  readonly tokens: Tokens
  readonly groups: Groups
  readonly latest: Latest
  readonly columns: Columns
  readonly connections: Connections
  /** The live tail's cursor. */
  readonly cursor: () => string
  /** Answers a request that is not upgraded, counted under `/v1/live`. */
  readonly reply: (exchange: UpgradeExchange) => Reply
  readonly refuse: (reply: Reply, error: unknown) => void
  /** Throws a `Refusal` for a page from elsewhere, where no token keeps it out. */
  readonly requireOurs: (request: Request) => void
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
}

const VERSION = '13'
/** A subprotocol that begins so is a token. */
const TOKEN_SUBPROTOCOL = 'telltale.token.'

type Subscribe = Extract<Command, { type: 'subscribe' }>

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

  constructor(options: { readonly connectionsMax: number }, dependencies: LiveDependencies) {
    this.#dependencies = dependencies
    this.#socketsMax = Math.min(LIVE_SOCKETS_MAX, Math.ceil(options.connectionsMax * LIVE_SOCKETS_RATIO))
    this.#byToken = new Shares(Math.ceil(this.#socketsMax * LIVE_SOCKETS_PER_TOKEN_RATIO))
    this.#byAddress = new Shares(Math.ceil(this.#socketsMax * LIVE_SOCKETS_PER_ADDRESS_RATIO))
    const { cursor, groups, clock, metrics } = dependencies
    this.#owner = {
      cursor,
      now: () => clock.now(),
      whyOver: (access) => dependencies.tokens.whyOver(access),
      opened: (session) => this.#opened(session),
      closed: (session) => this.#closed(session),
      message: (session, data, isBinary) => this.#message(session, data, isBinary),
      dropped: () => metrics.droppedFrames.inc(),
      left: (group) => groups.leave(group),
      closing: (reason) => metrics.closes.inc({ code: reason.code }),
    }
  }

  get sockets(): number {
    return this.#sessions.size
  }

  /** Publishes by `server` from now on. */
  start(server: Pick<Server, 'publish'>): void {
    this.#server = server
    this.#sweeping = setInterval(() => this.sweep(), LIVE_SWEEP_MS).unref()
  }

  /** Sends a frame of `readings` readings to all sockets of the group. */
  readonly publish = (group: Group, frame: string, readings: number): void => {
    const { metrics } = this.#dependencies
    metrics.frames.inc()
    metrics.deliveries.inc(readings * group.members)
    this.#server?.publish(group.name, frame)
  }

  /** Looks every socket over for what time brings about. */
  sweep(): void {
    const now = this.#dependencies.clock.now()
    for (const session of this.#sessions) session.sweep(now)
  }

  /** Asks every app to come back, and lets no new one in. */
  drain(): void {
    this.#draining = true
    clearInterval(this.#sweeping)
    for (const session of this.#sessions) session.end(CLOSE.draining)
  }

  /** Lets an app in, or answers why not. */
  readonly upgrade = (exchange: UpgradeExchange): void => {
    const request = readRequest(exchange)
    const protocols = exchange.header('sec-websocket-protocol')
    const version = exchange.header('sec-websocket-version')
    const address = exchange.peer
    const reply = this.#dependencies.reply(exchange)
    const admit = async () => {
      this.#dependencies.requireOurs(request)
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
      const session = new LiveSession(access, address, this.#owner)
      reply.upgrade(() => exchange.upgrade(offer.protocol, session))
    }
    admit().catch((error: unknown) => this.#dependencies.refuse(reply, error))
  }

  #requireRoom(access: Access, address: string): void {
    if (this.#draining) throw new Refusal('not-ready', 'the gateway is stopping')
    if (this.#dependencies.connections.isFull) throw fullRefusal()
    if (this.#sessions.size >= this.#socketsMax) {
      throw new Refusal('too-busy', `${this.#socketsMax} apps are connected: no more are taken`)
    }
    if (!this.#byToken.hasRoom(access)) {
      throw new Refusal('too-many-sockets', `this token has ${this.#byToken.max} WebSockets: no more are taken`)
    }
    if (!this.#byAddress.hasRoom(address)) {
      throw new Refusal('too-many-sockets', `${address} has ${this.#byAddress.max} WebSockets: no more are taken`)
    }
  }

  #opened(session: LiveSession): void {
    this.#sessions.add(session)
    this.#byToken.take(session.access)
    this.#byAddress.take(session.address)
    if (this.#draining) session.end(CLOSE.draining)
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
    try {
      const command = readCommand(data.toString())
      const refusal = command instanceof CommandRefusal ? command : this.#obey(session, command)
      if (refusal === undefined) return
      this.#dependencies.metrics.refusals.inc({ reason: refusal.error.code })
      session.refuse(refusal)
    } catch (error) {
      this.#dependencies.logger.error({ err: error }, 'a live command failed')
      session.end(CLOSE.internal)
    }
  }

  #obey(session: LiveSession, command: Command): CommandRefusal | undefined {
    if (command.type === 'subscribe') return this.#subscribe(session, command)
    const { id, subscription } = command
    if (!session.has(subscription)) {
      const message = `this socket has no subscription ${JSON.stringify(subscription)}`
      return new CommandRefusal(id, 'unknown-subscription', message)
    }
    session.unsubscribe(subscription)
    return undefined
  }

  #subscribe(session: LiveSession, command: Subscribe): CommandRefusal | undefined {
    const { groups, latest, columns } = this.#dependencies
    const { id, filter, selection, start, fields } = command
    if (!session.access.covers(selection)) return new CommandRefusal(id, 'forbidden', outside(filter))
    const names = columns.namesOf(selection)
    const unknown = fields?.find((field) => !names.has(field))
    if (unknown !== undefined) {
      const allowed = [...names].sort().join(', ')
      return new CommandRefusal(id, 'bad-field', `fields has ${JSON.stringify(unknown)}: allowed is ${allowed}`)
    }
    if (session.full) {
      const message = `this socket has ${LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX} subscriptions: no more are taken`
      return new CommandRefusal(id, 'too-many-subscriptions', message)
    }
    const group = groups.join({ selection, ...(fields && { fields }) })
    if (group === undefined) {
      const message = `apps have ${LIVE_GROUPS_MAX} distinct subscriptions: no more are taken just now`
      return new CommandRefusal(id, 'too-many-groups', message, true)
    }
    const past = start === 'latest' ? new Snapshot(group, { latest, tagsOf: columns.tagsOf }) : undefined
    const isNew = session.subscribe(id, group, past)
    if (!isNew) groups.leave(group)
    return undefined
  }
}

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
function readOffer(offered: string): { readonly protocol: string; readonly token?: string } {
  if (offered === '') return { protocol: '' }
  const names = offered.split(',').map((name) => name.trim())
  const tokens = names.filter((name) => name.startsWith(TOKEN_SUBPROTOCOL))
  const protocols = names.filter((name) => !name.startsWith(TOKEN_SUBPROTOCOL))
  // RFC 6455 section 4.1: they are tokens, each once.
  const isList = !protocols.includes('') && new Set(protocols).size === protocols.length && tokens.length <= 1
  if (isList && protocols.includes(SUBPROTOCOL)) {
    return {
      protocol: SUBPROTOCOL,
      ...(tokens[0] !== undefined && { token: tokens[0].slice(TOKEN_SUBPROTOCOL.length) }),
    }
  }
  const shown = JSON.stringify([...protocols, ...tokens.map(() => `${TOKEN_SUBPROTOCOL}***`)].join(', '))
  const allowed = `${SUBPROTOCOL}, and ${TOKEN_SUBPROTOCOL}<token> once`
  throw new Refusal('bad-subprotocol', `Sec-WebSocket-Protocol is ${shown}: allowed is ${allowed}`)
}
