/**
 * Owns one app's WebSocket on uWebSockets.js, which throws when a socket is used after its end. The library
 * copies the properties of its user data onto the socket, from which `own` leads here.
 */

import type { WebSocket } from 'uWebSockets.js'
import type { Frame, Socket, SocketListener } from '../server.ts'

export interface UserData {
  readonly own: UwsSocket
}

export class UwsSocket implements Socket {
  readonly listener: SocketListener
  #socket: WebSocket<UserData> | undefined

  constructor(listener: SocketListener) {
    this.listener = listener
  }

  opened(socket: WebSocket<UserData>): void {
    this.#socket = socket
    this.listener.opened(this)
  }

  closed(): void {
    this.#socket = undefined
    this.listener.closed()
  }

  send({ data }: Frame): void {
    if (typeof data === 'string') this.#socket?.send(Buffer.from(data), false)
    else this.#socket?.send(data, true)
  }

  get bufferedBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0
  }

  join(topic: string): void {
    this.#socket?.subscribe(topic)
  }

  leave(topic: string): void {
    this.#socket?.unsubscribe(topic)
  }

  ping(): void {
    this.#socket?.ping()
  }

  end(code: number, reason: string): void {
    this.#socket?.end(code, reason)
  }

  cut(): void {
    this.#socket?.close()
  }
}
