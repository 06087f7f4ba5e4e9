/** Owns `/v1/readings` for apps: all readings of a question, page by page, as the loop takes them. */

import type { Http } from './http.ts'
import { checkCount, checkNames, type Names } from './options.ts'
import type { Reading } from './readings.ts'

/** Readings asked for at once. */
const PAGE_READINGS = 10_000

/** ISO 8601, milliseconds since 1970, or a time ago (`-15m`). */
export type Time = Date | number | string

export interface HistoryOptions {
  /** By default an hour ago. */
  readonly from?: Time | undefined
  /** By default now. */
  readonly to?: Time | undefined
  /** The length of a window, such as `1m`: then each reading is one of a window. */
  readonly every?: string | undefined
  /** What is made of a window's readings; by default `mean`. */
  readonly fn?: 'mean' | 'min' | 'max' | 'first' | 'last' | 'count' | undefined
  /** By default `oldest` first. */
  readonly order?: 'oldest' | 'newest' | undefined
  /** The most readings in all; by default there is no limit. */
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const HISTORY: Names<HistoryOptions> = {
  from: true,
  to: true,
  every: true,
  fn: true,
  order: true,
  limit: true,
  signal: true,
}

/** Throws what is wrong with them. */
export function checkHistory(options: HistoryOptions): void {
  checkNames('history', HISTORY, options)
  checkCount('limit', options.limit)
}

interface Page {
  readonly readings: readonly Reading[]
  /** There are more: pass this as `after`. */
  readonly next?: string
}

export async function* readHistory(
  http: Http,
  filters: readonly string[],
  { from, to, every, fn, order, limit = Number.POSITIVE_INFINITY, signal }: HistoryOptions,
): AsyncGenerator<Reading, undefined> {
  let left = limit
  let after: string | undefined
  while (left > 0) {
    const asked = Math.min(left, PAGE_READINGS)
    const parameters = { filter: filters, from: timeOf(from), to: timeOf(to), every, fn, order, limit: asked, after }
    const page: Page = await http.get<Page>('/v1/readings', parameters, signal)
    yield* page.readings
    left -= page.readings.length
    after = page.next
    if (after === undefined) return undefined
  }
  return undefined
}

const timeOf = (time: Time | undefined) => (time instanceof Date ? time.toISOString() : time)
