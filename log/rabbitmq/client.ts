/**
 * Owns what is said to RabbitMQ, by `amqplib`, which no other file names: one connection, opened when it is needed and again after it was
 * lost, and channels on it.
 *
 *   none --channel()--> connecting --> open --lost, or an answer is overdue--> none, for RECONNECT_MS at least
 *
 * Always true: every wait ends within `ANSWER_MS`, with a `LogError` `log-unreachable` if not before; a channel that is lost says so once.
 * Beware: what no queue takes is confirmed as well, so all is published as `mandatory`, and what is returned is told.
 */

import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import { messageOf } from '../../platform/errors.ts'
import { LogError } from '../log-error.ts'
import type { NewRecord } from '../streams/streams.ts'
import type { RabbitmqOptions } from './address.ts'

/** How long one answer may take; of a server that is restarted or moves a stream, some seconds. */
export const ANSWER_MS = 15_000
/** A server that says nothing for two of these is gone. */
const HEARTBEAT_S = 5
const RECONNECT_MS = 500
const CONNECT_MS = 5_000
/** How long a connection may take to say good-bye. */
const GOODBYE_MS = 1_000

/** Where a consumer begins: at an offset of the engine, at the first or the last chunk that is kept, or at the first chunk written at a time (s). */
export type OffsetSpec = number | 'first' | 'last' | { readonly seconds: number }

/** A record as the engine has it. */
export interface Delivery {
  readonly engineOffset: number
  readonly at: number
  readonly value: Buffer
  readonly headers: Readonly<Record<string, unknown>>
  /** Acknowledging it gives the server credit for another one. */
  readonly tag: number
}

export class RabbitmqClient {
  readonly #options: RabbitmqOptions
  #opening: Promise<Connection> | undefined
  #server = 0
  #notBefore = 0
  #closed: Promise<void> | undefined

  constructor(options: RabbitmqOptions) {
    this.#options = options
  }

  /** A new channel, on which the server confirms what is published. Calls back once if it is lost, unless we close it. */
  async channel(onLost: (error: LogError) => void): Promise<RabbitmqChannel> {
    const connection = await this.#connection()
    const opened = await answered(connection.model.createConfirmChannel(), connection, 'a channel')
    return new RabbitmqChannel(opened, connection, onLost)
  }

  /** Whoever waits for something is told. What is just being opened closes itself. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const closed = this.#opening?.then((connection) => connection.close()).catch(() => undefined)
    await Promise.race([closed, pause(2 * GOODBYE_MS, undefined, { ref: false })])
  }

  #connection(): Promise<Connection> {
    if (this.#closed !== undefined) return Promise.reject(unreachable('the log is being closed'))
    this.#opening ??= this.#open().catch((error) => {
      this.#forget()
      throw error
    })
    return this.#opening
  }

  async #open(): Promise<Connection> {
    const waitMs = this.#notBefore - performance.now()
    if (waitMs > 0) await pause(waitMs)
    if (this.#closed !== undefined) throw unreachable('the log is being closed')
    const { servers, vhost, user, password, tls } = this.#options
    const server = servers[this.#server % servers.length] as (typeof servers)[number]
    const where = { hostname: server.host, port: server.port, vhost, username: user, password, heartbeat: HEARTBEAT_S }
    const settings = { noDelay: true, timeout: CONNECT_MS, ...tls }
    try {
      const model = await connect({ protocol: tls ? 'amqps' : 'amqp', ...where }, settings)
      const connection = new Connection(model, () => this.#forget())
      if (this.#closed !== undefined) await connection.close()
      return connection
    } catch (cause) {
      throw unreachable(`${server.host}:${server.port}: ${messageOf(cause)}`, cause)
    }
  }

  /** The next one is at another server, if there are several. */
  #forget(): void {
    this.#opening = undefined
    this.#server += 1
    this.#notBefore = performance.now() + RECONNECT_MS
  }
}

