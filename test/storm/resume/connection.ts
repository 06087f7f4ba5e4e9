/**
 * Owns one connection of an app of the resume storm, by WebSocket or by server-sent events, written with nothing of ours: frames come
 * out whole, or not at all. It can be cut in the midst of one.
 *
 *   opening --opened--> open --cut, or closed by either--> over         (and from opening: over)
 */

import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

export type Frame = Readonly<Record<string, unknown>> & { readonly type: string }

export interface Listener {
  opened(): void
  frame(frame: Frame | Buffer): void
  /** Once, and nothing after it. */
  over(why: string): void
}

export interface Connection {
  send(command: object): void
  /** Stops reading, and reads again. */
  pause(): void
  resume(): void
  /** Destroys the TCP connection, when so many bytes more have come if that is given. */
  cut(afterBytes?: number): void
  /** Destroys it with a reset. */
  reset(): void
  /** Says goodbye, where there is a way. */
  close(): void
}

/** Tells a listener that it is over once. */
class Ending {
  readonly #listener: Listener
  isOver = false

  constructor(listener: Listener) {
    this.#listener = listener
  }

  over(why: string): void {
    if (this.isOver) return
    this.isOver = true
    this.#listener.over(why)
  }
}

/** Counts what comes by TCP, and destroys it at a byte. */
function cutAfter(tcp: Socket, bytes: number, cut: () => void): void {
  let left = bytes
  tcp.prependListener('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) cut()
  })
}

export class WebSocketConnection implements Connection {
  readonly #socket: WebSocket
  readonly #ending: Ending
  #tcp: Socket | undefined

  constructor(url: string, token: string, protocol: string, listener: Listener) {
    this.#ending = new Ending(listener)
    const headers = { authorization: `Bearer ${token}` }
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live`, protocol, { headers })
    this.#socket.on('upgrade', (answer) => {
      this.#tcp = answer.socket
    })
    this.#socket.on('open', () => listener.opened())
    this.#socket.on('message', (data, isBinary) => {
      if (this.#ending.isOver) return
      listener.frame(isBinary ? (data as Buffer) : (JSON.parse(String(data)) as Frame))
    })
    this.#socket.on('error', () => undefined)
    this.#socket.on('close', (code, reason) => this.#ending.over(`${code} ${reason}`))
  }

  send(command: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(command))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  cut(afterBytes?: number): void {
    if (afterBytes !== undefined && this.#tcp !== undefined) {
      cutAfter(this.#tcp, afterBytes, () => this.cut())
      return
    }
    this.#ending.over('cut')
    this.#socket.terminate()
  }

  reset(): void {
    this.#ending.over('reset')
    this.#tcp?.resetAndDestroy()
    this.#socket.terminate()
  }

  close(): void {
    this.#socket.close(1000)
  }
}

export class EventConnection implements Connection {
  readonly #request: ClientRequest
  readonly #ending: Ending
  readonly #listener: Listener
  #answer: IncomingMessage | undefined
  #text = ''

  constructor(url: string, token: string, query: URLSearchParams, lastEventId: string, listener: Listener) {
    this.#ending = new Ending(listener)
    this.#listener = listener
    const headers = { authorization: `Bearer ${token}`, ...(lastEventId !== '' && { 'last-event-id': lastEventId }) }
    this.#request = request(`${url}/v1/stream?${query}`, { headers, agent: false })
    this.#request.on('response', (answer) => {
      this.#answer = answer
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => this.#take(text))
      answer.on('error', () => undefined)
      answer.on('close', () => this.#ending.over(`${answer.statusCode} ${answer.statusCode === 200 ? '' : this.#text}`))
      if (answer.statusCode === 200) listener.opened()
    })
    this.#request.on('error', (error) => this.#ending.over(error.message))
    this.#request.end()
  }

  send(): void {}

  pause(): void {
    this.#answer?.pause()
  }

  resume(): void {
    this.#answer?.resume()
  }

  cut(afterBytes?: number): void {
    const tcp = this.#answer?.socket
    if (afterBytes !== undefined && tcp !== undefined) {
      cutAfter(tcp, afterBytes, () => this.cut())
      return
    }
    this.#ending.over('cut')
    this.#request.destroy()
  }

  reset(): void {
    this.#ending.over('reset')
    this.#answer?.socket.resetAndDestroy()
    this.#request.destroy()
  }

  close(): void {
    this.cut()
  }

  #take(text: string): void {
    this.#text += text
    if (this.#answer?.statusCode !== 200) return
    const events = this.#text.split('\n\n')
    this.#text = events.pop() ?? ''
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1]
      if (data === undefined || this.#ending.isOver) continue
      const id = /^id: (.*)$/m.exec(event)?.[1]
      const frame = JSON.parse(data) as Frame
      // What a browser goes on from is the event's id, and nothing else.
      this.#listener.frame({ ...frame, cursor: id })
    }
  }
}
