/**
 * Owns MQTT over WebSocket (subprotocol `mqtt`, MQTT 3.1.1 section 6): from an HTTP server's upgrade to a stream of MQTT's bytes.
 *
 * Always true: each packet leaves in a binary frame of its own, for some clients know no other; a frame that is not binary ends
 * the connection. Bounds: a frame has at most `FRAME_BYTES_MAX`, an upgrade takes at most `CONNECT_TIMEOUT_MS`.
 */

import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws'
import { CONNECT_TIMEOUT_MS, FRAME_BYTES_MAX, UNFINISHED_PROGRESS_BYTES_MIN } from '../../platform/limits.ts'
import { foreignSign } from '../../platform/loopback.ts'
import { PROGRESS } from '../inbound/connection.ts'
import { packetBytes } from '../inbound/packet-rules.ts'
import { Disconnect, type Disconnects } from '../reports/disconnects.ts'

/** RFC 6455 section 7.4.1. */
const UNSUPPORTED_DATA = 1003
/** RFC 9110 section 15.5.4. */
const FORBIDDEN = 403

export interface WebSocketHandlers {
  /** With the socket beneath, which has a client's certificate. */
  readonly accept: (stream: Duplex, socket: Duplex) => void
  readonly disconnects: Disconnects
  /** Whether pages from elsewhere are refused, see `foreignSign`. */
  readonly refuseForeign: boolean
}

export function acceptWebSockets(server: Server, { accept, disconnects, refuseForeign }: WebSocketHandlers): void {
  // A request that is no upgrade has no business here, and one that never ends is cut off.
  server.requestTimeout = CONNECT_TIMEOUT_MS
  server.headersTimeout = CONNECT_TIMEOUT_MS
  server.on('request', (_request, response) => response.writeHead(426, { connection: 'close' }).end())
  const sockets = new WebSocketServer({
    server,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    // One frame a turn of the event loop: thousands of empty ones in a chunk kept everybody waiting for seconds.
    allowSynchronousEvents: false,
    handleProtocols: (protocols) => [...protocols].find((name) => name === 'mqtt' || name === 'mqttv3.1') ?? false,
    verifyClient: ({ req: { headers, socket } }, answer) => {
      const { host = '', origin = '' } = headers
      const foreign = refuseForeign ? foreignSign({ host, origin }) : undefined
      if (foreign !== undefined) {
        disconnects.ended(socket, new Disconnect('foreign-page', `${foreign}, and authentication is off`))
      }
      answer(foreign === undefined, FORBIDDEN)
    },
  })
  sockets.on('connection', (socket, request) => {
    const stream = createWebSocketStream(socket)
    stream._writev = (pieces, done) => sendPackets(socket, Buffer.concat(pieces.map(({ chunk }) => chunk)), done)
    // As a socket has it, for log lines.
    Object.defineProperty(stream, 'remoteAddress', { value: request.socket.remoteAddress })
    tellProgress(socket, request.socket, stream)
    socket.prependListener('message', (_data, isBinary) => {
      if (isBinary) return
      disconnects.ended(stream, new Disconnect('protocol-error', 'a WebSocket frame is not binary'))
      socket.close(UNSUPPORTED_DATA)
    })
    accept(stream, request.socket)
  })
}

/** mqtt-packet writes a packet in pieces while the stream is corked, so that what waits is whole packets. */
function sendPackets(socket: WebSocket, bytes: Buffer, done: (error?: Error | null) => void): void {
  let at = 0
  while (at < bytes.length) {
    const begin = at
    at += packetBytes(bytes.subarray(begin)) ?? bytes.length
    socket.send(bytes.subarray(begin, at), at < bytes.length ? undefined : done)
  }
}

/** A frame that comes slowly is a sign of life; less than so much of it is none, for nobody else looks whether it dribbles. */
function tellProgress(webSocket: WebSocket, socket: Socket, stream: Duplex): void {
  let unfinishedBytes = 0
  webSocket.on('message', () => {
    unfinishedBytes = 0
  })
  socket.on('data', ({ length }) => {
    unfinishedBytes += length
    if (unfinishedBytes < UNFINISHED_PROGRESS_BYTES_MIN) return
    unfinishedBytes = 0
    stream.emit(PROGRESS)
  })
}
