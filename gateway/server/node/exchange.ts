/**
 * Owns one request and its answer on node:http. A request to upgrade comes without an answer's object; it gets one of its own,
 * so that a refusal is written as any other answer is.
 */

import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import { HTTP_IDLE_SECONDS_MAX } from '../../../platform/limits.ts'
import type { Connections } from '../connections.ts'
import type { Exchange, Headers, SocketListener, UpgradeExchange } from '../server.ts'

export class NodeExchange implements Exchange {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #connections: Connections
  #gone: (() => void) | undefined

  constructor(request: IncomingMessage, response: ServerResponse, connections: Connections) {
    this.#request = request
    this.#response = response
    this.#connections = connections
    // A peer that has gone is told by `close`.
    response.on('error', () => undefined)
  }

  get method(): string {
    return this.#request.method ?? ''
  }

  get path(): string {
    return this.#target[0]
  }

  get query(): string {
    return this.#target[1]
  }

  get peer(): string {
    return addressOf(this.#request.socket)
  }

  header(name: string): string {
    const value = this.#request.headers[name]
    return typeof value === 'string' ? value : (value?.join(', ') ?? '')
  }

  hasHeader(name: RegExp): boolean {
    return Object.keys(this.#request.headers).some((own) => name.test(own))
  }

  body(bytesMax: number): Promise<Buffer | undefined> {
    const request = this.#request
    const chunks: Buffer[] = []
    let bytes = 0
    return new Promise((resolve) => {
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= bytesMax) chunks.push(chunk)
        else resolve(undefined)
      })
      request.once('end', () => resolve(Buffer.concat(chunks)))
    })
  }

  onGone(gone: () => void): void {
    this.#gone = gone
  }

  /** The answer is whole, or the connection has ended; of one behind another on its connection Node tells only the latter. */
  over(): void {
    const gone = this.#gone
    this.#gone = undefined
    if (!this.#response.writableFinished) gone?.()
  }

  send(status: string, headers: Headers, body: string | Buffer): void {
    this.#head(status, headers)
    this.#response.end(body)
  }

  sendHead(status: string, headers: Headers, bodyBytes?: number): void {
    this.#head(status, headers)
    if (bodyBytes !== undefined) this.#response.setHeader('Content-Length', bodyBytes)
    this.#response.end()
  }

  begin(status: string, headers: Headers, taken: () => void, { isLasting } = { isLasting: false }): void {
    this.#response.on('drain', taken)
    this.#head(status, headers)
    if (isLasting) {
      this.#response.setTimeout(0)
      this.#response.flushHeaders()
    }
  }

  write(chunk: string): boolean {
    return this.#response.write(chunk)
  }

  end(): void {
    this.#response.end()
  }

  cut(): void {
    this.#request.socket.destroy()
  }

  #head(status: string, headers: Headers): void {
    const response = this.#response
    // While the request was worked on there was no such bound; from here on it is the peer's turn.
    response.setTimeout(HTTP_IDLE_SECONDS_MAX * 1000, () => this.#request.socket.destroy())
    response.statusCode = Number.parseInt(status, 10)
    response.statusMessage = status.slice(status.indexOf(' ') + 1)
    for (const name in headers) response.setHeader(name, headers[name] ?? '')
    if (this.#connections.isCrowded) response.shouldKeepAlive = false
  }

  /** Before and after the `?`. */
  get #target(): readonly [path: string, query: string] {
    const target = this.#request.url ?? ''
    const at = target.indexOf('?')
    return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
  }
}

/** How Node spells an IPv4 address on a socket for both. */
const MAPPED = '::ffff:'

/** The peer's, as people write it; empty once it has gone. */
export function addressOf({ remoteAddress = '' }: Connection): string {
  return remoteAddress.startsWith(MAPPED) ? remoteAddress.slice(MAPPED.length) : remoteAddress
}

export class NodeUpgradeExchange extends NodeExchange implements UpgradeExchange {
  readonly #upgrade: (subprotocol: string, listener: SocketListener) => void

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connections: Connections,
    upgrade: NodeUpgradeExchange['upgrade'],
  ) {
    super(request, response, connections)
    this.#upgrade = upgrade
  }

  upgrade(subprotocol: string, listener: SocketListener): void {
    this.#upgrade(subprotocol, listener)
  }
}

/** An answer on a connection that Node has let go of for an upgrade; the last on it. `release` takes the connection from it. */
export function responseOn(request: IncomingMessage): {
  readonly response: ServerResponse
  readonly release: () => void
} {
  const response = new ServerResponse(request)
  const { socket } = request
  const drained = () => response.emit('drain')
  const idle = () => socket.destroy()
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  socket.on('drain', drained)
  socket.on('timeout', idle)
  response.once('finish', () => socket.destroySoon())
  const release = () => {
    socket.off('drain', drained)
    socket.off('timeout', idle)
    response.detachSocket(socket)
  }
  return { response, release }
}
