/**
 * Owns the sockets on which clients connect: MQTT over TCP, over TLS, and over WebSocket (subprotocol `mqtt`, MQTT 3.1.1
 * section 6). Each is on or off by settings.
 *
 * Bounds: `connectionsMax` over all of them, and `ConnectThrottle`, for which `CONNECTS_WAITING_MAX` wait; one more is closed at
 * once and counted. Of one that waits nothing is read, but 64 KiB of an upgrade, or behind a PROXY header. A TLS handshake and a WebSocket upgrade have
 * to be done `CONNECT_TIMEOUT_MS` after they may begin, as a CONNECT has.
 */

import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { type CertificateFiles, type Pems, readCertificate } from '../../platform/certificate-watch.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, TelltaleError } from '../../platform/errors.ts'
import { openFilesMax } from '../../platform/files.ts'
import { CONNECT_TIMEOUT_MS, CONNECTIONS_MAX, FILES_FOR_CLIENTS_RATIO } from '../../platform/limits.ts'
import { hasConnack } from '../aedes/internals.ts'
import type { Disconnects } from '../reports/disconnects.ts'
import { ConnectThrottle } from './connect-throttle.ts'
import { whyNoTls, whyUnverified } from './handshakes.ts'
import { ProxyHeaders } from './proxy-headers.ts'
import { readIntoShared } from './shared-buffer.ts'
import { acceptWebSockets } from './web-sockets.ts'

/** Those that wait for their address, of all; one more is closed at once. */
const CONNECTS_WAITING_MAX = 4_000
/** Sockets, and their share of all, that are left to those who will be refused because there are as many clients as can be. */
const REFUSALS_MAX = 100
const REFUSALS_RATIO = 0.01
/** Silence on a TCP connection after which the peer is asked whether it is there. */
const TCP_KEEPALIVE_MS = 60_000

/** `cannot-listen`: the address is taken or not ours. */
export class ListenError extends TelltaleError {}

/** How often half-sent upgrade requests are looked for. */
const UPGRADES_CHECKED_MS = 1_000
/** A peer that is gone without a word is found by TCP, where the client has no keep alive. */
const SOCKETS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS }
/** Who waits begins at a multiple of this, with others: Node keeps a list for each time that its timers have. */
const WAIT_STEP_MS = 20
/** Nothing is read of a connection before somebody listens for `readable`. (`resume()` would lose what comes before that.) */
const UNREAD = { pauseOnConnect: true }

/** Sockets at once: as many as files may be open for. */
export function connectionsMax(): number {
  return Math.min(CONNECTIONS_MAX + REFUSALS_MAX, Math.floor(openFilesMax() * FILES_FOR_CLIENTS_RATIO))
}

/** How many of them may be clients. By the others, who is one too many can be told so. */
export function clientsMax(connections: number): number {
  return connections - Math.min(REFUSALS_MAX, Math.ceil(connections * REFUSALS_RATIO))
}

export interface ListenerOptions {
  readonly host: string
  /** MQTT over TCP; undefined where only TLS is allowed. */
  readonly port: number | undefined
  readonly tlsPort: number | undefined
  readonly webSocketPort: number | undefined
  readonly tls: CertificateFiles | undefined
  /** Whether WebSockets of pages from elsewhere are refused: where no token keeps them out. */
  readonly refuseForeign?: boolean
  /** Each connection begins with a PROXY header. */
  readonly proxyProtocol?: boolean
}

export interface ListenersOptions extends ListenerOptions {
  readonly connectionsMax: number
}

export interface ListenerHandlers {
  /** By `socket` came what `stream` carries: they differ for a WebSocket. */
  readonly accept: (stream: Duplex, socket: Duplex) => void
  readonly delayed: () => void
}

export interface Address {
  readonly scheme: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  readonly host: string
  readonly port: number
}

