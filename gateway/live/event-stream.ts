/**
 * Owns one app's answer of `/v1/stream`: frames as events (HTML standard, "Server-sent events"), each with its cursor for an id, so
 * that a browser goes on from there by itself.
 *
 *   open --end or cut, or the peer leaves, or its subscription cannot go on--> over
 *
 * Always true: there is one subscription and no command but the first, so an error ends the answer: a browser comes back by itself.
 * Bound: `LIVE_BACKPRESSURE_BYTES_MAX` wait for the peer to take them; one more event is dropped, and `dropped` told.
 */

import { LIVE_BACKPRESSURE_BYTES_MAX } from '../../platform/limits.ts'
import type { Exchange, Frame, Headers, Socket, SocketListener } from '../server/server.ts'
import type { Member, Topics } from '../server/topics.ts'
import { CLOSE } from './close-codes.ts'

/** nginx keeps an answer until a buffer is full unless it is told not to. */
export const EVENT_HEADERS: Headers = { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' }

export function eventOf({ event, cursor, data }: Frame): string {
  return `event: ${event}\n${cursor === undefined ? '' : `id: ${cursor}\n`}data: ${data}\n\n`
}

/** What waits is handed over in pieces of about so many characters, so that a reader that takes little is seen to take it. */
const PIECE_CHARS = 64 * 1024

export class EventStream implements Socket, Member<string> {
  readonly #answer: Pick<Exchange, 'write' | 'end' | 'cut'>
  readonly #listener: SocketListener
  readonly #topics: Topics<string>
  readonly #joined = new Set<string>()
  #waiting: string[] = []
  #waitingChars = 0
  /** Of what the server has not got rid of. */
  #handedChars = 0
  #isFull = false
  #isOver = false
  #hasSaidWhy = false

  constructor(answer: Pick<Exchange, 'write' | 'end' | 'cut'>, listener: SocketListener, topics: Topics<string>) {
    this.#answer = answer
    this.#listener = listener
    this.#topics = topics
  }

  send(frame: Frame): void {
    if (frame.event === 'error') {
      const { message } = JSON.parse(String(frame.data)) as { message: string }
      this.end(CLOSE.internal.code, message)
      return
    }
    if (frame.event === 'closing') {
      this.#hasSaidWhy = true
      // After so long a browser asks again.
      const { retryMs } = JSON.parse(String(frame.data)) as { retryMs?: number }
      if (retryMs !== undefined) this.deliver(`retry: ${retryMs}\n`)
    }
    this.deliver(eventOf(frame))
  }

  deliver(event: string): void {
    if (this.#isOver) return
    if (!this.#isFull) {
      this.#write(event)
    } else if (this.bufferedBytes > LIVE_BACKPRESSURE_BYTES_MAX) {
      this.#listener.dropped()
    } else {
      this.#waiting.push(event)
      this.#waitingChars += event.length
    }
  }

  get bufferedBytes(): number {
    return this.#waitingChars + this.#handedChars
  }

  join(topic: string): void {
    if (this.#isOver) return
    this.#joined.add(topic)
    this.#topics.join(topic, this)
  }

  leave(topic: string): void {
    if (this.#joined.delete(topic)) this.#topics.leave(topic, this)
  }

  /** A comment, which keeps proxies from ending what is quiet. There is no answer to it: what was taken shows that the peer is there. */
  ping(): void {
    if (this.#isOver || this.#isFull) return
    this.#write(':\n\n')
    if (!this.#isFull) this.#listener.alive()
  }

  end(code: number, reason: string): void {
    if (this.#isOver) return
    if (!this.#hasSaidWhy) {
      this.deliver(eventOf({ event: 'closing', data: JSON.stringify({ type: 'closing', code, message: reason }) }))
    }
    if (this.#waiting.length > 0) this.#write(this.#waiting.join(''))
    this.#over()
    this.#answer.end()
  }

  cut(): void {
    if (this.#isOver) return
    this.#over()
    this.#answer.cut()
  }

  /** The peer has taken what was written. */
  taken(): void {
    if (this.#isOver) return
    this.#isFull = false
    this.#handedChars = 0
    this.#flush()
    this.#listener.drained()
  }

  /** The peer has left. */
  gone(): void {
    if (!this.#isOver) this.#over()
  }

  /** Writes what waits, as long as it is taken. */
  #flush(): void {
    while (!this.#isFull && this.#waiting.length > 0) {
      let chars = 0
      let count = 0
      while (chars < PIECE_CHARS && count < this.#waiting.length) chars += this.#waiting[count++]?.length ?? 0
      this.#waitingChars -= chars
      this.#write(this.#waiting.splice(0, count).join(''))
    }
  }

  #write(text: string): void {
    this.#isFull = !this.#answer.write(text)
    if (this.#isFull) this.#handedChars = text.length
  }

  #over(): void {
    this.#isOver = true
    for (const topic of this.#joined) this.#topics.leave(topic, this)
    this.#joined.clear()
    this.#listener.closed()
  }
}
