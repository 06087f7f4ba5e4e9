/**
 * Owns the simulator's chance: a seeded generator (sfc32, Chris Doty-Humphrey's PractRand), so that a run can be
 * repeated. Always true: the same seed and stream number give the same sequence. Not for secrets.
 */

export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number
  /** Uniform in [min, max). */
  between(min: number, max: number): number
  /** Uniform integer in [0, count). */
  below(count: number): number
}

/** Rounds that mix the seed into the state; the reference implementation uses 12 to 15. */
const MIXING_ROUNDS = 15

/** An independent sequence for each pair of `seed` and `stream` (a device's number), both taken as 32-bit integers. */
export function seededRandom(seed: number, stream: number): Random {
  let a = seed >>> 0
  let b = stream >>> 0
  let c = 0x9e3779b9
  let counter = 1
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  for (let round = 0; round < MIXING_ROUNDS; round++) next()
  return {
    next,
    between: (min, max) => min + next() * (max - min),
    below: (count) => Math.floor(next() * count),
  }
}

/** Of one device of a fleet, and what it sends of one stream. */
export function deviceRandom(seed: number, index: number, stream: string): Random {
  // Odd factors lose nothing: two devices of a stream never have one sequence.
  return seededRandom(seed, Math.imul(index, 0x9e3779b1) ^ textHash(stream))
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo). */
function textHash(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash
}
