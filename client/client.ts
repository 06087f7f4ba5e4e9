/**
 * Owns an app's way to a gateway of Telltale, and is what the package exports.
 *
 *   const live = connect('https://telltale.example', { token: async () => (await fetch('/my/token')).text() })
 *   for await (const reading of live.subscribe('devices/+/telemetry/environment', { start: { last: '15m' } })) ...
 *
 * A WebSocket is open while something is subscribed, and a second for what it cannot hold besides. So a program ends when its
 * loops have.
 */

import {
  COMMANDS,
  type Command,
  type CommandsOptions,
  cancelCommand,
  readCommands,
  SEND_COMMAND,
  type SendCommandOptions,
  sendCommand,
} from './commands.ts'
import { Connection } from './connection.ts'
import { DEVICES, type Device, type DevicesOptions, readDevices } from './devices.ts'
import { over, type TelltaleError } from './error.ts'
import { type Encoding, type FrameDecoder, json } from './frames.ts'
import { checkHistory, type HistoryOptions, readHistory } from './history.ts'
import { ATTEMPTS_MAX, Http } from './http.ts'
import { checkNames, type Names } from './options.ts'
import type { FieldOf, Reading, ReadingOf, WithFields } from './readings.ts'
import { findWebSocket, type WebSocketClass } from './socket.ts'
import type { Streams } from './streams.ts'
import {
  checkSubscribe,
  LiveSubscription,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionState,
} from './subscription.ts'
import { type Token, TokenSource } from './token.ts'

export type { Command, CommandsOptions, SendCommandOptions } from './commands.ts'
export type { Device, DevicesOptions } from './devices.ts'
export { TelltaleError } from './error.ts'
export type { Encoding } from './frames.ts'
export type { HistoryOptions, Time } from './history.ts'
export type { Batch, FieldOf, Gap, Reading, ReadingOf, SubscriptionEvent, Value, WithFields } from './readings.ts'
export type { WebSocketClass } from './socket.ts'
export type { Environment, Power, Streams, Vehicle, Vibration } from './streams.ts'
export type { Rate, Reduce, Start, SubscribeOptions, Subscription, SubscriptionState } from './subscription.ts'
export type { Token } from './token.ts'

export interface ConnectOptions {
  /** None is needed where the gateway asks for none. A function is called again when its token has expired or was revoked. */
  readonly token?: Token | undefined
  /** By default JSON; `avro`, of the module `@telltale/client/avro`, for fewer bytes. */
  readonly encoding?: Encoding | undefined
  /** In place of the platform's own. */
  readonly WebSocket?: WebSocketClass | undefined
  /** From 0 to less than 1; by default `Math.random`. */
  readonly random?: (() => number) | undefined
}

const CONNECT: Names<ConnectOptions> = { token: true, encoding: true, WebSocket: true, random: true }
const LATEST: Names<Pick<SubscribeOptions, 'fields' | 'signal'>> = { fields: true, signal: true }

/** Connects when something is asked for. `url` is where the gateway is: `https://telltale.example`, with a path if it has one. */
export function connect<S extends object = Streams>(url: string | URL, options: ConnectOptions = {}): Client<S> {
  return new Client<S>(url, options)
}

/** One filter, or up to 20: what any of them selects. */
export type Filter<F extends string> = F | readonly F[]

export class Client<S extends object = Streams> {
  readonly #url: string
  readonly #tokens: TokenSource
  readonly #http: Http
  readonly #random: () => number
  readonly #webSocket: () => Promise<WebSocketClass>
  readonly #encoding: Encoding
  readonly #decoders = new Map<Encoding, FrameDecoder>()
  readonly #connections = new Map<Connection, Encoding>()
  #isClosed = false

  /** By `connect`. */
  constructor(url: string | URL, options: ConnectOptions) {
    checkNames('connect', CONNECT, options)
    const { token, encoding, WebSocket: given, random } = options
    const base = new URL(url)
    const isSecure = base.protocol === 'https:' || base.protocol === 'wss:'
    const rest = `${base.host}${base.pathname.replace(/\/+$/, '')}`
    this.#url = `ws${isSecure ? 's' : ''}://${rest}/v1/live`
    this.#random = random ?? Math.random
    this.#tokens = new TokenSource(token)
    this.#http = new Http(`http${isSecure ? 's' : ''}://${rest}`, this.#tokens, this.#random)
    this.#webSocket = given === undefined ? findWebSocket : async () => given
    this.#encoding = encoding ?? json
  }

