/**
 * Owns what one worker remembers of the points it wrote lately: of each series and time a hash of the values, by which a point that
 * replaces another is known. InfluxDB does not say.
 *
 * Always true: a point written again with the same values is none that was replaced. Not seen: what was written longer ago than
 * `POINTS_MAX` points, or before the worker began, as after a restart; so it may count too little, and never too much (but for
 * one in 2^53 that hashes alike).
 * Bound: between `POINTS_MAX` and twice as many points, about 50 bytes each.
 */

import { type Reading, type Stream, valueIn } from '../../schemas/reading.ts'

const POINTS_MAX = 100_000

const HIGH_BITS = 2 ** 21
const LOW_SHIFT = 11

export class RecentPoints {
  /** Hash of series and time to hash of values. When `#newer` is full it becomes `#older`, and what was that is forgotten. */
  #newer = new Map<number, number>()
  #older = new Map<number, number>()

  /** Takes in a point that was written. Whether it replaced one with other values. */
  replaces(reading: Reading, stream: Stream): boolean {
    const key = keyOf(reading, stream)
    const values = hashOfValues(reading, stream)
    const before = this.#newer.get(key) ?? this.#older.get(key)
    if (before === values) return false
    if (this.#newer.size >= POINTS_MAX) {
      this.#older = this.#newer
      this.#newer = new Map()
    }
    this.#newer.set(key, values)
    return before !== undefined
  }
}

const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)

/** 53 bits of device, stream, tags and time. */
function keyOf({ device, ts, values }: Reading, stream: Stream): number {
  let one = withNumber(1, ts)
  let other = withNumber(2, ts)
  one = withText(one, device)
  other = withText(other, device)
  one = withText(one, stream.name)
  other = withText(other, stream.name)
  for (const { name, tag } of stream.columns) {
    if (!tag) continue
    const text = String(valueIn(values, name) ?? '')
    one = withText(one, text)
    other = withText(other, text)
  }
  return (one >>> 0) * HIGH_BITS + (other >>> LOW_SHIFT)
}

function hashOfValues({ values }: Reading, stream: Stream): number {
  let hash = 3
  for (const { name, tag } of stream.columns) {
    if (tag) continue
    const value = valueIn(values, name)
    if (typeof value === 'number') hash = withNumber(hash, value)
    else hash = value === undefined ? withWord(hash, 0) : withText(hash, String(value))
  }
  return hash
}

function withText(hash: number, text: string): number {
  let mixed = withWord(hash, text.length + 1)
  for (let at = 0; at < text.length; at++) mixed = withWord(mixed, text.charCodeAt(at))
  return mixed
}

function withNumber(hash: number, value: number): number {
  // InfluxDB is given 0 for -0.
  float[0] = value + 0
  return withWord(withWord(hash, words[0] ?? 0), words[1] ?? 0)
}

function withWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1)
  return mixed ^ (mixed >>> 15)
}
