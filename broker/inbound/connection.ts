/**
 * Owns what belongs to one connection, from when its CONNECT is whole until it is gone: the way its bytes come in, and its
 * session once it is known whose it is. It hears of the connection's stream in Aedes's place.
 *
 * Always true: the functions that listen are shared by all connections. Each of its own, with what it remembers, is 0.2 KiB, and
 * there were a dozen. Aedes notes its client at the stream, and here the connection is noted at the client: a look-up of nothing, for
 * it is asked for each message.
 */

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import type { Session } from '../session/session.ts'
import type { Inbound } from './inbound.ts'

/** Told on a stream of which more has come than can be read yet: a WebSocket gives a frame when it is whole. */
export const PROGRESS = 'progress'

type Noted = Client & { connection?: Connection }
type OfClient = Duplex & { readonly client: Noted }

export class Connection {
  readonly inbound: Inbound
  /** From the authentication on. */
  session: Session | undefined
  /** Its CONNECT has been answered, or will not be. */
  readonly #answered: (client: Client) => void
  #hasEnded = false
  #hasConnack = false

  /** Listens to the stream of a client that was detached from it. */
  constructor(inbound: Inbound, answered: (client: Client) => void) {
    this.inbound = inbound
    this.#answered = answered
    const noted: Noted = inbound.client
    noted.connection = this
    const conn = noted.conn as OfClient
    conn.on('end', onEnd).on('error', onError).on('close', onClose).on(PROGRESS, onProgress)
  }

  /** The CONNACK has been sent. */
  connected(client: Client): void {
    this.#answered(client)
    this.#hasConnack = true
    if (this.inbound.isHeld) return
    this.inbound.connected()
    if (this.#hasEnded) client.close()
  }

  /** It is known which connection of its device this is: what was sent behind the CONNECT may be looked at. */
  letGo(client: Client): void {
    this.inbound.isHeld = false
    if (this.#hasConnack && !client.closed) this.connected(client)
  }

  /**
   * A client that closes its end right behind CONNECT and PUBLISH, as the specification allows (section 3.1.4), has sent
   * them: Aedes closed the connection while the CONNECT had not been looked at yet, and the messages were lost. (A WebSocket has
   * no such end: its close is that of both sides, RFC 6455 section 7.)
   */
  ended(client: Client): void {
    if (client.connecting || this.inbound.isHeld) this.#hasEnded = true
    else client.close()
  }

  closed(client: Client): void {
    client.close()
    this.#answered(client)
    this.inbound.closed()
    this.session?.end()
  }
}

export function connectionOf(client: Client): Connection | undefined {
  return (client as Noted).connection
}

function onProgress(this: OfClient): void {
  this.client.connection?.inbound.heard()
}

function onEnd(this: OfClient): void {
  this.client.connection?.ended(this.client)
}

function onError(this: OfClient, error: Error): void {
  this.client.emit('error', error)
}

function onClose(this: OfClient): void {
  this.client.connection?.closed(this.client)
}
