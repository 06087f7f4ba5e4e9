/**
 * Owns one WebSocket to `/v1/live` and its comings back; what is subscribed on it, and which frame is for whom.
 *
 *   connecting --welcome--> open --closed, or silent--> waiting --its time--> connecting
 *   connecting --refused, or no welcome in time--> waiting
 *   open --nobody subscribed for `IDLE_MS`--> over
 *   any --a close code that says so, a token that cannot be had--> over, and what is subscribed has failed
 *
 * Always true: no two subscriptions of it ask for the same, since the gateway would make one of them. A frame goes to whom it was
 * sent for: between a command to subscribe and its answer, nothing is taken for that subscription.
 * Close codes as docs/contract.md has them: 4000 to 4499 come back, 4501 and 4504 with another token, other 45xx do not.
 */

import { Backoff } from './backoff.ts'
import { errorOf, TelltaleError } from './error.ts'
import type { Frame, FrameDecoder, Limits, SubscriptionFrame } from './frames.ts'
import { OPEN, type Socket, type WebSocketClass } from './socket.ts'
import type { LiveSubscription, Rate } from './subscription.ts'
import type { TokenSource } from './token.ts'

/** Until the gateway has said `welcome`. */
const WELCOME_MS = 20_000
/** Nothing in so long, where the gateway says something every 30 s: the connection is lost without a word. */
const SILENT_MS = 45_000
/** A connection that lasted so long was a good one: the pauses before the next begin small again. */
const GOOD_MS = 10_000
/** How long a connection is kept without subscriptions. */
const IDLE_MS = 1_000
/** Until the gateway has said its own. */
const LIMITS: Limits = { subscriptions: 100, commandsPerSecond: 50 }
/** Of the commands that the gateway takes in a second: to subscribe. The others are those to stop. */
const ASKS_RATIO = 0.4

/** What `close` says of a connection that was never made. */
const NOT_MADE = 1006
/** Closes that are of the token, by the codes that HTTP has for the same. */
const TOKEN_CLOSES: ReadonlyMap<number, string> = new Map([
  [4501, 'token-expired'],
  [4504, 'token-revoked'],
])
/** We broke the WebSocket protocol (RFC 6455 section 7.4.1), and would again. */
const OUR_FAULT: ReadonlySet<number> = new Set([1002, 1003, 1007, 1009])

export interface ConnectionDependencies {
  readonly url: string
  readonly subprotocol: string
  readonly decoder: FrameDecoder
  readonly tokens: TokenSource
  readonly whyRefused: (token: string | undefined) => Promise<TelltaleError | undefined>
  readonly webSocket: () => Promise<WebSocketClass>
  readonly random: () => number
  readonly over: (connection: Connection) => void
}

/** A subscription's place on the connection. */
interface Seat {
  readonly subscription: LiveSubscription<unknown>
  /** Errors of the gateway's that pass. */
  readonly backoff: Backoff
  /** As the gateway calls it. */
  name: string | undefined
  /** Of the command to subscribe that has no answer yet. */
  asked: string | undefined
  /** Called when it has one, or never will. */
  answered: (() => void)[]
  /** An update has no answer yet: by which name it goes on is not known. */
  updating: boolean
  /** When it is asked for again. */
  later: ReturnType<typeof setTimeout> | undefined
  /** The app has ended it. */
  left: boolean
}

interface Command {
  readonly seat: Seat
  readonly type: 'subscribe' | 'update' | 'unsubscribe'
  readonly settle?: (error: TelltaleError | undefined) => void
}

export class Connection {
  readonly #dependencies: ConnectionDependencies
  readonly #backoff: Backoff
  readonly #seats = new Map<LiveSubscription<unknown>, Seat>()
  readonly #names = new Map<string, Seat>()
  readonly #commands = new Map<string, Command>()
  #state: 'connecting' | 'open' | 'waiting' | 'over' = 'connecting'
  #socket: Socket | undefined
  #token: string | undefined
  #isWelcome = false
  #limits = LIMITS
  /** When the next command to subscribe has its time; it may come earlier by the time of `limits.subscriptions` of them. */
  #askAt = 0
  /** What came while a frame before it is still being decoded. */
  #undecoded: unknown[] | undefined
  #retryMs: number | undefined
  #openedAt = 0
  #heard = false
  #commandsSent = 0
  /** What is to happen next by time alone. */
  #timer: ReturnType<typeof setTimeout> | undefined
  #idle: ReturnType<typeof setTimeout> | undefined

  /** Connects. */
  constructor(dependencies: ConnectionDependencies) {
    this.#dependencies = dependencies
    this.#backoff = new Backoff(dependencies.random)
    void this.#connect()
  }

