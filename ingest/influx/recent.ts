/**
 * Owns what one worker remembers of the points it wrote lately: of each series and time a hash of the values, by which a point that
 * replaces another is known. InfluxDB does not say.
 *
 * Always true: a point written again with the same values has replaced none. Not seen: what was written longer ago than `POINTS_MAX`
 * points, or before the worker began, as after a restart; so it may count too little, and never too much (but for one in 2^64 that
 * hashes alike).
 * Bound: two tables of `POINTS_MAX` points, 3 MiB each. Tables of numbers, for a `Map` of as many took three times as long: this is
 * done for every point (0.35 us).
 */

import { type Reading, type Stream, valueIn } from '../../schemas/reading.ts'

const POINTS_MAX = 100_000
/** A power of two, and more than twice as many, so that a search is short. */
const SLOTS = 2 ** 18
/** Of a slot: two of the key, one of the values. */
const WORDS = 3
const VALUES_AT = 2

export class RecentPoints {
  /** When `#newer` is full it becomes `#older`, and what was that is forgotten. */
  #newer = new Uint32Array(SLOTS * WORDS)
  #older = new Uint32Array(SLOTS * WORDS)
  #count = 0
  /** One a stream: bounded by the registry. */
  readonly #names = new Map<Stream, Names>()

  /** Takes in a point that was written. Whether it replaced one with other values. */
  replaces(reading: Reading, stream: Stream): boolean {
    const { tags, fields } = this.#namesOf(stream)
    hashSeriesAndTime(reading, tags)
    const values = hashOfValues(reading, fields)
    let slot = slotOf(this.#newer)
    let before = this.#newer[slot + VALUES_AT] ?? 0
    if (before === 0) {
      before = this.#older[slotOf(this.#older) + VALUES_AT] ?? 0
      if (this.#count === POINTS_MAX) {
        this.#forget()
        slot = slotOf(this.#newer)
      }
      this.#count++
      this.#newer[slot] = one
      this.#newer[slot + 1] = other
    }
    this.#newer[slot + VALUES_AT] = values
    return before !== 0 && before !== values
  }

  /** What a stream's columns were is in the hashes: once they are others, all that is remembered would look replaced. */
  useStreams(streams: readonly Stream[]): void {
    if ([...this.#names.keys()].every((stream) => streams.includes(stream))) return
    this.#names.clear()
    this.#forget()
    this.#forget()
  }

  #forget(): void {
    const forgotten = this.#older.fill(0)
    this.#older = this.#newer
    this.#newer = forgotten
    this.#count = 0
  }

  #namesOf(stream: Stream): Names {
    let names = this.#names.get(stream)
    if (names === undefined) {
      const named = (tags: boolean) => stream.columns.filter(({ tag }) => tag === tags).map(({ name }) => name)
      names = { tags: named(true), fields: named(false) }
      this.#names.set(stream, names)
    }
    return names
  }
}

interface Names {
  readonly tags: readonly string[]
  readonly fields: readonly string[]
}

/** The two hashes of the series and time in hand. */
let one = 0
let other = 0
const float = new Float64Array(1)
const words = new Uint32Array(float.buffer)

/** Where the series and time in hand stand in the table, or would. */
function slotOf(table: Uint32Array): number {
  let slot = (other & (SLOTS - 1)) * WORDS
  while (table[slot + VALUES_AT] !== 0 && (table[slot] !== one || table[slot + 1] !== other)) {
    slot += WORDS
    if (slot === SLOTS * WORDS) slot = 0
  }
  return slot
}

function hashSeriesAndTime({ device, stream, ts, values }: Reading, tags: readonly string[]): void {
  one = 1
  other = 2
  float[0] = ts
  takeWord(words[0] ?? 0)
  takeWord(words[1] ?? 0)
  takeText(device)
  takeText(stream)
  for (const name of tags) takeText(String(valueIn(values, name) ?? ''))
  one >>>= 0
  other >>>= 0
}

/** Never 0, which is an empty slot. */
function hashOfValues({ values }: Reading, fields: readonly string[]): number {
  let hash = 3
  for (const name of fields) {
    const value = valueIn(values, name)
    if (typeof value === 'number') {
      // InfluxDB is given 0 for -0.
      float[0] = value + 0
      hash = mix(mix(hash, words[0] ?? 0), words[1] ?? 0)
      continue
    }
    const text = value === undefined ? '' : `${value}.`
    hash = mix(hash, text.length)
    for (let at = 0; at < text.length; at++) hash = mix(hash, text.charCodeAt(at))
  }
  return hash >>> 0 || 1
}

function takeText(text: string): void {
  takeWord(text.length)
  for (let at = 0; at < text.length; at++) takeWord(text.charCodeAt(at))
}

function takeWord(word: number): void {
  one = mix(one, word)
  other = Math.imul(other ^ word, 0x85eb_ca6b)
  other ^= other >>> 13
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1)
  return mixed ^ (mixed >>> 15)
}
