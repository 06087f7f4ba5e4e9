/** Owns a server for tests that is told of alerts: real HTTP on a free port; how it answers is the test's. */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { Message } from '../../../gateway/alerts/target.ts'

export interface Told {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Answers = (response: ServerResponse, told: Told) => void

export class Receiver {
  readonly told: Told[] = []
  /** With 200, unless told otherwise. */
  answers: Answers = (response) => response.end()
  readonly #server = createServer((request, response) => void this.#take(request, response))

  static async start(t: Pick<TestContext, 'after'>): Promise<Receiver> {
    const receiver = new Receiver()
    await receiver.listen()
    t.after(() => receiver.close())
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  get messages(): Message[] {
    return this.told.map(({ body }) => JSON.parse(body) as Message)
  }

  /** Rule, device and state of each message. */
  get states(): string[] {
    return this.messages.map(({ rule, device = '-', state }) => `${rule} ${device} ${state}`)
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const told = { url: request.url ?? '', headers: request.headers, body: await text(request) }
    this.told.push(told)
    this.answers(response, told)
  }
}