/** A connection from when it is open until it is lost, for whatever reason. */
class Connection {
  readonly model: ChannelModel
  #why: LogError | undefined

  constructor(model: ChannelModel, onLost: () => void) {
    this.model = model
    model.on('error', (error) => {
      this.#why ??= unreachable(messageOf(error), error)
    })
    model.on('close', () => {
      this.#why ??= unreachable('the server closed the connection')
      this.#socket.destroy()
      onLost()
    })
  }

  get why(): LogError {
    return this.#why ?? unreachable('the server closed the channel')
  }

  /** It does not answer: whoever waits for something on it is told now. */
  fail(error: LogError): void {
    this.#why ??= error
    // As if the other end had gone: the library tells all channels, and forgets none.
    this.#socket.destroy(error)
  }

  async close(): Promise<void> {
    this.#why ??= unreachable('the log is being closed')
    const closed = this.model.close().catch(() => undefined)
    await Promise.race([closed, pause(GOODBYE_MS, undefined, { ref: false })])
    this.#socket.destroy()
  }

  /** The library closes by a dialogue, which one that has stopped never answers. */
  get #socket(): Duplex {
    return (this.model.connection as unknown as { readonly stream: Duplex }).stream
  }
}

export class RabbitmqChannel {
  readonly #channel: ConfirmChannel
  readonly #connection: Connection
  readonly #onLost: (error: LogError) => void
  #onReturned: () => void = () => undefined
  #why: LogError | undefined
  #isClosing = false
  #consumers = 0

