/** Owns an app of a load: a WebSocket by hand, as cheap as can be. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const FIN_TEXT = 0x81
const CLOSE = 0x88
/** RFC 6455 section 5.5: a control frame carries at most 125 bytes. */
const CLOSE_BYTES_MAX = 128
const MASKED = 0x80
/** RFC 6455 section 5.2: this length means that two bytes of length follow. */
const LENGTH_16 = 126

export interface RawAppOptions {
  /** What comes is read into it, again and again. */
  readonly buffer: Buffer
  readonly onBytes: (chunk: Buffer) => void
  /** After each chunk it reads no more until `read` is called: a thousand apps then take less of the machine they share. */
  readonly isResting?: boolean
  readonly onFailed: (error: Error) => void
}

/** One app: a raw WebSocket whose bytes are counted. All may read into one buffer, for nobody keeps what was read. */
export class RawApp {
  bytes = 0
  #upgraded: () => void = () => {}
  #isUpgraded = false
  /** The last short chunk, which may be a close frame. */
  #last: Buffer = Buffer.alloc(0)
  readonly #socket: Socket
  readonly #onFailed: (error: Error) => void
  #isClosing = false

  constructor(port: number, { buffer, onBytes, isResting = false, onFailed }: RawAppOptions) {
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer,
        callback: (count, chunk) => {
          this.bytes += count
          if (count < CLOSE_BYTES_MAX)
            this.#last = Buffer.from(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + count))
          if (this.bytes === count) this.#upgrade(Buffer.from(chunk.buffer, chunk.byteOffset, count).toString('latin1'))
          onBytes(Buffer.from(chunk.buffer, chunk.byteOffset, count))
          return !isResting
        },
      },
    })
    this.#socket.on('close', () => {
      if (this.#isClosing) return
      const why = this.#last[0] === CLOSE ? `${this.#last.readUInt16BE(2)} ${this.#last.subarray(4)}` : 'no close frame'
      onFailed(new Error(`the gateway closed an app after ${this.bytes} bytes: ${why}`))
    })
    this.#socket.on('error', (error) => {
      if (!this.#isClosing) onFailed(error)
    })
    this.#onFailed = onFailed
  }

  /** `wish`: members of the command. Resolves when it has asked. */
  async subscribe(token: string, wish: object): Promise<void> {
    await once(this.#socket, 'connect')
    const key = Buffer.from("telltale's bench").toString('base64')
    const lines = [
      `GET /v1/live?access_token=${token} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: telltale.v1',
    ]
    // What comes before the answer to the upgrade is not yet WebSocket to uWebSockets.js, which closes.
    const upgraded = new Promise<void>((resolve) => {
      this.#upgraded = resolve
    })
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    await upgraded
    this.#socket.write(textFrame(JSON.stringify({ type: 'subscribe', id: '1', start: 'now', ...wish })))
  }

  /** Reads on, after it rested. */
  read(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#isClosing = true
    this.#socket.destroy()
  }

  #upgrade(answer: string): void {
    if (this.#isUpgraded) return
    if (!answer.startsWith('HTTP/1.1 101')) this.#onFailed(new Error(`an app was refused: ${answer}`))
    this.#isUpgraded = true
    this.#upgraded()
  }
}

/** A client's frame, masked with zeros: a mask is required, not that it hides anything (RFC 6455 section 5.3). */
function textFrame(text: string): Buffer {
  const body = Buffer.from(text)
  const short = body.length < LENGTH_16
  const head = short
    ? [FIN_TEXT, MASKED | body.length]
    : [FIN_TEXT, MASKED | LENGTH_16, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from(head), Buffer.alloc(4), body])
}
