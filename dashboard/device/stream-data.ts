/**
 * Owns what the plots of one stream show: the past from the store, and from there on what comes live, without a seam.
 *
 * It subscribes first, and asks the store only when the subscription has caught up: so what came in between is in one of them, or in both.
 * What is older than `liveFrom` is the store's, the rest is the subscription's, which the SDK resumes after a break or a restart. What came
 * late, or twice, is asked of the store again when the bucket is over (`series.ts`).
 *
 * Bounds: `POINTS_MAX` points from the store for each series; `HISTORY_AT_ONCE` questions of this page at a time; it begins anew, after a gap,
 * once in `ANEW_MS_MIN`.
 */

import { signal } from '@preact/signals'
import { type Reading, TelltaleError } from '../../client/client.ts'
import type { StreamSchema } from '../answers.ts'
import { AnswerError, ask, live } from '../gateway.ts'
import { clock } from '../time.ts'
import type { Span } from './range.ts'
import { type Aggregate, Series } from './series.ts'

const POINTS_MAX = 600
/** Raw readings that came live besides; then it goes on in buckets. */
const RAW_MAX = 2 * POINTS_MAX
const READINGS_MAX = 10_000
const HISTORY_AT_ONCE = 2
/** So old a reading is in the store, while that keeps up. */
const SETTLED_MS = 5_000
/** So much more is subscribed to, for this clock and the gateway's differ. */
const MARGIN_MS = 30_000
/** A subscription that has not caught up by then does not hold up the past. */
const CAUGHT_UP_MS = 3_000
/** What is doubtful is asked again so long after it was found so, and once more, for the store may be late. */
const AGAIN_MS = 2_000
const LATE_MS = 20_000
const RETRY_MS = 3_000
const ANEW_MS_MIN = 10_000
const TOLD_MS = 500
/** Ahead of now by more is not shown. */
export const AHEAD_MS = 300_000
const INTERVALS_OF_GAP = 3

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const BUCKETS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 6, 12, 24, 48].map((count) => count * HOUR),
]

export interface StreamDataOptions {
  readonly device: string
  readonly schema: StreamSchema
  /** Of the stream; undefined while nobody knows it. */
  readonly intervalMs: number | undefined
  readonly rangeMs: number
  /** Undefined: the last `rangeMs`, and on. */
  readonly fixed: Span | undefined
  /** The clock of the device less the one here. */
  readonly aheadMs: number
}

export class StreamData {
  readonly #options: StreamDataOptions
  readonly #filter: string
  #series: Series
  #stopped = new AbortController()
  #begunAt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #late: ReturnType<typeof setTimeout> | undefined
  #told: ReturnType<typeof setTimeout> | undefined
  /** Counts the changes. */
  readonly changed = signal(0)
  readonly isAsking = signal(true)
  readonly error = signal<AnswerError | undefined>(undefined)

  constructor(options: StreamDataOptions) {
    this.#options = options
    this.#filter = `devices/${options.device}/telemetry/${options.schema.stream}`
    this.#series = this.#newSeries(undefined)
  }

  get series(): Series {
    return this.#series
  }

  /** It does not go on. */
  get isFixed(): boolean {
    return this.#options.fixed !== undefined
  }

  /** What is shown just now. */
  get span(): Span {
    const { fixed, rangeMs } = this.#options
    const to = this.#now()
    return fixed ?? { from: to - rangeMs, to }
  }

  /** No line is drawn over more. */
  get gapMs(): number | undefined {
    const { everyMs } = this.#series
    const interval = this.#options.intervalMs ?? this.#series.usualGapMs()
    const ofDevice = interval === undefined ? undefined : INTERVALS_OF_GAP * interval
    return everyMs === undefined ? ofDevice : Math.max(ofDevice ?? 0, 1.5 * everyMs)
  }

  start(): void {
    this.#begin(this.#wantsRaw() ? undefined : bucketFor(this.#spanMs()))
  }

