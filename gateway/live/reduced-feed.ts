/**
 * Owns the conflation of a subscription that wants at most so many readings a second of each series: the readings received within
 * a window become one, and the others are counted as merged into it.
 *
 *   first reading of a window -> window is over: all series are published at once -> ...
 *
 * Windows are of the time of receipt, aligned to 1970-01-01T00:00Z, so the past comes out as the present did, but for what came
 * when its window had been published: it is counted to the next, or there would be more readings than were asked for. All series go
 * together, so that a cursor says what was published and what not; only the last frame of a window lies after it, those before
 * it lie before it. Bound: `LIVE_REDUCED_SERIES_MAX` series of all windows together; one more, and its own window is published early.
 */

import { LIVE_FRAME_CHARS_MAX } from '../../platform/limits.ts'
import type { Reading, Value } from '../../schemas/reading.ts'
import type { Cursor } from './cursor.ts'
import { type Encoded, type Encoding, JSON_TEXT } from './encoding.ts'
import type { Feed, FeedOutput, FeedTarget } from './feed.ts'
import type { Message } from './message.ts'
import type { Rate, Reduction } from './rate.ts'

/** Series in windows that are not over, of all subscriptions. */
const LIVE_REDUCED_SERIES_MAX = 500_000

/** What all feeds share: how many series wait, and how they are told apart. */
export interface ReducedSeries {
  count: number
  readonly keyOf: (reading: Reading) => string
  readonly tagsOf: (stream: string) => ReadonlySet<string>
}

export class ReducedFeed implements Feed {
  readonly #target: FeedTarget
  readonly #output: FeedOutput
  readonly #shared: ReducedSeries
  readonly #encoding: Encoding
  readonly #reduce: Reduction
  /** Infinite for one window that only `finish` ends. */
  readonly #periodMs: number
  readonly #waiting = new Map<string, Window>()
  #taken = 0
  #window = Number.NEGATIVE_INFINITY
  #since: Cursor | undefined

  constructor(target: FeedTarget, rate: Rate, output: FeedOutput, shared: ReducedSeries) {
    this.#target = target
    this.#output = output
    this.#shared = shared
    this.#encoding = target.encoding ?? JSON_TEXT
    this.#reduce = rate.reduce
    this.#periodMs = 1000 / rate.maxRate
  }

  get pendingSince(): Cursor | undefined {
    return this.#since
  }

  take(message: Message): boolean {
    const before = this.#taken
    const { receivedAt } = message.entry
    const window = Math.floor(receivedAt / this.#periodMs)
    // One that was replayed is received late, and one may have been on its way when its window was over: to the open one with it.
    if (window > this.#window) {
      this.finish(message.before(message.skip))
      this.#window = window
    }
    for (let index = message.skip; index < message.readings.length; index++) {
      const reading = message.select(index, this.#target)
      if (reading === undefined) continue
      if (this.#since === undefined) this.#since = message.before(message.skip)
      const key = this.#shared.keyOf(reading)
      const known = this.#waiting.get(key)
      if (known === undefined) {
        this.#waiting.set(key, new Window(this.#reduce, reading, message.received, this.#shared.tagsOf(reading.stream)))
        this.#shared.count++
      } else known.add(reading, message.received)
      this.#taken++
    }
    return this.#taken > before
  }

  flush(place: Cursor): void {
    if (this.#shared.count > LIVE_REDUCED_SERIES_MAX) this.finish(place)
  }

  tick(now: number, place: Cursor): void {
    const window = Math.floor(now / this.#periodMs)
    if (window <= this.#window) return
    this.finish(place)
    this.#window = window
  }

  finish(place: Cursor): void {
    const since = this.#since
    if (since === undefined) return
    const { cursorText } = this.#output
    const merged = this.#taken - this.#waiting.size
    let readings: Encoded[] = []
    let chars = 0
    for (const window of this.#waiting.values()) {
      const encoded = window.encode(this.#encoding)
      if (readings.length > 0 && chars + encoded.length > LIVE_FRAME_CHARS_MAX) {
        this.#publish(cursorText(since), readings, 0)
        readings = []
        chars = 0
      }
      readings.push(encoded)
      chars += encoded.length
    }
    this.#shared.count -= this.#waiting.size
    this.#waiting.clear()
    this.#taken = 0
    this.#since = undefined
    this.#publish(cursorText(place), readings, merged)
  }

  drop(): void {
    this.#shared.count -= this.#waiting.size
    this.#waiting.clear()
    this.#since = undefined
  }

  #publish(cursor: string, readings: readonly Encoded[], merged: number): void {
    this.#output.publish(this.#encoding.frame(this.#target, cursor, readings, merged), readings.length)
  }
}

/** The readings of one series in one window. */
class Window {
  readonly #reduce: Reduction
  readonly #tags: ReadonlySet<string>
  /** `first` or `last`; of the others the last, whose time and tags the result has. */
  #reading: Reading
  #received: number | undefined
  /** Of each numeric column, or for `count` of each column: what was reduced so far, and of how many values. */
  readonly #columns: Map<string, { value: number; count: number }> | undefined

  constructor(reduce: Reduction, reading: Reading, received: number | undefined, tags: ReadonlySet<string>) {
    this.#reduce = reduce
    this.#tags = tags
    this.#reading = reading
    this.#received = received
    if (reduce === 'first' || reduce === 'last') return
    this.#columns = new Map()
    this.#addColumns(reading, this.#columns)
  }

  add(reading: Reading, received: number | undefined): void {
    if (this.#reduce === 'first') return
    this.#reading = reading
    this.#received = received
    if (this.#columns !== undefined) this.#addColumns(reading, this.#columns)
  }

  encode(encoding: Encoding): Encoded {
    const reading = this.#columns === undefined ? this.#reading : this.#reduced(this.#columns)
    return encoding.reading(reading, this.#received)
  }

  #addColumns(reading: Reading, columns: Map<string, { value: number; count: number }>): void {
    for (const [name, value] of Object.entries(reading.values)) {
      if (this.#tags.has(name) || (typeof value !== 'number' && this.#reduce !== 'count')) continue
      const number = typeof value === 'number' ? value : 0
      const known = columns.get(name)
      if (known === undefined) columns.set(name, { value: number, count: 1 })
      else {
        known.count++
        if (this.#reduce === 'min') known.value = Math.min(known.value, number)
        else if (this.#reduce === 'max') known.value = Math.max(known.value, number)
        else known.value += number
      }
    }
  }

  #reduced(columns: ReadonlyMap<string, { value: number; count: number }>): Reading {
    const values: [string, Value][] = []
    for (const name of this.#tags) {
      const value = this.#reading.values[name]
      if (typeof value === 'string') values.push([name, value])
    }
    for (const [name, { value, count }] of columns) {
      values.push([name, this.#reduce === 'mean' ? value / count : this.#reduce === 'count' ? count : value])
    }
    // Not by assignment: a column may be called `__proto__`.
    return { ...this.#reading, values: Object.fromEntries(values) }
  }
}
