/** Owns an app's WebSocket on `/v1/live`, written with nothing of ours: frames come out in order, each as docs/asyncapi.yaml says. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { CheckedSocket } from '../gateway/api/asyncapi.ts'

export interface Frame {
  readonly type: string
  readonly [field: string]: unknown
}

export class LiveSocket {
  readonly #socket: WebSocket
  readonly #checked: CheckedSocket
  readonly #frames: Frame[] = []
  #arrived: (() => void) | undefined
  #closed = ''

  constructor(socket: WebSocket) {
    this.#socket = socket
    this.#checked = new CheckedSocket(socket)
    socket.on('message', (data) => {
      this.#frames.push(JSON.parse(String(data)) as Frame)
      this.#arrived?.()
    })
    socket.on('close', (code, reason) => {
      this.#closed = `${code} ${reason}`
      this.#arrived?.()
    })
  }

  static async open(url: string, token: string): Promise<LiveSocket> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/live?access_token=${token}`, 'telltale.v1')
    const live = new LiveSocket(socket)
    await once(socket, 'open')
    return live
  }

  send(frame: object): void {
    const text = JSON.stringify(frame)
    this.#checked.sent(text)
    this.#socket.send(text)
  }

  /** The next frame of this type; those of other types before it are dropped. */
  async next(type: string): Promise<Frame> {
    for (;;) {
      this.#checked.throwIfWrong()
      const frame = this.#frames.shift()
      if (frame?.type === type) return frame
      if (frame !== undefined) continue
      assert.equal(this.#socket.readyState, WebSocket.OPEN, `closed with ${this.#closed} before a ${type} frame`)
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }

  close(): void {
    this.#socket.terminate()
  }
}
