/**
 * Owns an app of a load that reads every frame when it comes, and takes the time of each reading. An app without a rate must have
 * each message of its devices once and in order, or the run fails; of one with a rate the readings must come in order.
 */

import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Schedule } from './schedule.ts'
import type { Wish } from './wishes.ts'

interface Frame {
  readonly type: string
  readonly cursor?: string
  readonly readings?: readonly { readonly device: string; readonly ts: number }[]
  readonly merged?: number
}

export interface TimedAppOptions {
  readonly gatewayPort: number
  readonly token: string
  readonly wish: Wish
  readonly schedule: Schedule
  /** Of each reading: by how much it came after its message was due, and when that was, by `performance.now()`. */
  readonly onReading?: (latencyMs: number, dueAt: number) => void
  readonly onFailed: (error: Error) => void
}

export class TimedApp {
  readings = 0
  /** Readings that others stood for. */
  merged = 0
  /** After all that it has had. */
  cursor = ''
  /** Times that it was told to be live. */
  lives = 0
  readonly #options: TimedAppOptions
  readonly #socket: WebSocket
  /** Of each device, the number of the next message. */
  readonly #next = new Map<string, number>()
  #becameLive: () => void = () => {}
  #isClosing = false

  private constructor(options: TimedAppOptions) {
    this.#options = options
    const { gatewayPort, token, onFailed } = options
    this.#socket = new WebSocket(`ws://127.0.0.1:${gatewayPort}/v1/live?access_token=${token}`, 'telltale.v1')
    this.#socket.on('error', onFailed)
    this.#socket.on('message', (data) => this.#take(JSON.parse(String(data)) as Frame))
    this.#socket.on('close', (code, reason) => {
      if (!this.#isClosing) onFailed(new Error(`the gateway closed an app: ${code} ${reason}`))
    })
  }

  /** Resolves when it is live. */
  static async connect(options: TimedAppOptions): Promise<TimedApp> {
    const app = new TimedApp(options)
    await once(app.#socket, 'open')
    const live = new Promise<void>((resolve) => {
      app.#becameLive = resolve
    })
    app.#socket.send(JSON.stringify({ type: 'subscribe', id: '1', start: 'now', ...options.wish }))
    await live
    return app
  }

  /** It takes nothing, until it reads on. */
  stall(): void {
    this.#socket.pause()
  }

  readOn(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#isClosing = true
    this.#socket.terminate()
  }

  #take(frame: Frame): void {
    const now = performance.now()
    const { onFailed, onReading, schedule, wish } = this.#options
    if (frame.cursor !== undefined) this.cursor = frame.cursor
    if (frame.type === 'live') {
      this.lives++
      this.#becameLive()
    }
    if (frame.type === 'gap' || frame.type === 'error') onFailed(new Error(`an app was told ${JSON.stringify(frame)}`))
    for (const { device, ts } of frame.readings ?? []) {
      const number = schedule.numberOf(ts)
      const next = this.#next.get(device) ?? 0
      if (wish.maxRate === undefined ? number !== next : number < next) {
        onFailed(new Error(`${device}: expected reading ${next}, had number ${number}`))
      }
      this.#next.set(device, number + 1)
      this.readings++
      if (onReading === undefined) continue
      const dueAt = schedule.dueAt(device, number)
      onReading(now - dueAt, dueAt)
    }
    this.merged += frame.merged ?? 0
  }
}
