/**
 * Owns the gateway's server on `node:http` and `ws`, for where uWebSockets.js cannot be loaded. Its bounds and times are
 * those of the other; who breaks the WebSocket protocol is told the code for it (1002, 1007, 1009) and cut.
 */

import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket as Connection } from 'node:net'
import { WebSocketServer } from 'ws'
import { readCertificate } from '../../../platform/certificate-watch.ts'
import { messageOf } from '../../../platform/errors.ts'
import { HTTP_HEAD_BYTES_MAX, HTTP_IDLE_SECONDS_MAX, LIVE_COMMAND_BYTES_CUT } from '../../../platform/limits.ts'
import type { Silent } from '../connections.ts'
import {
  type Frame,
  type MakeServer,
  type Server,
  ServerError,
  type ServerHandlers,
  type ServerOptions,
  type SocketListener,
} from '../server.ts'
import { Topics } from '../topics.ts'
import { addressOf, NodeExchange, NodeUpgradeExchange, responseOn } from './exchange.ts'
import { bytesOf, type FrameBytes, NodeSocket } from './socket.ts'

/** How often requests that take too long are looked for. */
const HTTP_CHECK_MS = 2_000

const HTTP_OPTIONS = {
  maxHeaderSize: HTTP_HEAD_BYTES_MAX,
  headersTimeout: HTTP_IDLE_SECONDS_MAX * 1000,
  requestTimeout: HTTP_IDLE_SECONDS_MAX * 1000,
  keepAliveTimeout: HTTP_IDLE_SECONDS_MAX * 1000,
  connectionsCheckingInterval: HTTP_CHECK_MS,
}

export const makeServer: MakeServer = (options, handlers) => new NodeServer(options, handlers)

class NodeServer implements Server {
  readonly #options: ServerOptions
  readonly #handlers: ServerHandlers
  readonly #http: HttpServer
  readonly #webSockets: WebSocketServer
  readonly #topics = new Topics<FrameBytes>()
  /** All there are, those of WebSockets too. */
  readonly #connections = new Set<Connection>()
  /** Those without a request so far, by `peerOf`. */
  readonly #silent = new Map<string, Silent>()
  /** The requests of a connection that are being answered. */
  readonly #underWay = new WeakMap<Connection, Set<NodeExchange>>()
  /** For the upgrade that is being made: `ws` asks within the call. */
  #subprotocol = ''

