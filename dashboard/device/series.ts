/**
 * Owns the points of one stream of a device that its plots draw: of each bucket of time what the store said, or what has come live.
 *
 * Always true: each reading counts once. What the store says of a bucket takes the place of what had come live, as a whole. A reading
 * whose time was there before, or that belongs where the store has already answered, is not added: its bucket is `doubtful`, until the
 * store is asked again.
 * Bound: `SERIES_MAX` series (by tags), `BUCKETS_MAX` buckets of each, the oldest leave; the times of the last `TIMES_MAX` live readings.
 */

import type { Reading } from '../../client/client.ts'
import type { Span } from './range.ts'

export const SERIES_MAX = 8
export const BUCKETS_MAX = 1_500
const TIMES_MAX = 5_000

/** Of one field in one bucket. */
interface Part {
  /** Of readings; 0 where the store was not asked. */
  count: number
  mean: number
  min: number
  max: number
}

interface Bucket {
  stored?: Map<string, Part>
  live?: Map<string, Part>
  /** The store has been asked for the whole of it. */
  isClosed?: true
}

interface OneSeries {
  readonly name: string
  readonly buckets: Map<number, Bucket>
  /** Of the buckets, ascending. */
  readonly starts: number[]
  readonly times: Set<number>
}

/** To be drawn: null where there is a gap. */
export interface Points {
  readonly times: number[]
  readonly means: (number | null)[]
  readonly mins: (number | null)[]
  readonly maxs: (number | null)[]
}

export type Aggregate = 'mean' | 'min' | 'max' | 'count' | 'last'

export interface SeriesOptions {
  /** How long a bucket is; undefined: a point for each reading. */
  readonly everyMs: number | undefined
  readonly tags: readonly string[]
  readonly numbers: ReadonlySet<string>
  /** Of these the last value stands for a bucket. */
  readonly booleans: ReadonlySet<string>
}

export class Series {
  readonly everyMs: number | undefined
  readonly #tags: readonly string[]
  readonly #numbers: ReadonlySet<string>
  readonly #booleans: ReadonlySet<string>
  readonly #series = new Map<string, OneSeries>()
  readonly #fields = new Set<string>()
  /** From here on readings come live, and before it from the store. */
  liveFrom = Number.POSITIVE_INFINITY
  /** The store has said all that was before it. */
  isAnswered = false
  /** What the store is to be asked for again. */
  doubtful: Span | undefined
  /** Series that are not shown, for they are too many. */
  left = 0

  constructor({ everyMs, tags, numbers, booleans }: SeriesOptions) {
    this.everyMs = everyMs
    this.#tags = tags
    this.#numbers = numbers
    this.#booleans = booleans
  }

