/** Owns what a person is told of a payload that was set aside: what can be read in it, and what would become of it now. */

import type { DeadLetter } from '../../log/log.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import type { Contents } from '../../schemas/framing.ts'
import { Rejection } from '../../schemas/reading.ts'

/** `now` is what the decoder makes of it with the schemas as they are now. */
export function readPayload(letter: DeadLetter, decoder: Decoder): Contents {
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
