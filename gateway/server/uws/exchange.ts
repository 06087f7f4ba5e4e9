/**
 * Owns one request and its answer on uWebSockets.js. Its request is lent for the length of the handler's call only; its
 * response throws when it is used after the end or after the peer left, from which `Reply` keeps.
 */

import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js'
import type { Connections } from '../connections.ts'
import type { Headers, SocketListener, UpgradeExchange } from '../server.ts'
import { type UserData, UwsSocket } from './socket.ts'

export class UwsExchange implements UpgradeExchange {
  readonly #request: HttpRequest
  readonly #response: HttpResponse
  readonly #connections: Connections
  readonly #upgrade: Upgrade | undefined
  /** The answer is the last on its connection. */
  #isLast = false

  /** With the context that an upgrade needs, if it is a request for one. */
  constructor(response: HttpResponse, request: HttpRequest, connections: Connections, context?: us_socket_context_t) {
    this.#request = request
    this.#response = response
    this.#connections = connections
    this.#upgrade = context && {
      context,
      key: request.getHeader('sec-websocket-key'),
      extensions: request.getHeader('sec-websocket-extensions'),
    }
  }

  get method(): string {
    return this.#request.getCaseSensitiveMethod()
  }

  get path(): string {
    return this.#request.getUrl()
  }

  get query(): string {
    return this.#request.getQuery() ?? ''
  }

  get peer(): string {
    return peerOf(this.#response)
  }

  header(name: string): string {
    return this.#request.getHeader(name)
  }

  hasHeader(name: RegExp): boolean {
    let found = false
    this.#request.forEach((own) => {
      found ||= name.test(own)
    })
    return found
  }

  body(bytesMax: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = []
    let bytes = 0
    return new Promise((resolve) => {
      this.#response.onData((chunk, isLast) => {
        bytes += chunk.byteLength
        if (bytes > bytesMax) {
          resolve(undefined)
          return
        }
        // The memory is the library's after this call.
        chunks.push(Buffer.from(new Uint8Array(chunk)))
        if (isLast) resolve(Buffer.concat(chunks))
      })
    })
  }

  onGone(gone: () => void): void {
    this.#response.onAborted(gone)
  }

  send(status: string, headers: Headers, body: string | Buffer): void {
    this.#response.cork(() => {
      this.#writeHead(status, headers)
      this.#response.end(bytesOf(body), this.#isLast)
    })
  }

  /** After an answer without body the library takes no other request on the connection (tried on 20.x), so it is told as the last. */
  sendHead(status: string, headers: Headers, bodyBytes?: number): void {
    this.#response.cork(() => {
      this.#isLast = true
      this.#writeHead(status, headers)
      // With `undefined` it tells a length of 2^63.
      if (bodyBytes === undefined) this.#response.endWithoutBody()
      else this.#response.endWithoutBody(bodyBytes)
    })
  }

  begin(status: string, headers: Headers, taken: () => void): void {
    this.#response.onWritable(() => {
      taken()
      return true
    })
    this.#response.cork(() => this.#writeHead(status, headers))
  }

  /** A chunk smaller than the cork buffer (16 KiB) is always taken; the next then sees the back-pressure. */
  write(chunk: string): boolean {
    let taken = true
    this.#response.cork(() => {
      taken = this.#response.write(Buffer.from(chunk))
    })
    return taken
  }

  end(): void {
    this.#response.cork(() => this.#response.end('', this.#isLast))
  }

  cut(): void {
    this.#response.close()
  }

  /**
   * Not corked. After a real wait, `response.cork(() => response.upgrade())` may close the new socket at random
   * (uWebSockets #1928, fixed by its pull request 1929, which our build has not got), and an upgrade without `cork` is sound
   * but makes uWebSockets.js print a warning if it comes after the handler has returned. `tokens.ts` keeps most from that.
   */
  upgrade(subprotocol: string, listener: SocketListener): void {
    if (this.#upgrade === undefined) throw new Error('a request for no upgrade is not upgraded')
    const { context, key, extensions } = this.#upgrade
    this.#response.upgrade<UserData>({ own: new UwsSocket(listener) }, key, subprotocol, extensions, context)
  }

  #writeHead(status: string, headers: Headers): void {
    this.#isLast ||= this.#connections.isCrowded
    this.#response.writeStatus(status)
    for (const name in headers) this.#response.writeHeader(name, headers[name] ?? '')
    if (this.#isLast) this.#response.writeHeader('Connection', 'close')
  }
}

interface Upgrade {
  readonly context: us_socket_context_t
  readonly key: string
  readonly extensions: string
}

/** See `server.ts`: text is handed over as bytes. */
const bytesOf = (body: string | Buffer) => (typeof body === 'string' ? Buffer.from(body) : body)

/** Its address; not to be had once it is closed. */
export const peerOf = (response: HttpResponse) =>
  plainAddress(Buffer.from(response.getRemoteAddressAsText()).toString())

/** uWebSockets.js spells IPv6 in full, and IPv4 on a socket for both as `::ffff:127.0.0.1`, in hexadecimal. */
function plainAddress(peer: string): string {
  if (/^(0+:){7}0*1$/.test(peer)) return '::1'
  const mapped = /^(?:0{1,4}:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/.exec(peer)
  if (!mapped) return peer
  return mapped
    .slice(1)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.')
}