  constructor(options: ServerOptions, handlers: ServerHandlers) {
    this.#options = options
    this.#handlers = handlers
    this.#http = makeHttpServer(options.tls)
    this.#http.on('connection', (connection: Connection) => this.#take(connection))
    this.#http.on('clientError', (error: NodeJS.ErrnoException, connection: Connection) => {
      // What is being answered must not have another answer in its midst.
      if (this.#isAnswering(connection)) connection.destroy()
      else refuseMalformed(error, connection)
    })
    // In a handshake there is nobody to tell.
    this.#http.on('tlsClientError', (_error: Error, connection: Connection) => connection.destroy())
    this.#http.on('request', (request, response) => {
      this.#spoke(request)
      const exchange = new NodeExchange(request, response, options.connections)
      this.#track(exchange, request, response)
      handlers.request(exchange)
    })
    this.#http.on('upgrade', (request, connection, head) => this.#upgrade(request, connection as Connection, head))
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: LIVE_COMMAND_BYTES_CUT,
      perMessageDeflate: false,
      autoPong: false, // `NodeSocket` does, within its bound.
      handleProtocols: () => (this.#subprotocol === '' ? false : this.#subprotocol),
    })
  }

  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const failed = (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EADDRINUSE' ? 'it may be taken by another process' : messageOf(cause)
        reject(new ServerError('listen-failed', `cannot listen on ${host}:${port}: ${why}`, { cause }))
      }
      this.#http.once('error', failed)
      this.#http.listen(port, host, () => {
        this.#http.off('error', failed)
        this.#http.on('error', this.#handlers.troubled)
        resolve((this.#http.address() as AddressInfo).port)
      })
    })
  }

  publish(topic: string, frame: Frame): void {
    this.#topics.publish(topic, () => bytesOf(frame))
  }

  renewCertificate(): void {
    const { tls } = this.#options
    if (tls !== undefined) (this.#http as HttpsServer).setSecureContext(readFiles(tls))
  }

  close(): void {
    this.#http.close()
    for (const connection of this.#connections) connection.destroy()
  }

  /** Node tells every request to upgrade here, to whatever and wherever; what is none of ours is answered as a request. */
  #upgrade(request: IncomingMessage, connection: Connection, head: Buffer): void {
    this.#spoke(request)
    // Until `ws` has it, nobody else listens.
    connection.on('error', () => undefined)
    // Node tells it at once, also while a request before it is being answered on the same connection.
    if (this.#isAnswering(connection)) {
      connection.destroy()
      return
    }
    const { response, release } = responseOn(request)
    const { connections } = this.#options
    if (!isForWebSocket(request, this.#options.webSocketPath)) {
      const exchange = new NodeExchange(request, response, connections)
      this.#track(exchange, request, response)
      this.#handlers.request(exchange)
      return
    }
    const upgrade = (subprotocol: string, listener: SocketListener) => {
      release()
      this.#underWay.get(connection)?.delete(exchange)
      this.#subprotocol = subprotocol
      this.#webSockets.handleUpgrade(request, connection, head, (socket) => {
        new NodeSocket(socket, connection, listener, this.#topics)
      })
    }
    const exchange: NodeUpgradeExchange = new NodeUpgradeExchange(request, response, connections, upgrade)
    this.#track(exchange, request, response)
    this.#handlers.upgrade(exchange)
  }

  /** By TLS a request comes on another object than the connection did, so both are known by the peer's address and port. */
  #take(connection: Connection): void {
    const { connections } = this.#options
    this.#connections.add(connection)
    const cut = () => connection.destroy()
    const silent = connections.opened(addressOf(connection), cut)
    const peer = peerOf(connection)
    if (silent) this.#silent.set(peer, silent)
    connection.once('close', () => {
      this.#connections.delete(connection)
      if (silent && this.#silent.get(peer) === silent) this.#silent.delete(peer)
      if (silent) connections.spoke(silent)
      connections.closed()
    })
    if (silent === undefined) cut()
  }

  #spoke({ socket }: IncomingMessage): void {
    const peer = peerOf(socket)
    const silent = this.#silent.get(peer)
    if (silent) this.#options.connections.spoke(silent)
    this.#silent.delete(peer)
  }

  #isAnswering(connection: Connection): boolean {
    return (this.#underWay.get(connection)?.size ?? 0) > 0
  }

  /** Tells an exchange when it is over. */
  #track(exchange: NodeExchange, { socket }: IncomingMessage, response: ServerResponse): void {
    const known = this.#underWay.get(socket)
    const underWay = known ?? new Set()
    if (known === undefined) {
      this.#underWay.set(socket, underWay)
      socket.once('close', () => {
        for (const each of underWay) each.over()
      })
    }
    underWay.add(exchange)
    response.once('close', () => {
      underWay.delete(exchange)
      exchange.over()
    })
  }
}

const peerOf = (connection: Connection) => `${connection.remoteAddress} ${connection.remotePort}`

/** What Node's parser or its clocks refuse: by default a bare status line. */
function refuseMalformed({ code = '' }: NodeJS.ErrnoException, connection: Connection): void {
  if (!connection.writable || code === 'ECONNRESET') {
    connection.destroy()
    return
  }
  const [status, message] = MALFORMED[code] ?? BAD_REQUEST
  const body = JSON.stringify({ error: { code: 'bad-request', message } })
  const headers = `Connection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}`
  connection.write(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`)
  connection.destroySoon()
}

type Malformed = readonly [status: string, message: string]

const BAD_REQUEST: Malformed = ['400 Bad Request', 'this is no HTTP request, or its target is not percent-encoded']
const MALFORMED: Readonly<Record<string, Malformed>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', `a head has at most ${HTTP_HEAD_BYTES_MAX} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', `a request is whole within ${HTTP_IDLE_SECONDS_MAX} s`],
}

/** Sixteen bytes in base64 (RFC 6455 section 4.1). */
const KEY = /^[+/0-9A-Za-z]{22}==$/

/** Whether it asks for a WebSocket where there are some. */
function isForWebSocket({ method, url = '', headers }: IncomingMessage, path: string): boolean {
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return false
  return KEY.test(headers['sec-websocket-key'] ?? '') && (url === path || url.startsWith(`${path}?`))
}

function makeHttpServer(tls: ServerOptions['tls']): HttpServer {
  if (tls === undefined) return createServer(HTTP_OPTIONS)
  return createSecureServer({
    ...HTTP_OPTIONS,
    handshakeTimeout: HTTP_IDLE_SECONDS_MAX * 1000,
    ...readFiles(tls),
  })
}

function readFiles({ certFile, keyFile }: { readonly certFile: string; readonly keyFile: string }) {
  try {
    const { cert, key } = readCertificate({ cert: certFile, key: keyFile })
    return { cert, key }
  } catch (cause) {
    throw new ServerError('listen-failed', messageOf(cause), { cause })
  }
}
