/** Owns pages of history as tests have them: all readings at once. */

import type { History, HistoryKey, HistoryPage, HistoryQuery } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'

export interface WholePage {
  readonly readings: readonly Reading[]
  readonly truncated: boolean
  readonly next?: HistoryKey
}

/** Takes a page to its end. */
export async function pageOf(history: Pick<History, 'readings'>, query: HistoryQuery): Promise<WholePage> {
  const { pieces, streams: _, ...head } = await history.readings(query, new AbortController().signal)
  const readings: Reading[] = []
  for await (const piece of pieces) readings.push(...piece)
  return { readings, ...head }
}

/** A page in pieces of 1,000. */
export function pageWith(readings: readonly Reading[] = [], truncated = false): HistoryPage {
  async function* pieces() {
    for (let at = 0; at < readings.length; at += 1_000) yield readings.slice(at, at + 1_000)
  }
  return { truncated, streams: [...new Set(readings.map(({ stream }) => stream))], pieces: pieces() }
}
