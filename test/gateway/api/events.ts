/** Owns one answer of `/v1/stream` as a test reads it: its events (HTML standard, "Parsing an event stream"), each held against docs/asyncapi.yaml. */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { Changes, lastOf } from '../../until.ts'
import { LIVE_API, type ReceivedEvent } from './asyncapi.ts'
import { HTTP_API } from './openapi.ts'

export class Events extends Changes {
  readonly received: ReceivedEvent[] = []
  comments = 0
  retryMs: number | undefined
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  #text = ''
  #isOver = false
  #failure: unknown

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    super()
    this.#read(reader)
      .catch((error: unknown) => {
        this.#failure = error
      })
      .finally(() => {
        this.#isOver = true
        this.change()
      })
  }

  /** Resolves with the first event of the name that was not taken before. */
  async next(name: string): Promise<ReceivedEvent> {
    const find = () => this.received.findIndex(({ event }) => event === name)
    await this.until(() => find() >= 0 || this.#isOver, `an event ${name}`)
    const found = find() >= 0 ? this.received.splice(0, find() + 1).at(-1) : undefined
    if (found === undefined && this.#failure !== undefined) throw this.#failure
    assert(found !== undefined, `the answer ended before an event ${name}`)
    return found
  }

  /** Resolves when the answer has ended, whole. */
  async untilEnd(): Promise<void> {
    await this.until(() => this.#isOver, 'the end of the answer')
    if (this.#failure !== undefined) throw this.#failure
  }

  protected override came(): string {
    return lastOf(this.received.map(({ event }) => event))
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      this.#take(this.#decoder.decode(piece.value, { stream: true }))
      this.change()
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
