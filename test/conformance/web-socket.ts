/** Owns a WebSocket to a broker's listener, for the statements of section 6, which are the same at both levels. */

import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Ports } from './statement.ts'
import { WAIT_MS } from './wire.ts'

export async function openWebSocket(ports: Ports, protocols = ['mqtt']): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${ports.webSocket}/mqtt`, protocols)
  await once(socket, 'open', { signal: AbortSignal.timeout(WAIT_MS) })
  return socket
}

/** Sends these frames; the first four bytes that come. */
export async function firstBytes(socket: WebSocket, ...frames: readonly (Buffer | string)[]): Promise<number[]> {
  const arrived: Buffer[] = []
  socket.on('message', (data: Buffer) => arrived.push(data))
  for (const frame of frames) socket.send(frame)
  while (Buffer.concat(arrived).length < 4) await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) })
  socket.terminate()
  return [...Buffer.concat(arrived).subarray(0, 4)]
}

/** Sends the bytes as a text frame; the broker closes. */
export async function textFrameCloses(socket: WebSocket, bytes: Buffer): Promise<void> {
  socket.on('error', () => undefined)
  socket.send(bytes.toString('latin1'))
  await once(socket, 'close', { signal: AbortSignal.timeout(WAIT_MS) })
}
