/**
 * Owns the shape of a page of history, so that every store's comes out alike: the cut, the pieces, and which streams and devices
 * a list of selections comes down to.
 */

import type { Aggregate, HistoryPage, Selection } from '../schemas/history.ts'
import type { Column, Reading, Stream } from '../schemas/reading.ts'
import type { HistoryOrder } from './history-order.ts'

/** Readings of a piece of a page: as many as are in memory at once for each answer, and for each stream of it. */
const PIECE_READINGS = 1_000

/** One stream of a query and its devices; undefined is any. */
export interface StreamSelection {
  readonly stream: Stream
  readonly devices: readonly string[] | undefined
}

/** The union of `selections` by stream, in the order of `streams`. Streams nobody registered are left out. */
export function selectStreams(selections: readonly Selection[], streams: readonly Stream[]): StreamSelection[] {
  const selected: StreamSelection[] = []
  for (const stream of streams) {
    const matching = selections.filter(({ stream: name }) => name === undefined || name === stream.name)
    if (matching.length === 0) continue
    const devices = new Set<string>()
    let any = false
    for (const { device } of matching) {
      if (device === undefined) any = true
      else devices.add(device)
    }
    selected.push({ stream, devices: any ? undefined : [...devices] })
  }
  return selected
}

/** The columns an aggregate has a value for; tags are not among them, they name the series. */
export function aggregatedColumns(stream: Stream, aggregate: Aggregate): readonly Column[] {
  const numeric = aggregate === 'mean' || aggregate === 'min' || aggregate === 'max'
  return stream.columns.filter(({ tag, kind }) => !tag && (!numeric || kind === 'integer' || kind === 'float'))
}

/** A page of readings that are all here, in whatever order; cut if they are more than `limit`, or the store has more. */
export function wholePage(readings: Reading[], limit: number, order: HistoryOrder, hasMore = false): HistoryPage {
  const streams = [...new Set(readings.map(({ stream }) => stream))]
  readings.sort(order.compare)
  const truncated = hasMore || readings.length > limit
  if (readings.length > limit) readings.length = limit
  const last = readings.at(-1)
  return { truncated, ...(truncated && last && { next: order.keyOf(last) }), streams, pieces: slices(readings) }
}

async function* slices(readings: readonly Reading[]): AsyncGenerator<readonly Reading[]> {
  for (let at = 0; at < readings.length; at += PIECE_READINGS) yield readings.slice(at, at + PIECE_READINGS)
}

/** One source of a page, of which a piece at a time is here. */
class Source {
  readonly #pieces: AsyncIterator<readonly Reading[]>
  #piece: readonly Reading[] = []
  #at = 0

  constructor(pieces: AsyncIterable<readonly Reading[]>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** The next one, if its piece is here. */
  get head(): Reading | undefined {
    return this.#piece[this.#at]
  }

  next(): void {
    this.#at++
  }

  /** Whether there is one more. */
  async fill(): Promise<boolean> {
    while (this.head === undefined) {
      const { done, value } = await this.#pieces.next()
      if (done) return false
      this.#piece = value
      this.#at = 0
    }
    return true
  }
}

/** The first `limit` readings of sources that are each in order, in pieces. */
export async function* merged(
  sources: readonly AsyncIterable<readonly Reading[]>[],
  limit: number,
  order: HistoryOrder,
): AsyncGenerator<readonly Reading[]> {
  let left = limit
  let piece: Reading[] = []
  const open = new Set(sources.map((pieces) => new Source(pieces)))
  for (const source of open) if (!(await source.fill())) open.delete(source)
  while (open.size > 0 && left > 0) {
    let first: Source | undefined
    for (const source of open) {
      if (first?.head === undefined) first = source
      else if (source.head !== undefined && order.compare(source.head, first.head) < 0) first = source
    }
    if (first?.head === undefined) break
    piece.push(first.head)
    left--
    first.next()
    if (first.head === undefined && !(await first.fill())) open.delete(first)
    if (piece.length < PIECE_READINGS) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}
