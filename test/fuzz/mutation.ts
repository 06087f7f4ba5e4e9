/** Owns damage to bytes: seeded, so that what it did can be done again. */

import type { Random } from '../../devices/simulator/signals/random.ts'

/** Bytes at which parsers change their minds: signs, lengths, continuation bits, text that is no text. */
const INTERESTING = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xed, 0xfe, 0xff]
const MUTATIONS_MAX = 6

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[random.below(items.length)] ?? items[0]
}

/** A copy of `bytes` with one to a few mutations; it may be empty. */
export function mutate(random: Random, bytes: Buffer): Buffer {
  let mutated: Buffer = Buffer.from(bytes)
  for (let count = 1 + random.below(MUTATIONS_MAX); count > 0; count--) mutated = mutateOnce(random, mutated)
  return mutated
}

function mutateOnce(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1)
  const span = random.below(8)
  switch (random.below(7)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + span)])
    case 2:
      return Buffer.concat([bytes.subarray(0, at), interesting(random, span), bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 64), bytes.subarray(at)])
    case 4: {
      const copy = Buffer.from(bytes)
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8))
      return copy
    }
    case 5: {
      const copy = Buffer.from(bytes)
      interesting(random, span).copy(copy, at)
      return copy
    }
    default: {
      // The early bytes hold the lengths, counts and types.
      const copy = Buffer.from(bytes)
      const early = random.below(Math.min(copy.length, 16))
      if (copy.length > 0) copy[early] = INTERESTING[random.below(INTERESTING.length)] ?? 0
      return copy
    }
  }
}

function interesting(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => INTERESTING[random.below(INTERESTING.length)] ?? 0))
}