  get names(): string[] {
    return [...this.#series.keys()].sort()
  }

  /** That had a number or a boolean. */
  get fields(): ReadonlySet<string> {
    return this.#fields
  }

  /** Buckets of the longest series. */
  get length(): number {
    return Math.max(0, ...[...this.#series.values()].map(({ starts }) => starts.length))
  }

  /** What the store answered: windows, or single readings if there is no aggregate. */
  addStored(readings: readonly Reading[], aggregate: Aggregate | undefined): void {
    for (const reading of readings) {
      const series = this.#of(reading)
      if (series === undefined) continue
      const bucket = this.#bucket(series, reading.ts)
      bucket.stored ??= new Map()
      for (const [field, value] of this.#values(reading)) {
        if (aggregate !== undefined && this.#booleans.has(field) !== (aggregate === 'last')) continue
        const part = bucket.stored.get(field) ?? { count: 0, mean: value, min: value, max: value }
        part[aggregate === undefined || aggregate === 'last' ? 'mean' : aggregate] = value
        bucket.stored.set(field, part)
      }
    }
  }

  addLive(readings: readonly Reading[]): void {
    for (const reading of readings) {
      const series = this.#of(reading)
      if (series === undefined) continue
      const start = this.#startOf(reading.ts)
      const bucket = this.#bucket(series, start)
      if (this.everyMs === undefined) {
        // One of the same time takes the place of the one before it, as in the store.
        delete bucket.stored
        bucket.live = new Map(this.#values(reading).map(([field, value]) => [field, partOf(value)]))
        continue
      }
      const isTwice = series.times.has(reading.ts)
      const isOld = reading.ts < this.liveFrom || this.#isClosed(bucket, start)
      if (isTwice || isOld) this.#doubt(start)
      // Where the store has nothing it is shown already.
      if (isTwice || (isOld && (!this.isAnswered || bucket.stored !== undefined))) continue
      series.times.add(reading.ts)
      if (series.times.size > TIMES_MAX) series.times.delete(first(series.times))
      bucket.live ??= new Map()
      for (const [field, value] of this.#values(reading)) this.#addTo(bucket.live, field, value)
    }
  }

  #isClosed({ isClosed, stored }: Bucket, start: number): boolean {
    return isClosed === true || (stored !== undefined && start !== this.#startOf(this.liveFrom))
  }

  #addTo(live: Map<string, Part>, field: string, value: number): void {
    const part = live.get(field)
    if (part === undefined || this.#booleans.has(field)) {
      live.set(field, partOf(value))
      return
    }
    part.count++
    part.mean += (value - part.mean) / part.count
    part.min = Math.min(part.min, value)
    part.max = Math.max(part.max, value)
  }

  /** Of whole buckets, what has come live and what the store said: for the store to say it anew. */
  forget({ from, to }: Span): void {
    for (const { buckets, starts } of this.#series.values()) {
      for (const start of starts) {
        if (start < from || start >= to) continue
        buckets.set(start, { isClosed: true })
      }
    }
  }

  #doubt(start: number): void {
    const { from = start, to = start } = this.doubtful ?? {}
    this.doubtful = { from: Math.min(from, start), to: Math.max(to, start + (this.everyMs ?? 0)) }
  }

  /** What of it the store has answered is not doubtful any more. */
  settle({ from, to }: Span): void {
    const { doubtful } = this
    if (doubtful === undefined || doubtful.from < from) return
    this.doubtful = doubtful.to <= to ? undefined : { from: Math.max(to, doubtful.from), to: doubtful.to }
  }

  /** What lies before it is not shown any more. */
  dropBefore(time: number): void {
    for (const { buckets, starts } of this.#series.values()) {
      let count = Math.max(0, starts.length - BUCKETS_MAX)
      while (count < starts.length && (starts[count] ?? 0) < time) count++
      for (const start of starts.splice(0, count)) buckets.delete(start)
    }
  }

  /** `gapMs`: a line goes over no more than that. */
  points(name: string, field: string, gapMs: number | undefined): Points {
    const points: Points = { times: [], means: [], mins: [], maxs: [] }
    const add = (time: number, part: Part | undefined) => {
      points.times.push(time)
      points.means.push(part?.mean ?? null)
      points.mins.push(part?.min ?? null)
      points.maxs.push(part?.max ?? null)
    }
    const series = this.#series.get(name)
    let before: number | undefined
    for (const start of series?.starts ?? []) {
      const bucket = series?.buckets.get(start)
      const part = bucket && this.#together(field, bucket)
      if (part === undefined) continue
      if (before !== undefined && gapMs !== undefined && start - before > gapMs) add((before + start) / 2, undefined)
      add(start, part)
      before = start
    }
    return points
  }

  /** How far readings usually are apart; undefined of fewer than three. */
  usualGapMs(): number | undefined {
    const [longest] = [...this.#series.values()].sort((a, b) => b.starts.length - a.starts.length)
    const { starts = [] } = longest ?? {}
    if (starts.length < 3) return undefined
    const gaps = starts.slice(1).map((start, index) => start - (starts[index] ?? start))
    return gaps.sort((a, b) => a - b)[gaps.length >> 1]
  }

  #startOf(time: number): number {
    return this.everyMs === undefined ? time : Math.floor(time / this.everyMs) * this.everyMs
  }

  #of({ values }: Reading): OneSeries | undefined {
    const name = this.#tags.flatMap((tag) => (values[tag] ? [`${tag} ${values[tag]}`] : [])).join(', ')
    let series = this.#series.get(name)
    if (series !== undefined) return series
    if (this.#series.size >= SERIES_MAX) {
      this.left++
      return undefined
    }
    series = { name, buckets: new Map(), starts: [], times: new Set() }
    this.#series.set(name, series)
    return series
  }

  #bucket({ buckets, starts }: OneSeries, start: number): Bucket {
    let bucket = buckets.get(start)
    if (bucket !== undefined) return bucket
    bucket = {}
    buckets.set(start, bucket)
    let at = starts.length
    while (at > 0 && (starts[at - 1] ?? 0) > start) at--
    starts.splice(at, 0, start)
    return bucket
  }

  /** Of what is plotted: no tags, texts and lists. */
  #values({ values }: Reading): [field: string, value: number][] {
    const numbers: [string, number][] = []
    for (const [field, value] of Object.entries(values)) {
      if (!this.#numbers.has(field) && !this.#booleans.has(field)) continue
      this.#fields.add(field)
      numbers.push([field, Number(value)])
    }
    return numbers
  }

  #together(field: string, { stored, live }: Bucket): Part | undefined {
    const [before, since] = [stored?.get(field), live?.get(field)]
    if (before === undefined || since === undefined || this.#booleans.has(field)) return since ?? before
    // Where its readings were not counted the store has the last word.
    if (before.count === 0) return before
    const count = before.count + since.count
    const mean = (before.mean * before.count + since.mean * since.count) / count
    return { count, mean, min: Math.min(before.min, since.min), max: Math.max(before.max, since.max) }
  }
}

const partOf = (value: number): Part => ({ count: 1, mean: value, min: value, max: value })

const first = (times: Set<number>): number => times.values().next().value ?? 0
