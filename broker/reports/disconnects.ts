/**
 * Owns what is told of connections that are refused or ended, in the log and in the metrics: an engineer looks there for why a
 * device has no data.
 *
 * Always true: a connection's end is told once, whoever notices it first. What the client did is said at once; what networks
 * do every day, only in detail (`debug`). Bound: `ThrottledLines`.
 */

import type { Duplex } from 'node:stream'
import type { Logger } from '../../platform/logger.ts'
import type { BrokerMetrics, Refusal } from './metrics.ts'
import type { ThrottledLines } from './throttled-lines.ts'

/** Messages of Aedes's and mqtt-packet's errors. */
const DRAIN_TIMEOUT = 'drain timeout'
const KEEPALIVE_TIMEOUT = 'keep alive timeout'
/** An acknowledgement was due to a client that had gone. */
const CONNECTION_CLOSED = 'connection closed'
const IN_OTHER_WORDS: Readonly<Record<string, string>> = {
  'Invalid protocol version': 'an MQTT version that is not spoken here: 3.1 and 3.1.1 are',
}

/** We end a connection, for a reason that is counted. */
export class Disconnect extends Error {
  readonly reason: Refusal

  constructor(reason: Refusal, message: string) {
    super(message)
    this.reason = reason
  }
}

/** An Aedes client, or what has not become one yet. */
export interface Peer {
  readonly id: string | null
  readonly conn: Duplex
}

export interface DisconnectsDependencies {
  readonly lines: ThrottledLines
  readonly metrics: BrokerMetrics
  readonly logger: Logger
}

export class Disconnects {
  readonly #dependencies: DisconnectsDependencies
  readonly #told = new WeakSet<Peer>()

  constructor(dependencies: DisconnectsDependencies) {
    this.#dependencies = dependencies
  }

  /** Its CONNECT was refused. */
  refused(client: Peer, reason: Refusal, why: string): void {
    this.#tell(client, reason, `connection refused: ${why}`)
  }

  /** We are about to end it. */
  disconnected(client: Peer, reason: Refusal, why: string): void {
    this.#tell(client, reason, `disconnected: ${why}`)
  }

  /** It has ended with this error. */
  ended(client: Peer, error: Error): void {
    const { metrics, logger } = this.#dependencies
    if (error instanceof Disconnect) this.disconnected(client, error.reason, error.message)
    else if (error.message === DRAIN_TIMEOUT) this.disconnected(client, 'slow-client', 'it reads nothing')
    else if (!this.#told.has(client)) {
      metrics.protocolError()
      if ('code' in error || [KEEPALIVE_TIMEOUT, CONNECTION_CLOSED].includes(error.message)) {
        this.#told.add(client)
        logger.debug({ ...whoIs(client), error: error.message }, 'connection ended')
      } else this.disconnected(client, 'protocol-error', IN_OTHER_WORDS[error.message] ?? error.message)
    }
  }

  #tell(client: Peer, reason: Refusal, message: string): void {
    if (this.#told.has(client)) return
    this.#told.add(client)
    this.#dependencies.metrics.refused(reason)
    this.#dependencies.lines.say(message, { ...whoIs(client), reason })
  }
}

/** One that has not shown its client id yet is known by where it comes from. */
function whoIs(client: Peer): { client: string; from?: string } {
  const from = (client.conn as { remoteAddress?: string }).remoteAddress
  return { client: client.id ?? '', ...(from !== undefined && { from }) }
}
