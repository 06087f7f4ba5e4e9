/**
 * Owns the shape of a page of history, so that every store's comes out alike: the order, the cut, and which streams and
 * devices a list of selections comes down to.
 */

import type { Aggregate, HistoryPage, Selection } from '../schemas/history.ts'
import type { Column, Reading, Stream } from '../schemas/reading.ts'

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

/** Orders by time, device, stream and cuts at `limit`; `more` says that a source was itself cut. */
export function page(readings: Reading[], limit: number, more: boolean): HistoryPage {
  readings.sort(byTimeDeviceStream)
  const truncated = more || readings.length > limit
  if (readings.length > limit) readings.length = limit
  return { readings, truncated }
}

function byTimeDeviceStream(a: Reading, b: Reading): number {
  if (a.ts !== b.ts) return a.ts - b.ts
  if (a.device !== b.device) return a.device < b.device ? -1 : 1
  return a.stream === b.stream ? 0 : a.stream < b.stream ? -1 : 1
}
