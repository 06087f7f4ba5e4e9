/**
 * Owns `/v1/live`: who may connect, what apps ask for, and the fan-out of frames to them.
 *
 * Frames of a subscription are published once to a uWebSockets.js topic of its group: 2M deliveries a second were
 * measured so, against 125k by sending to each socket. Bound: `LIVE_SOCKETS_MAX`; one more is refused with 503.
 */

import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t } from 'uWebSockets.js'
import type { Clock } from '../platform/clock.ts'
import {
  LIVE_BACKPRESSURE_BYTES_MAX,
  LIVE_COMMAND_BYTES_CUT,
  LIVE_COMMAND_BYTES_MAX,
  LIVE_GROUPS_MAX,
  LIVE_IDLE_SECONDS_MAX,
  LIVE_SOCKETS_MAX,
  LIVE_SUBSCRIPTIONS_PER_SOCKET_MAX,
  LIVE_SWEEP_MS,
} from '../platform/limits.ts'
import type { Logger } from '../platform/logger.ts'
import { type Access, outside, tokenOf } from './access.ts'
import { CLOSE, type CloseReason } from './close-codes.ts'
import type { Columns } from './columns.ts'
import { type Command, CommandRefusal, readCommand } from './commands.ts'
import { SUBPROTOCOL } from './frames.ts'
import type { Group, Groups } from './groups.ts'
import type { Latest } from './latest.ts'
import { LiveSession, type Socket } from './live-session.ts'
import type { GatewayMetrics } from './metrics.ts'
import { Refusal } from './refusal.ts'
import type { Reply } from './reply.ts'
import { readRequest } from './request.ts'
import { Snapshot } from './snapshot.ts'
import type { Tokens } from './tokens.ts'

export interface LiveDependencies {
  readonly tokens: Tokens
  readonly groups: Groups
  readonly latest: Latest
  readonly columns: Columns
  /** The live tail's cursor. */
  readonly cursor: () => string
  /** Answers a request that is not upgraded, counted under `/v1/live`. */
  readonly reply: (response: HttpResponse) => Reply
  readonly refuse: (reply: Reply, error: unknown) => void
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: GatewayMetrics
}

type Subscribe = Extract<Command, { type: 'subscribe' }>

export class Live {
  readonly #dependencies: LiveDependencies
  readonly #sessions = new Set<LiveSession>()
  #app: TemplatedApp | undefined
  #sweeping: NodeJS.Timeout | undefined
  #draining = false

  constructor(dependencies: LiveDependencies) {
    this.#dependencies = dependencies
  }

  get sockets(): number {
    return this.#sessions.size
  }

  /** Answers on `app` from now on. */
  attach(app: TemplatedApp): void {
    this.#app = app
    app.ws<{ readonly session: LiveSession }>('/v1/live', {
      maxPayloadLength: LIVE_COMMAND_BYTES_CUT,
      maxBackpressure: LIVE_BACKPRESSURE_BYTES_MAX,
      idleTimeout: LIVE_IDLE_SECONDS_MAX,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket, message, isBinary) => this.#message(socket.getUserData().session, message, isBinary),
      dropped: (socket) => this.#dropped(socket.getUserData().session),
      drain: (socket) => socket.getUserData().session.drained(),
      close: (socket) => this.#closed(socket.getUserData().session),
    })
    this.#sweeping = setInterval(() => this.sweep(), LIVE_SWEEP_MS).unref()
  }

  /** Sends a frame of `readings` readings to all sockets of the group. */
  readonly publish = (group: Group, frame: string, readings: number): void => {
    const { metrics } = this.#dependencies
    metrics.frames.inc()
    metrics.deliveries.inc(readings * group.members)
    this.#app?.publish(group.name, frame)
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

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const { authorization, query } = readRequest(response, request)
    const key = request.getHeader('sec-websocket-key')
    const protocols = request.getHeader('sec-websocket-protocol')
    const extensions = request.getHeader('sec-websocket-extensions')
    const reply = this.#dependencies.reply(response)
    const admit = async () => {
      const protocol = chooseProtocol(protocols)
      query.allow([])
      const token = tokenOf(authorization, query.one('access_token'))
      const access = await this.#dependencies.tokens.verify(token)
      if (access.selections.length === 0) {
        throw new Refusal('forbidden', "the token's filters select no telemetry")
      }
      this.#requireRoom()
      const session = this.#session(access)
      reply.upgrade(() => response.upgrade({ session }, key, protocol, extensions, context))
    }
    admit().catch((error: unknown) => this.#dependencies.refuse(reply, error))
  }

  #requireRoom(): void {
    if (this.#draining) throw new Refusal('not-ready', 'the gateway is stopping')
    if (this.#sessions.size >= LIVE_SOCKETS_MAX) {
      throw new Refusal('too-busy', `${LIVE_SOCKETS_MAX} apps are connected: no more are taken`)
    }
  }

  #session(access: Access): LiveSession {
    const { cursor, groups, metrics } = this.#dependencies
    const closing = (reason: CloseReason) => metrics.closes.inc({ code: reason.code })
    return new LiveSession(access, cursor, { left: (group) => groups.leave(group), closing })
  }

  #open(socket: Socket): void {
    const { session } = socket.getUserData()
    this.#sessions.add(session)
    session.open(socket)
    if (this.#draining) session.end(CLOSE.draining)
  }

  #closed(session: LiveSession): void {
    this.#sessions.delete(session)
    session.closed()
  }

  #dropped(session: LiveSession): void {
    this.#dependencies.metrics.droppedFrames.inc()
    session.dropped(this.#dependencies.clock.now())
  }

  #message(session: LiveSession, message: ArrayBuffer, isBinary: boolean): void {
    if (isBinary || message.byteLength > LIVE_COMMAND_BYTES_MAX) {
      session.end(isBinary ? CLOSE.notText : CLOSE.frameTooLarge)
      return
    }
    try {
      const command = readCommand(Buffer.from(message).toString())
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
    const snapshot = start === 'latest' ? new Snapshot(group, { latest, tagsOf: columns.tagsOf }) : undefined
    const isNew = session.subscribe(id, group, snapshot)
    if (!isNew) groups.leave(group)
    return undefined
  }
}

/** The subprotocol to answer with: ours if offered, none if none was. Throws a `Refusal` if only others were. */
function chooseProtocol(offered: string): string {
  if (offered === '') return ''
  if (offered.split(',').some((protocol) => protocol.trim() === SUBPROTOCOL)) return SUBPROTOCOL
  throw new Refusal(
    'bad-subprotocol',
    `Sec-WebSocket-Protocol is ${JSON.stringify(offered)}: allowed is ${SUBPROTOCOL}`,
  )
}