export class Listeners {
  readonly #options: ListenersOptions
  readonly #handlers: ListenerHandlers
  readonly #disconnects: Disconnects
  readonly #servers: Server[] = []
  readonly #tlsServers: TlsServer[] = []
  readonly #streams = new Set<Duplex>()
  /** All that were taken, a handshake or an upgrade not being done yet. */
  readonly #sockets = new Set<Socket>()
  readonly #rate = new ConnectThrottle()
  #waiting = 0
  /** Of all sockets: with a crowd, each a function of its own would be many. */
  readonly #forget: (this: Socket) => void
  readonly #clock: Clock
  readonly addresses: Address[] = []

  constructor(
    options: ListenersOptions,
    {
      clock,
      disconnects,
      ...handlers
    }: ListenerHandlers & { readonly clock: Clock; readonly disconnects: Disconnects },
  ) {
    const sockets = this.#sockets
    this.#forget = function () {
      sockets.delete(this)
    }
    this.#clock = clock
    this.#disconnects = disconnects
    this.#options = options
    this.#handlers = handlers
  }

  /** Listens on all that is on. Rejects with a `ListenError`; what listened already is closed again. */
  async start(): Promise<void> {
    const { port, tlsPort, webSocketPort, tls } = this.#options
    const accept = (stream: Duplex, socket: Duplex) => this.#accept(stream, socket)
    const pems = tls && readCertificate(tls)
    try {
      // Half-open: a client that ends its side has still sent what it has sent.
      if (port !== undefined) {
        const server = createTcpServer({ ...UNREAD, allowHalfOpen: true }, (socket) => {
          // Not before it may begin: of a crowd that waits, each would cost two system calls more.
          socket.setNoDelay(SOCKETS.noDelay).setKeepAlive(SOCKETS.keepAlive, SOCKETS.keepAliveInitialDelay)
          if (!this.#options.proxyProtocol) readIntoShared(socket)
          accept(socket, socket)
        })
        await this.#listen(server, 'mqtt', port)
      }
      if (tlsPort !== undefined && pems !== undefined) {
        const server = createTlsServer({ ...tlsOptions(pems), ...SOCKETS, ...UNREAD }, (socket) => {
          // Half-open from here on: whoever ends its side during the handshake has gone.
          socket.allowHalfOpen = true
          accept(socket, socket)
        })
        this.#watchHandshakes(server)
        await this.#listen(server, 'mqtts', tlsPort)
      }
      if (webSocketPort !== undefined) {
        const options = { connectionsCheckingInterval: UPGRADES_CHECKED_MS }
        const server =
          pems === undefined ? createHttpServer(options) : createHttpsServer({ ...tlsOptions(pems), ...options })
        if (pems !== undefined) this.#watchHandshakes(server as HttpsServer)
        const refuseForeign = this.#options.refuseForeign === true
        acceptWebSockets(server, { accept, disconnects: this.#disconnects, refuseForeign })
        await this.#listen(server, tls === undefined ? 'ws' : 'wss', webSocketPort)
      }
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Has new connections served by this certificate, and their clients checked by these authorities. */
  renewCertificate(pems: Pems): void {
    for (const server of this.#tlsServers) server.setSecureContext(pems)
  }

  /** Accepts nobody any more; connections that are open stay with the broker, what never became a client is ended. */
  async stop(): Promise<void> {
    const closing = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))
    // A server that is closing waits for its sockets, and Node's stops looking for half-sent upgrades.
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closing)
  }

  #watchHandshakes(server: TlsServer): void {
    this.#tlsServers.push(server)
    // Node would end who is not verified without a word of who it was.
    const listeners = server.listeners('secureConnection')
    server.removeAllListeners('secureConnection')
    server.on('secureConnection', (socket: TLSSocket) => {
      const refusal = this.#options.tls?.ca === undefined ? undefined : whyUnverified(socket)
      if (refusal !== undefined) this.#disconnects.end(socket.on('error', ignore), refusal)
      else for (const listener of listeners) listener.call(server, socket)
    })
    // Node tells of a handshake that failed or took too long, and leaves the socket open.
    server.on('tlsClientError', (error, socket: TLSSocket) => {
      this.#disconnects.ended(socket, whyNoTls(error))
      socket.destroy()
    })
  }

  #accept(stream: Duplex, socket: Duplex): void {
    // Errors come to the broker's own listener too; a stream that is ended here has only this one.
    stream.on('error', ignore)
    if (stream.destroyed) return
    if (this.#streams.size >= this.#options.connectionsMax) {
      this.#disconnects.turnAway(stream, 'too-many-connections')
      return
    }
    this.#streams.add(stream)
    const address = stream instanceof Socket ? addressOf(stream) : undefined
    this.#handlers.accept(stream, socket)
    stream.once('close', () => {
      this.#streams.delete(stream)
      if (address === undefined || hasConnack(stream)) return
      this.#rate.failed(this.#clock.now(), address, (stream as Socket).bytesRead)
    })
  }

  /** Stands before anything that a server does with a socket, a TLS handshake too. */
  #limitRate(socket: Socket, begin: (socket: Socket) => void): void {
    const waitMs = this.#rate.wait(this.#clock.now(), addressOf(socket))
    // However many wait, who need not is taken.
    if (waitMs === undefined || (waitMs > 0 && this.#waiting >= CONNECTS_WAITING_MAX)) {
      this.#disconnects.turnAway(socket, 'too-many-connects')
      return
    }
    this.#hold(socket)
    if (waitMs === 0) {
      begin(socket)
      return
    }
    this.#handlers.delayed()
    this.#waiting++
    socket.on('error', ignore)
    setTimeout(this.#endWait, Math.ceil(waitMs / WAIT_STEP_MS) * WAIT_STEP_MS, socket, begin).unref()
  }

  #hold(socket: Socket): void {
    if (this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    socket.on('close', this.#forget)
  }

  readonly #endWait = (socket: Socket, begin: (socket: Socket) => void): void => {
    this.#waiting--
    // An end that came while nobody listened is not told again.
    if (socket.readableEnded) socket.destroy()
    else if (!socket.destroyed) begin(socket)
  }

  async #listen(server: Server, scheme: Address['scheme'], port: number): Promise<void> {
    const { host } = this.#options
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        reject(new ListenError('cannot-listen', `cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause }))
      })
      server.listen({ host, port, backlog: 4096 }, resolve)
    })
    // Before a handshake or an upgrade: what never becomes an MQTT client counts, too.
    server.maxConnections = this.#options.connectionsMax
    server.on('drop', () => this.#disconnects.turnAway(undefined, 'too-many-connections'))
    const listeners = server.listeners('connection')
    server.removeAllListeners('connection')
    const begin = (socket: Socket) => {
      for (const listener of listeners) listener.call(server, socket)
    }
    if (this.#options.proxyProtocol) {
      const headers = new ProxyHeaders(this.#disconnects)
      server.prependListener('secureConnection', (socket: Socket) => headers.name(socket))
      server.prependListener('tlsClientError', (_error: Error, socket: Socket) => headers.name(socket))
      server.on('connection', (socket: Socket) => {
        this.#hold(socket)
        headers.read(socket, () => this.#limitRate(socket, begin))
      })
    } else server.on('connection', (socket: Socket) => this.#limitRate(socket, begin))
    this.#servers.push(server)
    this.addresses.push({ scheme, host, port: (server.address() as AddressInfo).port })
  }
}

function ignore(): void {}

function addressOf(socket: Socket): string {
  return socket.remoteAddress ?? ''
}

function tlsOptions(pems: Pems) {
  const options = { ...pems, handshakeTimeout: CONNECT_TIMEOUT_MS }
  return pems.ca === undefined ? options : { ...options, requestCert: true, rejectUnauthorized: false }
}
