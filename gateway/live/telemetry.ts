/** Owns which entries of the log are telemetry for apps, and the pieces in which a batch of them is handled. */

import { type Batch, type Entry, REPLAYED, readEntries } from '../../log/entry.ts'
import type { Offset } from '../../log/position.ts'

/** Payload bytes that are handled before other work gets its turn; at least one entry. */
export const TAIL_BYTES_PER_TURN = 64 * 1024

/** A message, or one appended again that apps have not had. One that was decoded before (`DELIVERED_LIVE`) would come twice. */
export const isTelemetry = (entry: Entry) => (entry.flags & ~REPLAYED) === 0

export interface Piece {
  readonly entries: readonly Entry[]
  /** Of the entry after it. */
  readonly next: Offset
}

/** The entries of a batch in pieces of at most `TAIL_BYTES_PER_TURN` of payload, but at least one entry. */
export function* piecesOf(batch: Batch): Generator<Piece> {
  let entries: Entry[] = []
  let bytes = 0
  for (const entry of readEntries(batch)) {
    bytes += entry.payload.length
    if (bytes > TAIL_BYTES_PER_TURN && entries.length > 0) {
      yield { entries, next: entry.offset }
      entries = []
      bytes = entry.payload.length
    }
    entries.push(entry)
  }
  yield { entries, next: batch.next }
}
