/**
 * Owns the gateway's server on uWebSockets.js. Frames are published once to a topic of the library, which writes them to all
 * sockets: 2M deliveries a second were measured so, against 125k by sending to each.
 *
 * On the main thread only: in a worker thread the library aborted the process at exit. What it does of its own accord: it ends
 * connections that are idle for 10 s or so, takes a large head that comes in one piece, refuses HTTP/1.0 with 505, and cuts
 * who breaks the WebSocket protocol without the code for it.
 *
 * Text is handed over as bytes: given a string, its build for Node 24 sends `é` as one byte, which is no UTF-8 (tried, 3.0.6).
 */

import type { TemplatedApp, us_listen_socket, WebSocket } from 'uWebSockets.js'
import { LIVE_BACKPRESSURE_BYTES_MAX, LIVE_COMMAND_BYTES_CUT } from '../../../platform/limits.ts'
import { type MakeServer, type Server, ServerError, type ServerHandlers, type ServerOptions } from '../server.ts'
import { UwsExchange } from './exchange.ts'
import { uWS } from './library.ts'
import type { UserData } from './socket.ts'

/** The library takes 8 to 960. */
const FORGOTTEN_SECONDS = 240
/** By default two processes may share a port, and each get some of the connections. */
const EXCLUSIVE_PORT = 1
/** The options after host and port are taken too, though the library's types do not say so (tried on 20.x). */
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void

export const makeServer: MakeServer = (options, handlers) => new UwsServer(options, handlers)

class UwsServer implements Server {
  readonly #app: TemplatedApp
  #listening: us_listen_socket | undefined

  constructor({ tls, webSocketPath }: ServerOptions, handlers: ServerHandlers) {
    this.#app = makeApp(tls)
    this.#app.ws<UserData>(webSocketPath, {
      maxPayloadLength: LIVE_COMMAND_BYTES_CUT,
      maxBackpressure: LIVE_BACKPRESSURE_BYTES_MAX,
      // The gateway pings by itself, and ends who does not answer; this is for one that it has let go of and that never closes.
      idleTimeout: FORGOTTEN_SECONDS,
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => handlers.upgrade(new UwsExchange(response, request, context)),
      open: (socket) => socket.getUserData().own.opened(socket),
      message: (socket, data, isBinary) => listenerOf(socket).message(Buffer.from(data), isBinary),
      pong: (socket) => listenerOf(socket).alive(),
      dropped: (socket) => listenerOf(socket).dropped(),
      drain: (socket) => listenerOf(socket).drained(),
      close: (socket) => socket.getUserData().own.closed(),
    })
    this.#app.any('/*', (response, request) => handlers.request(new UwsExchange(response, request)))
  }

  listen(host: string, port: number): Promise<number> {
    const listen: Listen = this.#app.listen.bind(this.#app) as unknown as Listen
    return new Promise((resolve, reject) => {
      listen(host, port, EXCLUSIVE_PORT, (socket) => {
        if (socket === false) {
          reject(new ServerError('listen-failed', `cannot listen on ${host}:${port}: is it taken by another process?`))
          return
        }
        this.#listening = socket
        resolve(uWS.us_socket_local_port(socket))
      })
    })
  }

  publish(topic: string, frame: string): void {
    this.#app.publish(topic, Buffer.from(frame), false)
  }

  close(): void {
    if (this.#listening) uWS.us_listen_socket_close(this.#listening)
    this.#listening = undefined
    this.#app.close()
  }
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
