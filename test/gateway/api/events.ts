/** Owns one answer of `/v1/stream` as a test reads it: its events (HTML standard, "Parsing an event stream"), each held against docs/asyncapi.yaml. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { LIVE_API, type ReceivedEvent } from './asyncapi.ts'
import { HTTP_API } from './openapi.ts'

export class Events {
  readonly received: ReceivedEvent[] = []
  comments = 0
  retryMs: number | undefined
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  #text = ''

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader
  }

  /** Resolves with the first event of the name that was not taken before. */
  async until(name: string): Promise<ReceivedEvent> {
    for (;;) {
      const index = this.received.findIndex(({ event }) => event === name)
      const found = this.received[index]
      if (found !== undefined) {
        this.received.splice(0, index + 1)
        return found
      }
      const { done, value } = await this.#reader.read()
      assert(!done, `the answer ended before an event ${name}`)
      this.#take(this.#decoder.decode(value, { stream: true }))
    }
  }

  /** Resolves when the answer has ended, whole. */
  async untilEnd(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#reader.read()
      if (done) return
      this.#take(this.#decoder.decode(value, { stream: true }))
    }
  }

  #take(text: string): void {
    const blocks = (this.#text + text).split('\n\n')
    this.#text = blocks.pop() ?? ''
    for (const block of blocks) this.#takeBlock(block)
  }

  #takeBlock(block: string): void {
    const fields: Record<string, string> = {}
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*): ?(.*)$/.exec(line) ?? []
      if (name === '') this.comments++
      else if (name === 'retry') this.retryMs = Number(value)
      else fields[name] = value
    }
    const { event, id, data } = fields
    if (data === undefined) return
    const received = { event: event ?? 'message', data, ...(id !== undefined && { id }) }
    LIVE_API.checkEvent(received)
    this.received.push(received)
  }
}

/** Asks for events; rejects if the answer is another. It ends with the test. */
export async function readEvents(
  t: TestContext,
  url: string,
  token: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Events> {
  const leaving = new AbortController()
  t.after(() => leaving.abort())
  const all = { ...headers, authorization: `Bearer ${token}` }
  const response = await fetch(url, { headers: all, signal: leaving.signal })
  const target = url.slice(new URL(url).origin.length)
  HTTP_API.check({ method: 'GET', target, headers: all }, response, undefined)
  assert.equal(response.status, 200, target)
  assert(response.body)
  return new Events(response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>)
}
