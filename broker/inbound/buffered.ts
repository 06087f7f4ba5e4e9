/** Owns reading what a stream has buffered, which Node 26 gives piece by piece. */

import type { Duplex } from 'node:stream'

/**
 * All that is buffered, or null. `read()` without a size gives that up to Node 25; since Node 26 it gives one piece of it, and
 * tells nobody of the rest (`howMuchToRead`; tried on 26.12). Read without a size, a stream ends with its last bytes.
 */
export function readBuffered(stream: Duplex): Buffer | null {
  const first: Buffer | null = stream.read()
  if (first === null || stream.readableLength === 0) return first
  const pieces = [first]
  while (stream.readableLength > 0) {
    const piece: Buffer | null = stream.read()
    if (piece === null) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
