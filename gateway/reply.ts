/**
 * Owns the answer to one HTTP request: keeps it from being used after its end or after the peer went away, and puts the
 * headers on that every answer has.
 *
 * Bound: a streamed answer holds one chunk at a time; it goes on when the peer has taken the last.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Refusal } from './refusal.ts'
import type { Exchange, Headers } from './server/server.ts'

const EVERY_ANSWER: Headers = {
  'Access-Control-Expose-Headers': 'X-Telltale-Truncated, X-Telltale-Next, Retry-After',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
}

export interface ReplyOptions {
  /** Whether the head is all that was asked for. */
  readonly head: boolean
  /** Of whatever is answered. */
  readonly headers: Headers
}

export class Reply {
  readonly #exchange: Exchange
  readonly #head: boolean
  readonly #always: Headers
  readonly #onEnd: (status: number) => void
  #over = false
  #isGone = false
  #resume: (() => void) | undefined
  #whenGone: (() => void) | undefined
  #lasting: { gone(): void } | undefined

  /** `onEnd` is called once: with the status, or 499 if the peer went away before the answer was whole. */
  constructor(exchange: Exchange, options: ReplyOptions, onEnd: (status: number) => void) {
    this.#exchange = exchange
    this.#head = options.head
    this.#always = { ...EVERY_ANSWER, ...options.headers }
    this.#onEnd = onEnd
    exchange.onGone(() => {
      this.#lasting?.gone()
      if (this.#over) return
      this.#over = true
      this.#isGone = true
      this.#resume?.()
      this.#whenGone?.()
      onEnd(499)
    })
  }

  /** Answered, or the peer is gone. */
  get over(): boolean {
    return this.#over
  }

  /** `gone` is called if the peer goes away before the answer is whole; at once, if it has. */
  whenGone(gone: () => void): void {
    this.#whenGone = gone
    if (this.#isGone) gone()
  }

  send(status: string, headers: Headers, body: string | Buffer): void {
    if (this.#over) return
    this.#over = true
    if (this.#head) this.#exchange.sendHead(status, { ...this.#always, ...headers }, Buffer.byteLength(body))
    else this.#exchange.send(status, { ...this.#always, ...headers }, body)
    this.#onEnd(Number.parseInt(status, 10))
  }

  json(value: unknown, status = '200 OK'): void {
    this.send(status, JSON_TYPE, `${JSON.stringify(value)}\n`)
  }

  refuse(refusal: Refusal): void {
    this.send(refusal.status, { ...JSON_TYPE, ...refusal.headers }, refusal.body)
  }

  /** Turns the connection into a WebSocket by `upgrade`, unless the peer is gone. */
  upgrade(upgrade: () => void): void {
    if (this.#over) return
    this.#over = true
    upgrade()
    this.#onEnd(101)
  }

  /**
   * Sends the chunks as they are made, giving way to other work after each. If they cannot all be made, the peer sees the
   * connection end in the midst of the answer, and this rejects with why.
   */
  async stream(headers: Headers, chunks: AsyncIterable<string>): Promise<void> {
    if (this.#over) return
    if (this.#head) {
      this.#over = true
      this.#exchange.sendHead('200 OK', { ...this.#always, ...headers })
      this.#onEnd(200)
      return
    }
    this.#exchange.begin('200 OK', { ...this.#always, ...headers }, () => this.#resume?.())
    try {
      for await (const chunk of chunks) {
        if (this.#over) return
        await this.#write(chunk)
        await nextTurn()
        if (this.#over) return
      }
    } catch (error) {
      this.cut()
      throw error
    }
    if (this.#over) return
    this.#over = true
    this.#exchange.end()
    this.#onEnd(200)
  }

  /**
   * Begins an answer that lasts as long as both want, and is counted as answered. `make` is given the way to write to the peer, and
   * its result told when the peer has taken what was written, and when it leaves. Undefined if it has left, or asked for the head only.
   */
  open<Lasting extends { taken(): void; gone(): void }>(
    headers: Headers,
    make: (answer: Pick<Exchange, 'write' | 'end' | 'cut'>) => Lasting,
  ): Lasting | undefined {
    if (this.#over) return undefined
    this.#over = true
    const all = { ...this.#always, ...headers }
    if (this.#head) this.#exchange.sendHead('200 OK', all)
    const lasting = this.#head ? undefined : make(this.#exchange)
    if (lasting !== undefined) {
      this.#exchange.begin('200 OK', all, () => lasting.taken(), { isLasting: true })
      this.#lasting = lasting
    }
    this.#onEnd(200)
    return lasting
  }

  /** Ends the connection, without the rest of an answer that was begun, or without one; it is counted as `status`. */
  cut(status = 500): void {
    if (this.#over) return
    this.#over = true
    this.#exchange.cut()
    this.#resume?.()
    this.#onEnd(status)
  }

  /** Resolves when the peer has taken the chunk, or is gone. */
  async #write(chunk: string): Promise<void> {
    const writable = new Promise<void>((resolve) => {
      this.#resume = resolve
    })
    if (!this.#exchange.write(chunk)) await writable
    this.#resume = undefined
  }
}

export const JSON_TYPE: Headers = { 'Content-Type': 'application/json; charset=utf-8' }
