/**
 * Owns one app's WebSocket on `ws`: what the library does not do of what the door promises. It drops a frame when too much
 * waits, where `ws` would keep all; and what is written in one event turn leaves in one system call.
 */

import type { Socket as Connection } from 'node:net'
import type { WebSocket } from 'ws'
import { LIVE_BACKPRESSURE_BYTES_MAX } from '../../../platform/limits.ts'
import type { Frame, Socket, SocketListener } from '../server.ts'
import type { Member, Topics } from '../topics.ts'

/** A frame as its bytes, which nobody may change any more. */
export interface FrameBytes {
  readonly bytes: Buffer
  readonly binary: boolean
  readonly compress: false
}

export const bytesOf = ({ data }: Frame): FrameBytes => ({
  bytes: typeof data === 'string' ? Buffer.from(data) : data,
  binary: typeof data !== 'string',
  compress: false,
})

export class NodeSocket implements Socket, Member<FrameBytes> {
  readonly #socket: WebSocket
  readonly #connection: Connection
  readonly #listener: SocketListener
  readonly #topics: Topics<FrameBytes>
  /** Topics it is in. */
  readonly #joined = new Set<string>()
  #isOver = false
  #isCorked = false

  constructor(socket: WebSocket, connection: Connection, listener: SocketListener, topics: Topics<FrameBytes>) {
    this.#socket = socket
    this.#connection = connection
    this.#listener = listener
    this.#topics = topics
    socket.on('message', (data, isBinary) => {
      if (!this.#isOver) listener.message(data as Buffer, isBinary)
    })
    socket.on('ping', (data) => {
      // Who pings without end and reads nothing is not answered without end.
      if (!this.#isOver && this.bufferedBytes <= LIVE_BACKPRESSURE_BYTES_MAX) socket.pong(data)
    })
    socket.on('pong', () => listener.alive())
    // Against the protocol, or gone: `close` follows.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#over())
    connection.on('drain', () => {
      if (!this.#isOver) listener.drained()
    })
    listener.opened(this)
  }

  send(frame: Frame): void {
    this.deliver(bytesOf(frame))
  }

  deliver(frame: FrameBytes): void {
    if (this.#isOver) return
    if (this.bufferedBytes > LIVE_BACKPRESSURE_BYTES_MAX) {
      this.#listener.dropped()
      return
    }
    this.#cork()
    this.#socket.send(frame.bytes, frame)
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  join(topic: string): void {
    if (this.#isOver) return
    this.#joined.add(topic)
    this.#topics.join(topic, this)
  }

  leave(topic: string): void {
    if (this.#joined.delete(topic)) this.#topics.leave(topic, this)
  }

  ping(): void {
    if (!this.#isOver) this.#socket.ping()
  }

  end(code: number, reason: string): void {
    if (this.#isOver) return
    this.#socket.close(code, reason)
    this.#over()
  }

  cut(): void {
    if (this.#isOver) return
    this.#socket.terminate()
    this.#over()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const topic of this.#joined) this.#topics.leave(topic, this)
    this.#joined.clear()
    this.#listener.closed()
  }

  /** Until the turn's end. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#connection.cork()
    process.nextTick(uncork, this)
  }

  uncork(): void {
    this.#isCorked = false
    this.#connection.uncork()
  }
}

const uncork = (socket: NodeSocket) => socket.uncork()
