/**
 * Owns the gateway's server on uWebSockets.js. Frames are published once to a topic of the library, which writes them to all
 * sockets: 2M deliveries a second were measured so, against 125k by sending to each.
 *
 * On the main thread only: in a worker thread the library aborted the process at exit. What it does of its own accord: it ends
 * connections that are idle for 10 s or so, takes a large head that comes in one piece, refuses HTTP/1.0 with 505, and cuts
 * who breaks the WebSocket protocol without the code for it. It tells of a connection before the first byte, but not on which one
 * a request then comes (`Connections`).
 *
 * Text is handed over as bytes: given a string, its build for Node 24 sends `é` as one byte, which is no UTF-8 (tried, 3.0.6).
 */

import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
} from 'uWebSockets.js'
import { LIVE_BACKPRESSURE_BYTES_MAX, LIVE_COMMAND_BYTES_CUT } from '../../../platform/limits.ts'
import type { Connections, Silent } from '../connections.ts'
import {
  type Frame,
  type MakeServer,
  type Server,
  ServerError,
  type ServerHandlers,
  type ServerOptions,
} from '../server.ts'
import { peerOf, UwsExchange } from './exchange.ts'
import { uWS } from './library.ts'
import type { UserData } from './socket.ts'

/** The library takes 8 to 960. */
const FORGOTTEN_SECONDS = 240
/** Of the certificates of before, with that in force; for one more, the connections of the oldest are cut. */
const APPS_MAX = 4
/** By default two processes may share a port, and each get some of the connections. */
const EXCLUSIVE_PORT = 1
/** The options after host and port are taken too, though the library's types do not say so (tried on 20.x). */
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void

export const makeServer: MakeServer = (options, handlers) => new UwsServer(options, handlers)

class UwsServer implements Server {
  readonly #options: ServerOptions
  readonly #handlers: ServerHandlers
  /** The last one listens; those before it had the certificates of before, and keep their connections. */
  readonly #apps: TemplatedApp[] = []
  #listening: us_listen_socket | undefined
  #host = ''
  #port = 0

  constructor(options: ServerOptions, handlers: ServerHandlers) {
    this.#options = options
    this.#handlers = handlers
    this.#apps.push(this.#makeApp())
  }

  async listen(host: string, port: number): Promise<number> {
    this.#host = host
    this.#port = port
    this.#listen()
    if (port === 0 && this.#options.tls !== undefined) {
      // A port that the system has chosen cannot be listened on again while there are connections; one that was named can.
      uWS.us_listen_socket_close(this.#requireListening())
      this.#listen()
    }
    return this.#port
  }

  publish(topic: string, { data }: Frame): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    for (const app of this.#apps) app.publish(topic, bytes, typeof data !== 'string')
  }

  /**
   * The library takes a certificate when an app is made, and none later but for a name that the client must send (`addServerName`;
   * who connects by an address sends none). So another app takes over the port, within this call: a connection that comes in
   * this moment is refused.
   */
  renewCertificate(): void {
    if (this.#options.tls === undefined || this.#host === '') return
    this.#apps.push(this.#makeApp())
    if (this.#listening !== undefined) uWS.us_listen_socket_close(this.#listening)
    try {
      this.#listen()
    } catch (error) {
      this.#apps.pop()
      throw error
    }
    if (this.#apps.length > APPS_MAX) this.#apps.shift()?.close()
  }

  close(): void {
    if (this.#listening) uWS.us_listen_socket_close(this.#listening)
    this.#listening = undefined
    for (const app of this.#apps) app.close()
  }

  /** With the newest app. The library calls back at once. */
  #listen(): void {
    const app = this.#apps.at(-1)
    this.#listening = undefined
    const listen = app?.listen.bind(app) as unknown as Listen
    listen(this.#host, this.#port, EXCLUSIVE_PORT, (socket) => {
      if (socket === false) return
      this.#listening = socket
      this.#port = uWS.us_socket_local_port(socket)
    })
    this.#requireListening()
  }

  #requireListening(): us_listen_socket {
    if (this.#listening !== undefined) return this.#listening
    throw new ServerError(
      'listen-failed',
      `cannot listen on ${this.#host}:${this.#port}: it may be taken by another process`,
    )
  }

  #makeApp(): TemplatedApp {
    const handlers = this.#handlers
    const { tls, webSocketPath, connections } = this.#options
    const exchangeOf = (response: HttpResponse, request: HttpRequest, context?: us_socket_context_t) => {
      const exchange = new UwsExchange(response, request, connections, context)
      connections.spokeFrom(exchange.peer)
      return exchange
    }
    const app = makeApp(tls)
    app.filter((response, change) => (change === 1 ? takeConnection(response, connections) : connections.closed()))
    app.ws<UserData>(webSocketPath, {
      maxPayloadLength: LIVE_COMMAND_BYTES_CUT,
      maxBackpressure: LIVE_BACKPRESSURE_BYTES_MAX,
      // The gateway pings by itself, and ends who does not answer; this is for one that it has let go of and that never closes.
      idleTimeout: FORGOTTEN_SECONDS,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => handlers.upgrade(exchangeOf(response, request, context)),
      open: (socket) => socket.getUserData().own.opened(socket),
      message: (socket, data, isBinary) => listenerOf(socket).message(Buffer.from(data), isBinary),
      pong: (socket) => listenerOf(socket).alive(),
      dropped: (socket) => listenerOf(socket).dropped(),
      drain: (socket) => listenerOf(socket).drained(),
      close: (socket) => {
        // The filter was told of it when it came, but is not told of the end of a WebSocket.
        connections.closed()
        socket.getUserData().own.closed()
      },
    })
    app.any('/*', (response, request) => handlers.request(exchangeOf(response, request)))
    return app
  }
}

/**
 * Before its first byte. `onAborted` is told here only of one that ends without a request, for each request sets its own; and
 * the response may be closed only as long as no request has come, since an upgrade moves what it stands for.
 */
function takeConnection(response: HttpResponse, connections: Connections): void {
  const silent: Silent | undefined = connections.opened(peerOf(response), () => response.close())
  if (silent === undefined) response.close()
  else response.onAborted(() => connections.endedSilent(silent))
}

const listenerOf = (socket: WebSocket<UserData>) => socket.getUserData().own.listener

function makeApp(tls: ServerOptions['tls']): TemplatedApp {
  if (tls === undefined) return uWS.App()
  try {
    return uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile })
  } catch (cause) {
    const message = `the certificate ${tls.certFile} and key ${tls.keyFile} cannot be used: allowed is a PEM file each`
    throw new ServerError('listen-failed', message, { cause })
  }
}
