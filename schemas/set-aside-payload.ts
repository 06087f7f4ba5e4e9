/** Owns what a person is told of a payload that was set aside: what can be read in it, where it breaks, and what would become of it now. */

import type { Decoder } from './decoder.ts'
import type { Contents, Message } from './framing.ts'
import { Rejection } from './reading.ts'

/** `now` is what the decoder makes of it with the schemas as they are now. */
export function readSetAside(
  letter: Omit<Message, 'payload'> & { readonly payload: Uint8Array },
  decoder: Pick<Decoder, 'show' | 'decode'>,
): Contents {
  const message = { ...letter, payload: Buffer.from(letter.payload) }
  const { json, lines } = decoder.show(message)
  const decoded = decoder.decode(message)
  if (decoded instanceof Rejection) {
    const { code, reason } = decoded
    return { json: { ...json, now: { code, reason } }, lines: [...lines, ['now', `${code}: ${reason}`]] }
  }
  const readings = decoded.length
  const verdict = `it can be decoded: ${readings} ${readings === 1 ? 'reading' : 'readings'}`
  return { json: { ...json, now: { readings } }, lines: [...lines, ['now', verdict]] }
}
