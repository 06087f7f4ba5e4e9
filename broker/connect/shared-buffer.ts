/**
 * Owns the memory into which plain TCP sockets of clients are read: one buffer for all of them, as Node offers it to whoever connects
 * (`onread` of `net.connect`) and not to whoever listens. Otherwise each read takes 64 KiB, gives back all but a message, and passes
 * four functions and a tick of the stream before anybody sees it: a quarter of the JavaScript of a fleet whose messages come one by
 * one (`npm run bench -- --only fleet`).
 *
 *   read --> copied --may be taken now?--yes--> `Inbound`
 *                                      --no---> the stream's own buffer, from which it is read when it may be
 *
 * Always true: nothing keeps the shared buffer, which the next socket overwrites. Where Node does not have what this uses, sockets are
 * read as all streams are.
 */

import { Socket } from 'node:net'
import { takeRead } from '../inbound/inbound.ts'

/** As much as libuv asks for at once. */
const SHARED = Buffer.allocUnsafeSlow(64 * 1024)

/** A socket whose handle reads into a buffer of ours. */
interface Reading extends Socket {
  readonly _handle: { useUserBuffer?(buffer: Buffer): void } | null
  [key: symbol]: unknown
}

/** What `Socket` keeps its options `onread.buffer` and `onread.callback` under (lib/net.js of Node 20 to 26). */
const [BUFFER, CALLBACK] = ['kBuffer', 'kBufferCb'].map((name) =>
  Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === name),
)

/** Has a socket read into the shared buffer that has not been read from. */
export function readIntoShared(socket: Socket): void {
  const reading = socket as Reading
  if (BUFFER === undefined || CALLBACK === undefined || reading._handle?.useUserBuffer === undefined) return
  reading[BUFFER] = SHARED
  reading[CALLBACK] = takeRead
  reading._handle.useUserBuffer(SHARED)
}
