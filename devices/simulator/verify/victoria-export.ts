/**
 * Owns asking VictoriaMetrics by its export (https://docs.victoriametrics.com/#how-to-export-time-series), which is the only way: the platform has no
 * history of it. Each field is a series of its own, named by measurement and field; texts are not kept, and times have no microseconds.
 *
 * Always true: a reading whose stream has texts, or of whose time there are two, is told by its time alone. Bound: the rows of `SLICE_MS` are held.
 */

import type { StreamOfStore } from './history.ts'
import { linesOf, storeAnswer } from './store-answer.ts'
import type { StoreRow } from './store-look.ts'
import type { RowsAsked, StoreQuery } from './store-query.ts'

const SLICE_MS = 60_000

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly number[]
  readonly timestamps: readonly number[]
}

export function victoriaExport(store: { readonly url: string }): StoreQuery {
  return { language: 'export', rows: (asked, signal) => rows(store, asked, signal) }
}

async function* rows(
  { url }: { readonly url: string },
  { stream, from, to }: RowsAsked,
  signal?: AbortSignal,
): AsyncGenerator<StoreRow> {
  // What came within the last second is not there yet, otherwise.
  for await (const _ of storeAnswer(`${url}/internal/force_flush`, signal ? { signal } : {}));
  const fields = new Map(stream.columns.map((column) => [`${stream.name}_${column.name}`, column]))
  const isWhole = stream.columns.every(({ kind, tag }) => tag || ['integer', 'float', 'boolean'].includes(kind))
  for (let start = from; start < to; start += SLICE_MS) {
    const end = Math.min(to, start + SLICE_MS)
    const parameters = new URLSearchParams({ 'match[]': `{__name__=~"${stream.name}_.+"}` })
    parameters.set('start', (start / 1000).toFixed(3))
    parameters.set('end', (end / 1000).toFixed(3))
    const answer = storeAnswer(`${url}/api/v1/export?${parameters}`, signal ? { signal } : {})
    const slice = new Slice(stream)
    for await (const line of linesOf(answer)) {
      const series = JSON.parse(line) as Series
      const column = fields.get(series.metric.__name__ ?? '')
      if (column !== undefined) slice.add(series, column.name, column.kind === 'boolean', end)
    }
    yield* slice.rows(isWhole)
  }
}

interface Row {
  readonly device: string
  readonly ts: number
  readonly values: Record<string, unknown>
  isAmbiguous: boolean
}

class Slice {
  readonly #stream: StreamOfStore
  readonly #tags: readonly string[]
  readonly #rows = new Map<string, Row>()

  constructor(stream: StreamOfStore) {
    this.#stream = stream
    this.#tags = stream.columns.filter(({ tag }) => tag).map(({ name }) => name)
  }

  /** `end` is not in it. */
  add({ metric, values, timestamps }: Series, name: string, isBoolean: boolean, end: number): void {
    const tags = Object.fromEntries(
      this.#tags.flatMap((tag) => (metric[tag] === undefined ? [] : [[tag, metric[tag]]])),
    )
    const series = JSON.stringify([metric.device, tags])
    for (const [index, ts] of timestamps.entries()) {
      if (ts >= end) continue
      const value = isBoolean ? values[index] === 1 : values[index]
      const key = `${ts} ${series}`
      let row = this.#rows.get(key)
      if (row === undefined) {
        row = { device: metric.device ?? '', ts, values: { ...tags }, isAmbiguous: false }
        this.#rows.set(key, row)
      }
      // One that was sent again is there twice, and of two with one time both are.
      if (Object.hasOwn(row.values, name) && row.values[name] !== value) row.isAmbiguous = true
      row.values[name] = value
    }
  }

  *rows(isWhole: boolean): Generator<StoreRow> {
    for (const { device, ts, values, isAmbiguous } of this.#rows.values()) {
      yield { device, stream: this.#stream.name, ts, values: isWhole && !isAmbiguous ? values : undefined }
    }
  }
}
