/**
 * Owns which WebSocket is used: the platform's own (browsers, Node from 22), or the package `ws` if it is installed (Node 20).
 * It is loaded by a name that bundlers do not follow, so a bundle for browsers has nothing of it.
 */

import { TelltaleError } from './error.ts'

/** A WebSocket as browsers have it: what `new` of the option `WebSocket` makes. */
export type WebSocketClass = new (url: string, protocols: string[]) => object

/** What is used of a WebSocket. */
export interface Socket {
  binaryType: string
  readonly readyState: number
  onmessage: (event: { readonly data: unknown }) => void
  onclose: (event: { readonly code: number; readonly reason: string }) => void
  onerror: (event: unknown) => void
  send(text: string): void
  close(code?: number): void
}

export const OPEN = 1

/** Throws a `TelltaleError` `no-websocket` if there is none. */
export async function findWebSocket(): Promise<WebSocketClass> {
  const { WebSocket: own } = globalThis as { readonly WebSocket?: WebSocketClass }
  if (own !== undefined) return own
  try {
    const name = ['w', 's'].join('')
    const loaded = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as {
      readonly WebSocket: WebSocketClass
    }
    return loaded.WebSocket
  } catch (cause) {
    const message = 'this Node has no WebSocket: use Node 22, `npm install ws`, or pass the option WebSocket'
    throw new TelltaleError('no-websocket', message, { cause })
  }
}