  hasRoomFor(subscription: LiveSubscription<unknown>): boolean {
    if (this.#state === 'over' || this.#seats.size >= this.#limits.subscriptions) return false
    return ![...this.#seats.keys()].some(({ key }) => key === subscription.key)
  }

  join(subscription: LiveSubscription<unknown>): void {
    clearTimeout(this.#idle)
    const seat: Seat = {
      subscription,
      backoff: new Backoff(this.#dependencies.random),
      name: undefined,
      asked: undefined,
      answered: [],
      updating: false,
      later: undefined,
      left: false,
    }
    this.#seats.set(subscription, seat)
    subscription.carriedBy({
      ask: () => this.#ask(seat),
      isOpen: () => this.#state === 'open',
      pause: () => this.#unsubscribe(seat),
      update: (rate) => this.#update(seat, rate),
      leave: () => this.#leave(seat),
    })
    this.#ask(seat)
  }

  /** Ends it, and what is subscribed on it: with an error if there is one. */
  end(error?: TelltaleError): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#letGo()
    clearTimeout(this.#timer)
    clearTimeout(this.#idle)
    for (const seat of this.#seats.values()) {
      settled(seat)
      const { subscription } = seat
      if (error === undefined) subscription.close()
      else subscription.failed(error)
    }
    this.#dependencies.over(this)
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting'
    const { tokens, webSocket, url, subprotocol, decoder } = this.#dependencies
    let token: string | undefined
    try {
      const [WebSocket, given] = await Promise.all([webSocket(), tokens.get()])
      token = given
      if (this.#state !== 'connecting') return
      this.#token = token
      const protocols = token === undefined ? [subprotocol] : [subprotocol, `telltale.token.${token}`]
      this.#listen(new WebSocket(url, protocols) as Socket)
      decoder.opened()
    } catch (thrown) {
      if (isFinal(thrown)) this.end(errorOf(thrown, 'bad-token', false))
      else this.#lost(errorOf(thrown, 'no-token'))
    }
  }

  #listen(socket: Socket): void {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onmessage = ({ data }) => this.#receive(socket, data)
    socket.onclose = ({ code, reason }) => this.#closed(code, reason)
    // `close` follows, but on Node 22 not that of a connection that was never made (nodejs/undici#3546).
    socket.onerror = () => {
      if (!this.#isWelcome) this.#closed(NOT_MADE, '')
    }
    const message = `the gateway has not said welcome within ${WELCOME_MS / 1000} s`
    this.#after(WELCOME_MS, () => this.#lost(new TelltaleError('unreachable', message, { retry: true })))
  }

  #receive(socket: Socket, data: unknown): void {
    this.#heard = true
    if (this.#undecoded !== undefined) {
      this.#undecoded.push(data)
      return
    }
    try {
      const frame = this.#dependencies.decoder.decode(data)
      if (frame instanceof Promise) void this.#receiveLater(socket, frame)
      else this.#take(frame)
    } catch (error) {
      this.#lost(errorOf(error, 'bad-answer'))
    }
  }

  /** In order: what comes meanwhile waits. */
  async #receiveLater(socket: Socket, first: Promise<Frame>): Promise<void> {
    const undecoded: unknown[] = []
    this.#undecoded = undecoded
    try {
      for (let frame = await first; socket === this.#socket; ) {
        this.#take(frame)
        if (undecoded.length === 0) {
          this.#undecoded = undefined
          return
        }
        frame = await this.#dependencies.decoder.decode(undecoded.shift())
      }
    } catch (error) {
      if (socket === this.#socket) this.#lost(errorOf(error, 'bad-answer'))
    }
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case 'readings':
      case 'gap':
      case 'live':
        this.#pass(frame)
        break
      case 'welcome':
        this.#welcome(frame.limits)
        break
      case 'subscribed':
        this.#subscribed(frame.id, frame.subscription, frame.replaces)
        break
      case 'unsubscribed':
        this.#commands.delete(frame.id)
        break
      case 'closing':
        this.#retryMs = frame.retryMs
        break
      case 'error': {
        const { id, code, message, retry } = frame
        this.#refused(id, new TelltaleError(code, message, { retry }))
      }
    }
  }

  #pass(frame: SubscriptionFrame): void {
    const seat = this.#names.get(frame.subscription)
    if (seat === undefined || seat.asked !== undefined || seat.left) return
    seat.backoff.reset()
    seat.subscription.take(frame)
  }

  #welcome(limits: Limits): void {
    this.#state = 'open'
    this.#isWelcome = true
    this.#openedAt = performance.now()
    this.#limits = limits
    this.#askAt = 0
    this.#dependencies.tokens.accepted()
    for (const seat of this.#seats.values()) this.#ask(seat)
    this.#watch()
  }

  /** A connection that is cut somewhere on the way says nothing, not even that it is. */
  #watch(): void {
    this.#heard = false
    this.#after(SILENT_MS, () => {
      const isAwaited = [...this.#seats.values()].some(({ name, subscription }) => name && subscription.request)
      if (this.#heard || !isAwaited) return this.#watch()
      const message = `the gateway has said nothing for ${SILENT_MS / 1000} s`
      this.#lost(new TelltaleError('unreachable', message, { retry: true }))
    })
  }

  #subscribed(id: string, name: string, replaces: string | undefined): void {
    const command = this.#commands.get(id)
    this.#commands.delete(id)
    if (command === undefined) return
    const { seat, type, settle } = command
    if (type === 'update') {
      if (replaces !== undefined) this.#name(seat, name)
      this.#updated(seat)
      settle?.(undefined)
    } else if (seat.asked === id) {
      this.#name(seat, name)
      settled(seat)
      if (seat.left) this.#leave(seat)
      else seat.subscription.subscribed()
    }
  }

  /** What the subscription has wanted meanwhile. */
  #updated(seat: Seat): void {
    seat.updating = false
    if (seat.left) this.#leave(seat)
    else if (seat.subscription.state === 'paused') this.#unsubscribe(seat)
    else if (seat.subscription.isAsking) this.#ask(seat)
  }

