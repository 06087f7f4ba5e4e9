/** Owns an app on `/v1/stream`, written with nothing of ours: events as the HTML standard has them, comments counted. */

import assert from 'node:assert/strict'
import { type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { Changes, lastOf } from '../../until.ts'
import type { Frame, FrameReading, TestPlatform } from '../platform.ts'

export interface Asked {
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
}

export class Events extends Changes {
  readonly response: IncomingMessage
  readonly frames: Frame[] = []
  /** Those that came with an event. */
  lastEventId = ''
  retryMs: number | undefined
  comments = 0
  isOver = false
  /** The answer ended as it should, and not in its midst. */
  isWhole = false
  #rest = ''

  private constructor(response: IncomingMessage) {
    super()
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      this.#take(text)
      this.change()
    })
    response.on('error', () => undefined)
    response.on('close', () => {
      this.isOver = true
      this.isWhole = response.complete
      this.change()
    })
  }

  /** Resolves when the head of the answer has come. */
  static async ask(
    t: TestContext,
    platform: Pick<TestPlatform, 'url' | 'token'>,
    query: string,
    { token = platform.token, headers, method = 'GET' }: Asked = {},
  ): Promise<Events> {
    const authorization = `Bearer ${token}`
    const asked = request(`${platform.url}/v1/stream?${query}`, {
      agent: false,
      method,
      headers: { accept: 'text/event-stream', authorization, ...headers },
    })
    t.after(() => asked.destroy())
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve)
      asked.on('error', reject)
      asked.end()
    })
    return new Events(response)
  }

  /** Resolves when the stream is live. */
  static async open(
    t: TestContext,
    platform: Pick<TestPlatform, 'url' | 'token'>,
    query: string,
    asked: Asked = {},
  ): Promise<Events> {
    const events = await Events.ask(t, platform, query, asked)
    assert.equal(events.response.statusCode, 200)
    await events.next('live')
    return events
  }

  override until(state: () => unknown, awaited = `${state}`): Promise<void> {
    const isSo = () => {
      if (state()) return true
      if (this.isOver) throw new Error(`the stream ended while something was awaited: ${JSON.stringify(this.types)}`)
      return false
    }
    return super.until(isSo, awaited)
  }

  /** The first frame of `type`. */
  async next(type: string): Promise<Frame> {
    const find = () => this.frames.find((frame) => frame.type === type)
    await this.until(find, `an event ${type}`)
    return find() ?? assert.fail(`no ${type}`)
  }

  untilOver(): Promise<void> {
    return super.until(() => this.isOver, 'the end of the stream')
  }

  protected override came(): string {
    return lastOf(this.types)
  }

  get types(): string[] {
    return this.frames.map(({ type }) => type)
  }

  get readings(): FrameReading[] {
    return this.frames.flatMap(({ type, readings }) => (type === 'readings' ? (readings as FrameReading[]) : []))
  }

  #take(text: string): void {
    const events = (this.#rest + text).split('\n\n')
    this.#rest = events.pop() ?? ''
    for (const event of events) this.#takeEvent(event)
  }

  #takeEvent(event: string): void {
    let [type, data, id] = ['', '', '']
    for (const line of event.split('\n')) {
      const at = line.indexOf(':')
      const [field, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')]
      if (field === '') this.comments++
      else if (field === 'event') type = value
      else if (field === 'data') data += value
      else if (field === 'id') id = value
      else if (field === 'retry') this.retryMs = Number(value)
      else assert.fail(`an event has the line ${line}`)
    }
    if (data === '') return
    const frame = JSON.parse(data) as Frame
    assert.equal(frame.type, type)
    assert.equal(frame.cursor ?? frame.before ?? '', id)
    if (id !== '') this.lastEventId = id
    this.frames.push(frame)
  }
}