  stop(): void {
    this.#stopped.abort()
    for (const timer of [this.#timer, this.#late, this.#told]) clearTimeout(timer)
    this.#timer = undefined
    this.#told = undefined
  }

  #begin(everyMs: number | undefined): void {
    this.stop()
    this.#stopped = new AbortController()
    this.#begunAt = clock()
    this.isAsking.value = true
    const { signal } = this.#stopped
    this.#run(this.#newSeries(everyMs), signal).catch((error) => {
      if (!signal.aborted) throw error
    })
  }

  async #run(series: Series, signal: AbortSignal): Promise<void> {
    const { from, to } = this.span
    const isLive = this.#options.fixed === undefined
    series.liveFrom = isLive ? Math.floor((to - SETTLED_MS) / SECOND) * SECOND : to
    if (isLive) await this.#follow(series, signal)
    const span = { from: startOf(from, series.everyMs), to: series.liveFrom }
    for (;;) {
      try {
        if (await this.#askAll(series, span, signal)) return
        return this.#begin(bucketFor(this.#spanMs()))
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof AnswerError)) throw error
        this.error.value = error
        this.isAsking.value = false
        if (error.status !== 0 && error.status < 429) return
        await pause(RETRY_MS, signal)
      }
    }
  }

  /** False if these are too many to be shown one by one. */
  async #askAll(series: Series, span: Span, signal: AbortSignal): Promise<boolean> {
    const { everyMs } = series
    if (everyMs === undefined) {
      const { readings, truncated } = await this.#ask(span, undefined, undefined, signal)
      if (truncated) return false
      series.addStored(readings, undefined)
    } else {
      for (const aggregate of this.#aggregates()) {
        series.addStored((await this.#ask(span, everyMs, aggregate, signal)).readings, aggregate)
        this.#show(series)
      }
      const last = { from: startOf(span.to, everyMs), to: span.to }
      if (last.from < last.to && this.#hasNumbers()) {
        series.addStored((await this.#ask(last, everyMs, 'count', signal)).readings, 'count')
      }
    }
    series.isAnswered = true
    this.#show(series)
    return true
  }

  #show(series: Series): void {
    this.#series = series
    this.isAsking.value = false
    this.error.value = undefined
    this.changed.value++
  }

  async #ask(span: Span, everyMs: number | undefined, fn: Aggregate | undefined, signal: AbortSignal) {
    const query = new URLSearchParams({
      filter: this.#filter,
      from: String(span.from),
      to: String(span.to),
      limit: String(everyMs === undefined ? POINTS_MAX : READINGS_MAX),
      ...(everyMs !== undefined && fn !== undefined && { every: `${everyMs}ms`, fn }),
    })
    return inTurn(() => ask<{ readings: Reading[]; truncated: boolean }>(`v1/readings?${query}`, { signal }))
  }

  /** Resolves when what was before now has come, or takes long. */
  #follow(series: Series, signal: AbortSignal): Promise<void> {
    // By the clock of the device.
    const lastMs = this.#now() - this.#options.aheadMs - series.liveFrom + MARGIN_MS
    const subscription = live.value.subscribe(this.#filter, {
      start: { last: `${Math.max(1, Math.ceil(lastMs / SECOND))}s` },
      signal,
    })
    return new Promise((resolve) => {
      setTimeout(resolve, CAUGHT_UP_MS)
      const take = async () => {
        for await (const event of subscription.events()) {
          if (event.type === 'live') resolve()
          else if (event.type === 'gap' || event.merged > 0) this.#beginAnew(signal)
          else this.#take(series, event.readings)
        }
      }
      take().catch((error) => {
        resolve()
        // What the gateway refuses, such as a token, the page says where it asks by HTTP.
        if (!signal.aborted && !(error instanceof TelltaleError)) throw error
      })
    })
  }

  #take(series: Series, readings: readonly Reading[]): void {
    const { from, to } = this.span
    series.addLive(readings.filter(({ ts }) => ts >= startOf(from, series.everyMs) && ts <= to + AHEAD_MS))
    series.dropBefore(startOf(from, series.everyMs))
    if (series.everyMs === undefined && series.length > RAW_MAX) {
      this.#begin(bucketFor(this.#spanMs()))
      return
    }
    if (series.doubtful !== undefined) this.#askOfDoubtLater(series)
    this.#told ??= setTimeout(() => {
      this.#told = undefined
      this.changed.value++
    }, TOLD_MS)
  }

  #askOfDoubtLater(series: Series, afterMs: number = AGAIN_MS): void {
    const { signal } = this.#stopped
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#askOfDoubt(series, signal).catch((error) => {
        if (signal.aborted) return
        if (!(error instanceof AnswerError)) throw error
        this.#askOfDoubtLater(series, RETRY_MS)
      })
    }, afterMs)
  }

  async #askOfDoubt(series: Series, signal: AbortSignal): Promise<void> {
    const { doubtful, everyMs } = series
    if (doubtful === undefined || everyMs === undefined) return
    // Of a bucket that goes on the store does not know all.
    const over = startOf(this.#now() - SETTLED_MS, everyMs)
    if (over <= doubtful.from) return this.#askOfDoubtLater(series, doubtful.from + everyMs - over + SECOND)
    const span = { from: doubtful.from, to: Math.min(doubtful.to, over) }
    await this.#askAnew(series, span, signal)
    series.settle(span)
    if (series.doubtful !== undefined) this.#askOfDoubtLater(series)
    clearTimeout(this.#late)
    this.#late = setTimeout(() => {
      this.#askAnew(series, span, signal).catch((error) => {
        if (!signal.aborted && !(error instanceof AnswerError)) throw error
      })
    }, LATE_MS)
  }

  async #askAnew(series: Series, span: Span, signal: AbortSignal): Promise<void> {
    const answers: [readings: Reading[], aggregate: Aggregate][] = []
    for (const aggregate of this.#aggregates()) {
      answers.push([(await this.#ask(span, series.everyMs, aggregate, signal)).readings, aggregate])
    }
    series.forget(span)
    for (const [readings, aggregate] of answers) series.addStored(readings, aggregate)
    this.changed.value++
  }

  #beginAnew(signal: AbortSignal): void {
    setTimeout(
      () => {
        if (!signal.aborted) this.start()
      },
      Math.max(0, this.#begunAt + ANEW_MS_MIN - clock()),
    )
  }

  #newSeries(everyMs: number | undefined): Series {
    const { columns } = this.#options.schema
    const named = (is: (kind: string) => boolean) =>
      new Set(columns.filter(({ kind, tag }) => !tag && is(kind)).map(({ name }) => name))
    return new Series({
      everyMs,
      tags: columns.filter(({ tag }) => tag).map(({ name }) => name),
      numbers: named((kind) => kind === 'integer' || kind === 'float'),
      booleans: named((kind) => kind === 'boolean'),
    })
  }

  #aggregates(): Aggregate[] {
    return [
      ...(this.#hasNumbers() ? (['mean', 'min', 'max'] as const) : []),
      ...(this.#has('boolean') ? (['last'] as const) : []),
    ]
  }

  #hasNumbers(): boolean {
    return this.#has('integer') || this.#has('float')
  }

  #has(wanted: string): boolean {
    return this.#options.schema.columns.some(({ kind, tag }) => !tag && kind === wanted)
  }

  #wantsRaw(): boolean {
    const { intervalMs } = this.#options
    // Where nobody knows, the answer says.
    return intervalMs === undefined || this.#spanMs() / intervalMs <= POINTS_MAX
  }

  #spanMs(): number {
    const { from, to } = this.span
    return to - from
  }

  #now(): number {
    return clock() + this.#options.aheadMs
  }
}

const bucketFor = (spanMs: number): number =>
  BUCKETS_MS.find((each) => spanMs / each <= POINTS_MAX) ?? Math.ceil(spanMs / POINTS_MAX / HOUR) * HOUR

const startOf = (time: number, everyMs = 1) => Math.floor(time / everyMs) * everyMs

let asking = 0
const waiting: (() => void)[] = []

async function inTurn<T>(question: () => Promise<T>): Promise<T> {
  if (asking >= HISTORY_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  else asking++
  try {
    return await question()
  } finally {
    const next = waiting.shift()
    if (next === undefined) asking--
    else next()
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
