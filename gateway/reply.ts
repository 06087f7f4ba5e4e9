/**
 * Owns the answer to one HTTP request: guards uWebSockets.js's response, which throws when it is used after the end or
 * after the peer went away, and puts the headers on that every answer has.
 *
 * Bound: a streamed answer holds one chunk at a time; it goes on when the peer has taken the last.
 */

import type { HttpResponse } from 'uWebSockets.js'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Refusal } from './refusal.ts'

export type Headers = Readonly<Record<string, string>>

/**
 * Browsers on any origin may read: access is by token alone, which a page must have been given, and never by a cookie
 * that a browser would add by itself.
 */
const EVERY_ANSWER: Headers = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'X-Telltale-Truncated, Retry-After',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
}

export class Reply {
  readonly #response: HttpResponse
  readonly #head: boolean
  readonly #onEnd: (status: number) => void
  #over = false
  #resume: (() => void) | undefined

  /** `onEnd` is called once: with the status, or 499 if the peer went away before the answer was whole. */
  constructor(response: HttpResponse, options: { readonly head: boolean }, onEnd: (status: number) => void) {
    this.#response = response
    this.#head = options.head
    this.#onEnd = onEnd
    response.onAborted(() => {
      if (this.#over) return
      this.#over = true
      this.#resume?.()
      onEnd(499)
    })
  }

  /** Answered, or the peer is gone. */
  get over(): boolean {
    return this.#over
  }

  send(status: string, headers: Headers, body: string | Buffer): void {
    if (this.#over) return
    this.#over = true
    this.#response.cork(() => {
      this.#writeHead(status, headers)
      if (this.#head) this.#response.endWithoutBody(Buffer.byteLength(body))
      else this.#response.end(body)
    })
    this.#onEnd(Number.parseInt(status, 10))
  }

  json(value: unknown): void {
    this.send('200 OK', JSON_TYPE, `${JSON.stringify(value)}\n`)
  }

  refuse(refusal: Refusal): void {
    this.send(refusal.status, { ...JSON_TYPE, ...refusal.headers }, refusal.body)
  }

  /** Turns the connection into a WebSocket by `upgrade`, unless the peer is gone. */
  upgrade(upgrade: () => void): void {
    if (this.#over) return
    this.#over = true
    upgrade() // Not corked by us: see `tokens.ts`.
    this.#onEnd(101)
  }

  /** Sends the chunks as they are made, giving way to other work after each. */
  async stream(headers: Headers, chunks: Iterable<string>): Promise<void> {
    if (this.#head) return this.send('200 OK', headers, '')
    if (this.#over) return
    this.#response.onWritable(() => {
      this.#resume?.()
      return true
    })
    this.#response.cork(() => this.#writeHead('200 OK', headers))
    for (const chunk of chunks) {
      await this.#write(chunk)
      await nextTurn()
      if (this.#over) return
    }
    this.#over = true
    this.#response.cork(() => this.#response.end())
    this.#onEnd(200)
  }

  /** Resolves when the peer has taken the chunk, or is gone. */
  async #write(chunk: string): Promise<void> {
    const writable = new Promise<void>((resolve) => {
      this.#resume = resolve
    })
    let taken = true
    // A chunk smaller than uWebSockets.js's cork buffer (16 KiB) is always taken; the next then sees the back-pressure.
    this.#response.cork(() => {
      taken = this.#response.write(chunk)
    })
    if (!taken) await writable
    this.#resume = undefined
  }

  #writeHead(status: string, headers: Headers): void {
    this.#response.writeStatus(status)
    for (const [name, value] of Object.entries({ ...EVERY_ANSWER, ...headers })) this.#response.writeHeader(name, value)
  }
}

export const JSON_TYPE: Headers = { 'Content-Type': 'application/json; charset=utf-8' }
