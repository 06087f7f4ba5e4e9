/**
 * Owns the end of connections: whoever of us ends one does it here, and whatever else ends one is told here. The log and the
 * metrics are where an engineer looks for why a device has no data.
 *
 *   ours:     end(client or stream, Disconnect) --> told --> Aedes's client or the stream ends
 *   foreign:  a client or the network ends it, or Aedes does --> ended(client, error) --> told
 *
 * A client that can be told itself (MQTT 5) has a farewell, which is said before what ends here does.
 *
 * Always true: a connection ends for one reason, and it is told and counted once, whoever notices it first. What the client did
 * is said at once; what networks do every day, and what is no fault of the client, only in detail (`debug`). A socket that is
 * turned away before it is anybody's connection is counted and not told: of a crowd there would be a line each.
 * Bound: `ThrottledLines`.
 */

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import type { ThrottledLines } from '../../intake/throttled-lines.ts'
import type { Logger } from '../../platform/logger.ts'
import type { BrokerMetrics, Refusal } from './metrics.ts'

/** How long a connection that was said why it ends may take to end. */
const LINGER_MS = 1_000

/** Messages of errors of Aedes's and mqtt-packet's; the second is said in its place. */
const DRAIN_TIMEOUT = 'drain timeout'
export const KEEPALIVE_TIMEOUT = 'keep alive timeout'
/** An acknowledgement was due to a client that had gone. */
export const CONNECTION_CLOSED = 'connection closed'
const IN_OTHER_WORDS: Readonly<Record<string, string>> = {
  'Invalid protocol version': 'an MQTT version that is not spoken here: 3.1, 3.1.1 and 5 are',
}

/** Why a connection ends. The message is for the log. */
export class Disconnect extends Error {
  /** `taken-over`: another connection with its client id takes its place, which is no refusal and is counted apart. */
  readonly reason: Refusal | 'taken-over'
  /** What the line in the log begins with. */
  readonly what: string = 'disconnected'
  /** What a client of MQTT 5 is told, if that says more than `reason`. */
  readonly reasonCode: number | undefined

  constructor(reason: Disconnect['reason'], message: string, reasonCode?: number) {
    super(message)
    this.reason = reason
    this.reasonCode = reasonCode
  }
}

/** An Aedes client; before it is one, the stream that it will read from. */
export type Peer = Client | Duplex

export interface DisconnectsDependencies {
  readonly lines: ThrottledLines
  readonly metrics: BrokerMetrics
  readonly logger: Logger
}

export class Disconnects {
  readonly #dependencies: DisconnectsDependencies
  readonly #told = new WeakMap<Duplex, Error>()
  /** Of connections that can be told why they end; what is said must be on its way when it returns. */
  readonly farewells = new WeakMap<Duplex, (error: Error) => void>()

  constructor(dependencies: DisconnectsDependencies) {
    this.#dependencies = dependencies
  }

  /** Ends a connection at once: nothing that it has sent is looked at any more. */
  end(peer: Peer, error: Error): void {
    this.sayFarewell(peer, error)
    this.ended(peer, error)
    // Aedes lets go of its client, sees to the will, and calls `ended` again.
    if (isClient(peer)) peer.emit('error', error)
    else peer.destroy()
  }

  /** Tells a client that can be told so why its connection is about to end; once. */
  sayFarewell(peer: Peer, error: Error): void {
    const stream = streamOf(peer)
    const farewell = this.#told.has(stream) ? undefined : this.farewells.get(stream)
    if (farewell === undefined) return
    this.farewells.delete(stream)
    farewell(error)
    linger(stream)
  }

  /** A connection has ended with this error, or Aedes is about to end it. */
  ended(peer: Peer, error: Error): void {
    const stream = streamOf(peer)
    if (this.#told.has(stream)) return
    this.#told.set(stream, error)
    const { metrics, logger, lines } = this.#dependencies
    const told = asDisconnect(error)
    if (told === undefined || told.reason === 'protocol-error') metrics.protocolError()
    if (told === undefined) {
      logger.debug({ ...whoIs(peer, stream), error: error.message }, 'connection ended')
      return
    }
    if (told.reason === 'taken-over') metrics.takenOver()
    else metrics.refused(told.reason)
    lines.say(`${told.what}: ${told.message}`, { ...whoIs(peer, stream), reason: told.reason })
  }

  /** What ended a connection; undefined of one that ended without an error. */
  whyEnded(peer: Peer): Error | undefined {
    return this.#told.get(streamOf(peer))
  }

  /** One socket too many; undefined where Node has closed it already. */
  turnAway(socket: Duplex | undefined, reason: 'too-many-connections' | 'too-many-connects'): void {
    this.#dependencies.metrics.refused(reason)
    socket?.destroy()
  }
}

function isClient(peer: Peer): peer is Client {
  return 'conn' in peer
}

function streamOf(peer: Peer): Duplex {
  return isClient(peer) ? (peer.conn as Duplex) : peer
}

/**
 * Has a stream that is about to be destroyed end first. One that is destroyed with bytes unread resets its connection, and the peer,
 * which is still sending, may not find what was said last. What it sends meanwhile is thrown away.
 */
function linger(stream: Duplex): void {
  const { destroy } = stream
  let timer: NodeJS.Timeout | undefined
  const end = (error?: Error): Duplex => {
    clearTimeout(timer)
    stream.destroy = destroy
    return stream.destroy(error)
  }
  stream.destroy = (error) => {
    if (stream.readableEnded || (error !== undefined && 'syscall' in error)) return end(error)
    if (timer !== undefined) return stream
    timer = setTimeout(end, LINGER_MS)
    stream.once('end', end)
    stream.end()
    // Those who read it let go of it within this turn.
    setImmediate(() => stream.resume())
    return stream
  }
}

/** Undefined for what networks do every day, and for a log that takes nothing: that is told where it is known. */
function asDisconnect(error: Error): Disconnect | undefined {
  if (error instanceof Disconnect) return error
  const { message } = error
  if (message === DRAIN_TIMEOUT) return new Disconnect('slow-client', 'it reads nothing')
  if ('code' in error || message === KEEPALIVE_TIMEOUT || message === CONNECTION_CLOSED) return undefined
  return new Disconnect('protocol-error', IN_OTHER_WORDS[message] ?? message)
}

/** Where a client comes from; empty for one that has gone. */
export const addressOf = ({ conn }: Client): string => (conn as { remoteAddress?: string }).remoteAddress ?? ''

/** One that has not shown its client id yet is known by where it comes from. */
function whoIs(peer: Peer, stream: Duplex): { client: string; from?: string } {
  const from = (stream as { remoteAddress?: string }).remoteAddress
  return { client: (isClient(peer) && peer.id) || '', ...(from !== undefined && { from }) }
}
