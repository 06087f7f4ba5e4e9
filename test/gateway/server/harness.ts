/** Owns a server for tests without a gateway behind it: it answers as the test says, and keeps what its sockets were told. */

import assert from 'node:assert/strict'
import { type Socket as Connection, connect } from 'node:net'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { chooseServer } from '../../../gateway/server/choose.ts'
import { Connections } from '../../../gateway/server/connections.ts'
import type {
  Exchange,
  Frame,
  Server,
  Socket,
  SocketListener,
  UpgradeExchange,
} from '../../../gateway/server/server.ts'
import { Changes, lastOf } from '../../until.ts'
import type { ServerKind } from '../platform.ts'

export const PATH = '/live'
/** Of what a peer has received, in the error of a wait. */
const RECEIVED_SHOWN_CHARS = 500

export class Harness {
  readonly server: Server
  port = 0
  readonly apps: AppEnd[] = []
  readonly connections = new Connections({ max: 10_000 }, () => undefined)
  request: (exchange: Exchange) => void = (exchange) => {
    exchange.onGone(() => undefined)
    const body = `${exchange.method} ${exchange.path} ${exchange.query}`
    if (exchange.method === 'HEAD') exchange.sendHead('200 OK', {}, body.length)
    else exchange.send('200 OK', {}, body)
  }
  upgrade: (exchange: UpgradeExchange) => void = (exchange) => {
    exchange.onGone(() => undefined)
    const app = new AppEnd()
    this.apps.push(app)
    exchange.upgrade('', app)
  }

  private constructor(makeServer: (harness: () => Harness) => Server) {
    this.server = makeServer(() => this)
  }

  static async start(
    t: TestContext,
    kind: ServerKind,
    port = 0,
    tls?: { readonly certFile: string; readonly keyFile: string },
  ): Promise<Harness> {
    const { makeServer } = await chooseServer(kind)
    const harness = new Harness((own) =>
      makeServer(
        { webSocketPath: PATH, connections: own().connections, ...(tls && { tls }) },
        {
          request: (exchange) => own().request(exchange),
          upgrade: (exchange) => own().upgrade(exchange),
          troubled: (error) => assert.fail(error),
        },
      ),
    )
    t.after(() => harness.server.close())
    harness.port = await harness.server.listen('127.0.0.1', port)
    return harness
  }

  /** Opens a WebSocket; resolves with both ends of it. */
  async app(t: TestContext): Promise<{ client: Client; app: AppEnd; socket: Socket }> {
    const client = new Client(this.port)
    t.after(() => client.socket.terminate())
    await client.until(() => client.isOpen)
    const app = this.apps.at(-1)
    if (app?.socket === undefined) throw new Error('no socket was opened')
    return { client, app, socket: app.socket }
  }

  raw(t: TestContext): Peer {
    const peer = new Peer(this.port)
    t.after(() => peer.connection.destroy())
    return peer
  }
}

/** One WebSocket as the gateway has it. */
export class AppEnd extends Changes implements SocketListener {
  socket: Socket | undefined
  readonly told: string[] = []

  opened(socket: Socket): void {
    this.socket = socket
    this.#tell('opened')
  }

  message(data: Buffer, isBinary: boolean): void {
    this.#tell(`${isBinary ? 'binary' : 'text'} ${data.length > 20 ? data.length : data}`)
  }

  alive(): void {
    this.#tell('alive')
  }

  dropped(): void {
    this.#tell('dropped')
  }

  drained(): void {
    if (this.told.at(-1) !== 'drained') this.#tell('drained')
  }

  closed(): void {
    this.#tell('closed')
  }

  protected override came(): string {
    return lastOf(this.told)
  }

  #tell(what: string): void {
    this.told.push(what)
    this.change()
  }
}

/** One WebSocket as an app has it. */
export class Client extends Changes {
  readonly socket: WebSocket
  readonly frames: string[] = []
  isOpen = false
  pings = 0
  close: { readonly code: number; readonly reason: string } | undefined

  constructor(port: number) {
    super()
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${PATH}`)
    this.socket.on('open', () => {
      this.isOpen = true
      this.change()
    })
    this.socket.on('message', (data) => {
      this.frames.push(String(data))
      this.change()
    })
    this.socket.on('ping', () => {
      this.pings++
      this.change()
    })
    this.socket.on('close', (code, reason) => {
      this.close = { code, reason: reason.toString() }
      this.change()
    })
    this.socket.on('error', () => undefined)
  }

  protected override came(): string {
    return lastOf(this.frames.map((data) => data.slice(0, 20)))
  }
}

/** A connection whose bytes the test writes itself. */
export class Peer extends Changes {
  readonly connection: Connection
  received = ''
  isClosed = false

  constructor(port: number) {
    super()
    // One that takes no notice when the server has had enough, unless it is told to close.
    this.connection = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setNoDelay()
    this.connection.on('connect', () => this.change())
    this.connection.on('data', (data) => {
      this.received += data.toString('latin1')
      this.change()
    })
    // Told by the server's end or by a reset: `isClosed` says that nothing more comes.
    this.connection.on('end', () => {
      this.isClosed = true
      this.change()
    })
    this.connection.on('close', () => {
      this.isClosed = true
      this.change()
    })
    this.connection.on('error', () => undefined)
  }

  /** Resolves with what came when `end` is in it, or the connection has ended. */
  async answer(end: string): Promise<string> {
    await this.until(() => this.isClosed || this.received.includes(end), `an answer with ${end}`)
    return this.received
  }

  protected override came(): string {
    return JSON.stringify(this.received.slice(-RECEIVED_SHOWN_CHARS))
  }
}

export const frame = (data: string | Buffer): Frame => ({ event: 'test', data })
