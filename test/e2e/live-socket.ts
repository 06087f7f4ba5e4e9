/** Owns an app's WebSocket on `/v1/live`, written with nothing of ours: frames come out in order, each as docs/asyncapi.yaml says. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { CheckedSocket } from '../gateway/api/asyncapi.ts'
import { Changes, lastOf } from '../until.ts'

export interface Frame {
  readonly type: string
  readonly [field: string]: unknown
}

export class LiveSocket extends Changes {
  readonly #socket: WebSocket
  readonly #checked: CheckedSocket
  readonly #frames: Frame[] = []
  /** Of the frames that were dropped while another was awaited. */
  #dropped: string[] = []
  #closed = ''

  constructor(socket: WebSocket) {
    super()
    this.#socket = socket
    this.#checked = new CheckedSocket(socket)
    socket.on('message', (data) => {
      this.#frames.push(JSON.parse(String(data)) as Frame)
      this.change()
    })
    socket.on('close', (code, reason) => {
      this.#closed = `${code} ${reason}`
      this.change()
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
    this.#dropped = []
    let found: Frame | undefined
    const find = () => {
      this.#checked.throwIfWrong()
      while (found === undefined && this.#frames.length > 0) {
        const frame = this.#frames.shift()
        if (frame?.type === type) found = frame
        else this.#dropped.push(String(frame?.type))
      }
      if (found !== undefined) return true
      assert.equal(this.#socket.readyState, WebSocket.OPEN, `closed with ${this.#closed} before a ${type} frame`)
      return false
    }
    await this.until(find, `a ${type} frame`)
    return found ?? assert.fail()
  }

  protected override came(): string {
    return lastOf(this.#dropped)
  }

  close(): void {
    this.#socket.terminate()
  }
}