  /**
   * Readings as they come. They wait for the loop; when too many do, the gateway waits, and goes on where it was. After a break
   * it goes on where it was, too. The loop throws a `TelltaleError` for what would not get better; an option that there is not
   * is thrown here.
   */
  subscribe<const F extends string, const N extends FieldOf<ReadingOf<S, F>> = FieldOf<ReadingOf<S, F>>>(
    filter: Filter<F>,
    options: SubscribeOptions<N> = {},
  ): Subscription<WithFields<ReadingOf<S, F>, N>> {
    checkSubscribe(options)
    const subscription = this.#subscribe(listOf(filter), options)
    return subscription as Subscription<unknown> as Subscription<WithFields<ReadingOf<S, F>, N>>
  }

  #subscribe(filters: readonly string[], options: SubscribeOptions): LiveSubscription<unknown> {
    const subscription = new LiveSubscription<unknown>(filters, options)
    if (this.#isClosed) subscription.failed(over())
    else this.#connectionFor(subscription).join(subscription)
    return subscription
  }

  /** The last reading of each series, as it is now. Rejects when `ATTEMPTS_MAX` attempts have failed, with why the last one did. */
  async latest<const F extends string, const N extends FieldOf<ReadingOf<S, F>> = FieldOf<ReadingOf<S, F>>>(
    filter: Filter<F>,
    options: Pick<SubscribeOptions<N>, 'fields' | 'signal'> = {},
  ): Promise<WithFields<ReadingOf<S, F>, N>[]> {
    checkNames('latest', LATEST, options)
    const { fields, signal } = options
    let failures = 0
    const onState = (_: SubscriptionState, why: TelltaleError | undefined) => {
      if (why !== undefined && ++failures >= ATTEMPTS_MAX) subscription.failed(why)
    }
    const subscription = this.#subscribe(listOf(filter), { start: 'latest', fields, signal, onState })
    const readings: WithFields<ReadingOf<S, F>, N>[] = []
    for await (const event of subscription.events()) {
      if (event.type === 'readings') readings.push(...(event.readings as typeof readings))
      if (event.type === 'live') return readings
    }
    throw signal?.reason ?? over()
  }

  /** What is stored, asked for page by page as the loop takes it. */
  history<const F extends string>(filter: Filter<F>, options: HistoryOptions = {}): AsyncIterable<ReadingOf<S, F>> {
    checkHistory(options)
    return readHistory(this.#http, listOf(filter), options) as AsyncIterable<Reading> as AsyncIterable<ReadingOf<S, F>>
  }

  /** The devices that the filter selects, by default all that the token does. */
  devices(filter: Filter<string> = [], options: DevicesOptions = {}): AsyncIterable<Device> {
    checkNames('devices', DEVICES, options)
    return readDevices(this.#http, listOf(filter), options)
  }

  /** Asks a device to do something, now or when it is back; resolves with the command's id when the platform has it on disk. */
  async sendCommand(device: string, payload: unknown, options: SendCommandOptions = {}): Promise<string> {
    checkNames('sendCommand', SEND_COMMAND, options)
    return sendCommand(this.#http, device, payload, options)
  }

  /** The commands to a device and what became of them, in the order they were sent: those that are not over, and the last that are. */
  async commands(device: string, options: CommandsOptions = {}): Promise<Command[]> {
    checkNames('commands', COMMANDS, options)
    return readCommands(this.#http, device, options)
  }

  /** Takes a command back. Rejects with `command-over` if there is nothing to take back any more. */
  async cancelCommand(device: string, id: string, options: CommandsOptions = {}): Promise<Command> {
    checkNames('cancelCommand', COMMANDS, options)
    return cancelCommand(this.#http, device, id, options)
  }

  /** Ends all subscriptions. What is asked for after it, also by a loop over history that goes on, throws `over`. */
  close(): void {
    this.#isClosed = true
    this.#http.close()
    for (const connection of [...this.#connections.keys()]) connection.end()
  }

  /** One that has room and nobody who asks for the same. */
  #connectionFor(subscription: LiveSubscription<unknown>): Connection {
    const encoding = subscription.isSelective ? json : this.#encoding
    for (const [connection, its] of this.#connections) {
      if (its === encoding && connection.hasRoomFor(subscription)) return connection
    }
    const connection = new Connection({
      url: this.#url,
      subprotocol: encoding.subprotocol,
      decoder: this.#decoderOf(encoding),
      tokens: this.#tokens,
      whyRefused: (token) => this.#http.whyRefused(token),
      webSocket: this.#webSocket,
      random: this.#random,
      over: (ended) => this.#connections.delete(ended),
    })
    this.#connections.set(connection, encoding)
    return connection
  }

  #decoderOf(encoding: Encoding): FrameDecoder {
    const decoder = this.#decoders.get(encoding) ?? encoding.decoder((path) => this.#http.get(path))
    this.#decoders.set(encoding, decoder)
    return decoder
  }
}

const listOf = <F extends string>(filter: Filter<F>): readonly F[] => (typeof filter === 'string' ? [filter] : filter)