  constructor(channel: ConfirmChannel, connection: Connection, onLost: (error: LogError) => void) {
    this.#channel = channel
    this.#connection = connection
    this.#onLost = onLost
    channel.on('error', (error: Error & { readonly code?: number }) => {
      this.#why ??= errorOf(error)
    })
    channel.on('return', () => this.#onReturned())
    channel.on('close', () => {
      this.#why ??= connection.why
      if (!this.#isClosing) onLost(this.#why)
    })
  }

  /** Publishes one behind the other; resolves when the server has confirmed all. After a rejection this channel is of no use. */
  async publish(
    queue: string,
    records: readonly NewRecord[],
    headers: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const confirmed = new Promise<void>((resolve, reject) => {
      let left = records.length
      const onConfirm = (error: unknown) => {
        if (error) reject(this.#why ?? unreachable(messageOf(error), error))
        else if (--left === 0) resolve()
      }
      this.#onReturned = () => reject(new LogError('log-missing', `the queue ${queue} is no more`))
      for (const { key, value } of records) {
        const body = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
        this.#channel.publish('', queue, body, { mandatory: true, messageId: key, headers }, onConfirm)
      }
    })
    await this.#answer(confirmed, `what was published to ${queue}`)
  }

  /** Calls back for each record, in order. At most `credit` that are not acknowledged, and the rest of a chunk. */
  async consume(
    queue: string,
    from: OffsetSpec,
    credit: number,
    onDelivery: (delivery: Delivery) => void,
  ): Promise<void> {
    await this.#answer(this.#channel.prefetch(credit), 'a prefetch')
    const offset = typeof from === 'object' ? { '!': 'timestamp', value: from.seconds } : from
    const onMessage = (message: ConsumeMessage | null) => {
      if (message !== null) onDelivery(deliveryOf(message))
      else this.#lose(unreachable(`${queue} was deleted, or has moved`))
    }
    // The server may send the first records before it says that there is a consumer, and the library ends a channel for one it does not know.
    const early = this.#channel as unknown as { registerConsumer(tag: string, onMessage: unknown): void }
    const consumerTag = `${++this.#consumers}`
    early.registerConsumer(consumerTag, onMessage)
    const options = { consumerTag, arguments: { 'x-stream-offset': offset } }
    await this.#answer(this.#channel.consume(queue, onMessage, options), `a consumer of ${queue}`)
  }

  /** All up to that one. */
  acknowledge(tag: number): void {
    if (this.#why === undefined) this.#channel.ack({ fields: { deliveryTag: tag } } as ConsumeMessage, true)
  }

  /** Resolves when the server has done all that it was told on this channel before. */
  async settled(): Promise<void> {
    await this.#answer(this.#channel.prefetch(1), 'a prefetch')
  }

  /** Whether there is a queue of that name, of whatever kind. After false this channel is of no use. */
  async hasQueue(queue: string): Promise<boolean> {
    try {
      await this.#answer(this.#channel.checkQueue(queue), `the queue ${queue}`)
      return true
    } catch (error) {
      if (isCode(error, NOT_FOUND)) return false
      throw error
    }
  }

  /** Makes a stream; one that is there must have these arguments. Rejects with `log-unsafe` if it has others. */
  async declareStream(queue: string, copies: number): Promise<void> {
    const declared = this.#channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'stream', 'x-initial-cluster-size': copies },
    })
    try {
      await this.#answer(declared, `the queue ${queue}`)
    } catch (error) {
      if (!isCode(error, PRECONDITION_FAILED)) throw error
      throw new LogError('log-unsafe', `${queue} is no stream, or may lose what is not read: ${messageOf(error)}`)
    }
  }

  /** A queue that goes with its connection, and that nobody else can have meanwhile. */
  async declareExclusive(queue: string): Promise<void> {
    await this.#answer(this.#channel.assertQueue(queue, { exclusive: true, durable: false }), `the queue ${queue}`)
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.#answer(this.#channel.deleteQueue(queue), `the queue ${queue}`)
  }

  /** Whoever waits for something on it is told why. Idempotent. */
  close(why: LogError = unreachable('the channel was closed')): void {
    if (this.#isClosing || this.#why !== undefined) return
    this.#isClosing = true
    this.#why = why
    this.#channel.close().catch(() => undefined)
  }

  #lose(why: LogError): void {
    this.close(why)
    this.#onLost(why)
  }

  #answer<T>(answer: Promise<T>, what: string): Promise<T> {
    return answered(answer, this.#connection, what, () => this.#why)
  }
}

const NOT_FOUND = 404
const RESOURCE_LOCKED = 405
const PRECONDITION_FAILED = 406

/** What a server that closes a channel says of it. */
const CODES: Readonly<Record<number, string>> = {
  [NOT_FOUND]: 'log-missing',
  [RESOURCE_LOCKED]: 'log-locked',
}

function errorOf(error: Error & { readonly code?: number }): LogError {
  return new LogError(CODES[error.code ?? 0] ?? 'log-unreachable', `RabbitMQ says: ${error.message}`, { cause: error })
}

/** Whether the server said that number; left out: any. */
function isCode(error: unknown, code?: number): boolean {
  const said = error instanceof LogError ? error.cause : error
  const number = (said as { readonly code?: unknown } | undefined)?.code
  return typeof number === 'number' && (code === undefined || number === code)
}

export function unreachable(why: string, cause?: unknown): LogError {
  return new LogError('log-unreachable', `RabbitMQ cannot be reached: ${why}`, { cause })
}

/** The answer, or why there is none; a server that owes one for too long is left. */
async function answered<T>(
  answer: Promise<T>,
  connection: Connection,
  what: string,
  why: () => LogError | undefined = () => undefined,
): Promise<T> {
  const timer = setTimeout(() => {
    connection.fail(unreachable(`${what} was not answered within ${ANSWER_MS} ms`))
  }, ANSWER_MS)
  try {
    return await answer
  } catch (error) {
    if (error instanceof LogError) throw error
    throw isCode(error) ? errorOf(error as Error) : (why() ?? connection.why)
  } finally {
    clearTimeout(timer)
  }
}

function deliveryOf({ content, fields, properties }: ConsumeMessage): Delivery {
  const headers = properties.headers ?? {}
  return {
    engineOffset: Number(headers['x-stream-offset']),
    at: Number(headers.at),
    value: content,
    headers,
    tag: fields.deliveryTag,
  }
}
