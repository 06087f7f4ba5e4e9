/**
 * Owns a server on a real socket that speaks the live protocol (docs/contract.md, "Live") and does what a test says: for close codes,
 * refusals and moments that a whole gateway does not bring about when it is asked to.
 */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { Changes, lastOf, until } from '../until.ts'

export interface AppCommand {
  readonly type: 'subscribe' | 'update' | 'unsubscribe'
  readonly id: string
  readonly [field: string]: unknown
}

/** An app's WebSocket, seen from the gateway. */
export class AppSocket extends Changes {
  readonly socket: WebSocket
  readonly protocols: readonly string[]
  readonly commands: AppCommand[] = []
  closed: number | undefined

  constructor(socket: WebSocket, protocols: readonly string[]) {
    super()
    this.socket = socket
    this.protocols = protocols
    socket.on('message', (data) => {
      this.commands.push(JSON.parse(String(data)))
      this.change()
    })
    socket.on('close', (code) => {
      this.closed = code
      this.change()
    })
    socket.on('error', () => undefined)
  }

  get token(): string | undefined {
    const prefix = 'telltale.token.'
    return this.protocols.find((name) => name.startsWith(prefix))?.slice(prefix.length)
  }

  send(...frames: readonly object[]): void {
    for (const frame of frames) this.socket.send(JSON.stringify(frame))
  }

  /** The next command, which must be of this type. */
  async next(type: AppCommand['type']): Promise<AppCommand> {
    const hasCome = () => {
      if (this.commands.length > 0) return true
      if (this.closed !== undefined) throw new Error(`closed with ${this.closed} while ${type} was awaited`)
      return false
    }
    await this.until(hasCome, `a command ${type}`)
    const command = this.commands.shift() as AppCommand
    if (command.type !== type) throw new Error(`${type} was awaited, and ${JSON.stringify(command)} came`)
    return command
  }

  /** Resolves when the app has had all that was sent. */
  async settled(): Promise<void> {
    const pong = once(this.socket, 'pong')
    this.socket.ping()
    await pong
  }

  async untilClosed(): Promise<number> {
    await this.until(() => this.closed !== undefined, 'the end of the connection')
    return this.closed ?? 0
  }

  protected override came(): string {
    return lastOf(this.commands.map(({ type }) => type))
  }

  /** Answers a command to subscribe, and is live. */
  async subscribe(subscription = 's1', cursor = 'c0'): Promise<AppCommand> {
    const command = await this.next('subscribe')
    this.send({ type: 'subscribed', id: command.id, subscription }, { type: 'live', subscription, cursor })
    return command
  }

  readings(cursor: string, ...numbers: readonly number[]): void {
    this.send({ type: 'readings', subscription: 's1', cursor, readings: numbers.map(reading), merged: 0 })
  }
}

export const reading = (number: number) => ({
  device: 'truck-7',
  stream: 'environment',
  ts: 1_763_864_000_000 + number,
  received: 1_763_864_000_010 + number,
  values: { temperature: number },
})

export const WELCOME = {
  type: 'welcome',
  protocol: 'telltale.v1',
  limits: { subscriptions: 100, commandsPerSecond: 50 },
}

/** What `GET /v1/live` answers, which says why a WebSocket would be refused. */
const UPGRADE_REQUIRED = { status: 426, code: 'upgrade-required' }

export class ScriptedGateway {
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #connected: AppSocket[] = []
  /** By the token of a request; `cut` ends its connection without an answer, undefined lets it in. */
  refuse: (token: string | undefined) => { readonly status: number; readonly code: string } | 'cut' | undefined = () =>
    undefined
  connections = 0

  private constructor() {
    this.#sockets = new WebSocketServer({ noServer: true, handleProtocols: ([first = '']) => first })
    this.#server = createServer((request, response) => {
      const token = request.headers.authorization?.replace('Bearer ', '')
      const refusal = this.refuse(token) ?? UPGRADE_REQUIRED
      if (refusal === 'cut') {
        request.socket.destroy()
        return
      }
      const { status, code } = refusal
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify({ error: { code, message: `it is ${code}` } }))
    })
    this.#server.on('upgrade', (request, socket, head) => {
      this.connections++
      const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
      const token = protocols.find((name) => name.startsWith('telltale.token.'))?.slice('telltale.token.'.length)
      const refusal = this.refuse(token)
      if (refusal === 'cut') {
        socket.destroy()
        return
      }
      if (refusal !== undefined) {
        socket.end(`HTTP/1.1 ${refusal.status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
        return
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.#connected.push(new AppSocket(webSocket, protocols))
        webSocket.send(JSON.stringify(WELCOME))
      })
    })
  }

  static async start(t: Pick<TestContext, 'after'>, port = 0): Promise<ScriptedGateway> {
    const gateway = new ScriptedGateway()
    gateway.#server.listen(port, '127.0.0.1')
    await once(gateway.#server, 'listening')
    t.after(() => gateway.stop())
    return gateway
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** How many have connected and were not taken. */
  get waiting(): number {
    return this.#connected.length
  }

  /** The next app that connects. */
  async app(): Promise<AppSocket> {
    await until(() => this.waiting > 0)
    return this.#connected.shift() as AppSocket
  }

  stop(): void {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
