/** Owns a port before a server that can be cut: bytes are taken and go nowhere, as behind a link that is down, one way or both. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Network {
  readonly port: number
  /** Where to, once that is known. */
  target = 0
  /** Bytes that were taken since, and went nowhere. */
  lost = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #losesQuestions = false
  #losesAnswers = false

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => this.#pass(client))
  }

  static async start(): Promise<Network> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Network(server)
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  loseAnswers(): void {
    this.#losesAnswers = true
  }

  cut(): void {
    this.#losesQuestions = true
    this.#losesAnswers = true
  }

  /** For connections that come from now on: of the others something is missing. */
  mend(): void {
    this.#losesQuestions = false
    this.#losesAnswers = false
  }

  #pass(client: Socket): void {
    const server = connect(this.target, '127.0.0.1')
    let isBroken = false
    const lose = (bytes: Buffer) => {
      isBroken = true
      this.lost += bytes.length
    }
    client.on('data', (bytes) => (this.#losesQuestions || isBroken ? lose(bytes) : server.write(bytes)))
    server.on('data', (bytes) => (this.#losesAnswers || isBroken ? lose(bytes) : client.write(bytes)))
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
  }
}
