/**
 * Owns payloads that mean harm: noise, lengths that promise more than there is, nests a thousand deep. What a platform is to do with each is
 * what its decoder says: set it aside, and go on.
 */

import type { Random } from '../signals/random.ts'

const NOISE_BYTES_MAX = 512
const NEST_DEPTH = 1_000

/** One of them, by chance; `good` is what would have been sent. */
export function hostilePayload(good: Buffer, random: Random): Buffer {
  const make = HOSTILE[random.below(HOSTILE.length)]
  return make === undefined ? good : make(good, random)
}

const HOSTILE: readonly ((good: Buffer, random: Random) => Buffer)[] = [
  (_, random) => noise(random),
  () => Buffer.alloc(0),
  () => Buffer.from('['.repeat(NEST_DEPTH)),
  () => Buffer.from(`{"ts":1e999,"__proto__":{"polluted":true}}`),
  () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  // Of what it was the first bytes, and then a length that nothing has (a variable-length integer, Avro and Protobuf).
  (good) => Buffer.concat([good.subarray(0, 10), Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])]),
  (good, random) => flipped(good, random),
]

function noise(random: Random): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(NOISE_BYTES_MAX) }, () => random.below(256)))
}

/** A bit of the first bytes: what says what it is. */
function flipped(good: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(good)
  const at = random.below(Math.min(10, bytes.length))
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
  return bytes
}
