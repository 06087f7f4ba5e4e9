/**
 * Owns making whole MQTT packets of the bytes that another broker sends, before anything is read in them. Of a packet that is larger than any may be
 * the beginning is kept, as a packet of its own that says how long it was: its message must be acknowledged all the same, or it would come for ever.
 *
 * Bound: a packet that is begun takes `FRAME_BYTES_MAX`.
 */

import assert from 'node:assert/strict'
import { FRAME_BYTES_MAX } from '../platform/limits.ts'

/** Of a packet that is too large. A topic and a packet id fit in it (MQTT 5 section 1.5.4: a string has 65,535 bytes). */
const CUT_BYTES = 128 * 1024
assert(CUT_BYTES <= FRAME_BYTES_MAX)
/** After the first byte (section 1.5.5). */
const LENGTH_BYTES_MAX = 4

interface Header {
  readonly bodyAt: number
  readonly bodyBytes: number
}

export class Frames {
  #begun: Buffer = Buffer.alloc(0)
  /** Bytes of a packet that was cut which are still to come. */
  #skip = 0

  /** Gives each packet that is whole now, and how long it was. Throws for what is no MQTT. */
  push(chunk: Buffer, take: (frame: Buffer, length: number) => void): void {
    const bytes = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk])
    let at = 0
    for (;;) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      const header = headerAt(bytes, at)
      if (header === undefined) break
      const { bodyAt, bodyBytes } = header
      const kept = bodyBytes > FRAME_BYTES_MAX ? CUT_BYTES : bodyBytes
      if (bytes.length < bodyAt + kept) break
      const body = bytes.subarray(bodyAt, bodyAt + kept)
      const frame = kept === bodyBytes ? bytes.subarray(at, bodyAt + kept) : cut(bytes[at] ?? 0, body)
      at = bodyAt + kept
      this.#skip = bodyBytes - kept
      take(frame, bodyBytes)
    }
    // A copy, for what was read may be long.
    this.#begun = Buffer.from(bytes.subarray(at))
  }
}

/** Undefined while it is not whole. */
function headerAt(bytes: Buffer, at: number): Header | undefined {
  let bodyBytes = 0
  for (let index = 0; index < LENGTH_BYTES_MAX; index++) {
    const byte = bytes[at + 1 + index]
    if (byte === undefined) return undefined
    bodyBytes += (byte & 0x7f) * 128 ** index
    if (byte < 0x80) return { bodyAt: at + 2 + index, bodyBytes }
  }
  throw new Error('what came is no MQTT: the length of a packet has more than four bytes')
}

/** `CUT_BYTES` as a length are three bytes. */
function cut(first: number, body: Buffer): Buffer {
  const length = [0, 7, 14].map((shift, index) => ((CUT_BYTES >> shift) & 0x7f) | (index < 2 ? 0x80 : 0))
  return Buffer.concat([Buffer.from([first, ...length]), body])
}
