/** Owns which entries of the log are telemetry for apps, what they say, and the pieces in which a batch of them is handled. */

import { type Batch, type Entry, REPLAYED, readEntries, SET_ASIDE } from '../../log/entry.ts'
import type { Offset } from '../../log/position.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'

/** Payload bytes that are handled before other work gets its turn; at least one entry. */
export const TAIL_BYTES_PER_TURN = 64 * 1024

/** A message, or one appended again that apps have not had. One that was decoded before (`DELIVERED_LIVE`) would come twice. */
export const isTelemetry = (entry: Entry) => (entry.flags & ~(REPLAYED | SET_ASIDE)) === 0

/** Its readings, or why it has none; undefined of what was set aside when it was appended, for that may be replayed. */
export function outcomeOf(entry: Entry, decoder: Pick<Decoder, 'decode'>): readonly Reading[] | Rejection | undefined {
  return (entry.flags & SET_ASIDE) === 0 ? decoder.decode(entry) : undefined
}

/** Its readings, if it has any. */
export function readingsOf(entry: Entry, decoder: Pick<Decoder, 'decode'>): readonly Reading[] | undefined {
  const outcome = outcomeOf(entry, decoder)
  return outcome instanceof Rejection ? undefined : outcome
}

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