  #name(seat: Seat, name: string): void {
    this.#unname(seat)
    seat.name = name
    this.#names.set(name, seat)
  }

  #unname(seat: Seat): void {
    if (seat.name !== undefined && this.#names.get(seat.name) === seat) this.#names.delete(seat.name)
    seat.name = undefined
  }

  #refused(id: string | undefined, error: TelltaleError): void {
    const command = id === undefined ? undefined : this.#commands.get(id)
    if (id !== undefined) this.#commands.delete(id)
    if (command?.type === 'subscribe') this.#notSubscribed(command.seat, error)
    else if (command?.type === 'update') {
      this.#updated(command.seat)
      command.settle?.(error)
    } else if (command !== undefined) return
    else if (error.retry) this.#lost(error)
    else this.end(error)
  }

  #notSubscribed(seat: Seat, error: TelltaleError): void {
    settled(seat)
    if (seat.left) this.#free(seat)
    else if (!error.retry) seat.subscription.failed(error)
    else {
      seat.subscription.disconnected(error)
      this.#askLater(seat, seat.backoff.next())
    }
  }

  #ask(seat: Seat): void {
    const { request } = seat.subscription
    const isBusy = seat.asked !== undefined || seat.updating
    if (this.#state !== 'open' || seat.left || isBusy || request === undefined) return
    const earlyMs = this.#earlyMs()
    if (earlyMs > 0) this.#askLater(seat, earlyMs)
    else seat.asked = this.#send('subscribe', seat, request)
  }

  #askLater(seat: Seat, ms: number): void {
    clearTimeout(seat.later)
    seat.later = setTimeout(() => this.#ask(seat), ms)
  }

  /** How long a command to subscribe has to wait: loops that stop and go on often must not be too many commands. */
  #earlyMs(): number {
    const { subscriptions, commandsPerSecond } = this.#limits
    const periodMs = 1_000 / (commandsPerSecond * ASKS_RATIO)
    const now = performance.now()
    const earlyMs = this.#askAt - subscriptions * periodMs - now
    if (earlyMs <= 0) this.#askAt = Math.max(this.#askAt, now) + periodMs
    return earlyMs
  }

  #unsubscribe(seat: Seat): void {
    if (this.#state === 'open' && seat.name !== undefined && !seat.updating) {
      this.#send('unsubscribe', seat, { subscription: seat.name })
    }
  }

  async #update(seat: Seat, { maxRate = null, reduce }: Rate): Promise<void> {
    if (seat.asked !== undefined) await new Promise<void>((resolve) => seat.answered.push(resolve))
    const subscription = seat.name
    // One that is not subscribed now is asked for with the new rate.
    if (this.#state !== 'open' || subscription === undefined || seat.subscription.request === undefined) return
    await new Promise<void>((resolve, reject) => {
      const settle = (error: TelltaleError | undefined) => (error === undefined ? resolve() : reject(error))
      seat.updating = true
      this.#send('update', seat, { subscription, maxRate, ...(maxRate !== null && { reduce }) }, settle)
    })
  }

  #send(type: Command['type'], seat: Seat, fields: object, settle?: Command['settle']): string {
    const id = String(++this.#commandsSent)
    this.#commands.set(id, { seat, type, ...(settle && { settle }) })
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify({ type, id, ...fields }))
    return id
  }

  /** The app has ended it. What has no answer yet keeps its place, so that nobody asks for the same before it is there. */
  #leave(seat: Seat): void {
    seat.left = true
    if (seat.asked !== undefined || seat.updating) return
    if (seat.subscription.state !== 'paused') this.#unsubscribe(seat)
    this.#free(seat)
  }

  #free(seat: Seat): void {
    clearTimeout(seat.later)
    this.#unname(seat)
    this.#seats.delete(seat.subscription)
    if (this.#seats.size > 0 || this.#state === 'over') return
    if (this.#state === 'open') this.#idle = setTimeout(() => this.end(), IDLE_MS)
    else this.end()
  }

  #closed(code: number, reason: string): void {
    const error = this.#whyClosed(code, reason)
    if (TOKEN_CLOSES.has(code)) this.#tokenRefused(error)
    else if (!error.retry) this.end(error)
    else this.#lost(error, this.#isWelcome ? undefined : () => this.#whyRefused(error))
  }

  #whyClosed(closeCode: number, reason: string): TelltaleError {
    const details = { closeCode, retry: !OUR_FAULT.has(closeCode) && !(closeCode >= 4500 && closeCode <= 4999) }
    if (!this.#isWelcome && closeCode === NOT_MADE) {
      return new TelltaleError('unreachable', `no WebSocket could be made to ${this.#dependencies.url}`, details)
    }
    const name = reason === '' ? `with ${closeCode}` : `with ${closeCode}: ${reason}`
    const ours = TOKEN_CLOSES.get(closeCode) ?? 'closed'
    return new TelltaleError(ours, `the gateway has closed the connection ${name}`, details)
  }

  /** Before another connection is tried, since the close code of one that was refused says nothing. */
  async #whyRefused(closed: TelltaleError): Promise<void> {
    const why = (await this.#dependencies.whyRefused(this.#token)) ?? closed
    if (this.#state !== 'waiting') return
    if (why.status === 401) this.#tokenRefused(why)
    else if (why.retry) this.#disconnected(why)
    else this.end(why)
  }

  #tokenRefused(why: TelltaleError): void {
    try {
      this.#dependencies.tokens.refuse(this.#token, why)
      if (this.#state === 'waiting') this.#disconnected(why)
      else this.#lost(why)
    } catch (error) {
      this.end(errorOf(error, 'token-refused'))
    }
  }

  #disconnected(why: TelltaleError): void {
    for (const { subscription, left } of [...this.#seats.values()]) if (!left) subscription.disconnected(why)
  }

  /** Comes back after a pause, and after `first`, which says better than `why` what is wrong. */
  #lost(why: TelltaleError, first?: () => Promise<void>): void {
    if (this.#state === 'over' || this.#state === 'waiting') return
    if (this.#isWelcome && performance.now() - this.#openedAt > GOOD_MS) this.#backoff.reset()
    const retryMs = this.#retryMs ?? this.#backoff.next()
    this.#state = 'waiting'
    this.#letGo()
    for (const seat of [...this.#seats.values()]) {
      this.#unname(seat)
      settled(seat)
      seat.updating = false
      if (seat.left) this.#free(seat)
    }
    if (first === undefined) this.#disconnected(why)
    if (this.#seats.size === 0) this.end()
    else void this.#comeBack(retryMs, first)
  }

  async #comeBack(afterMs: number, first: (() => Promise<void>) | undefined): Promise<void> {
    await first?.()
    if (this.#state === 'waiting') this.#after(afterMs, () => void this.#connect())
  }

  /** Of the socket nothing more is heard. */
  #letGo(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#isWelcome = false
    this.#undecoded = undefined
    this.#retryMs = undefined
    for (const { settle } of this.#commands.values()) settle?.(undefined)
    this.#commands.clear()
    if (socket === undefined) return
    socket.onmessage = () => undefined
    socket.onclose = () => undefined
    socket.onerror = () => undefined
    socket.close(1000)
  }

  #after(ms: number, run: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(run, ms)
  }
}

/** Its command to subscribe is done with. */
function settled(seat: Seat): void {
  clearTimeout(seat.later)
  seat.asked = undefined
  for (const answered of seat.answered.splice(0)) answered()
}

/** An error for which there is nothing to wait: no WebSocket at all, or a token that cannot stand in a subprotocol. */
const isFinal = (thrown: unknown) =>
  (thrown instanceof TelltaleError && thrown.code === 'no-websocket') ||
  (thrown instanceof Error && thrown.name === 'SyntaxError')
