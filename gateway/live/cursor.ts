/**
 * Owns the text of cursors: a position of the log, and how many readings of one entry after it were already sent (one
 * message may hold more readings than a frame). Opaque to apps; outlives connection, process and machine as the position does.
 *
 *   <position>   or   <position>~<readings>.<shard of the entry>, without the shard if that is 0
 */

import { LogError } from '../../log/log-error.ts'
import { formatPosition, type LogIdentity, type Position, parsePosition } from '../../log/position.ts'

/** An entry of which some readings lie before a cursor: the next one of that shard. */
export interface PartOfEntry {
  readonly shard: number
  readonly readings: number
}

export interface Cursor {
  readonly position: Position
  readonly part: PartOfEntry
}

const WHOLE: PartOfEntry = { shard: 0, readings: 0 }
const TEXT = /^([^~]*)(?:~(\d{1,9})(?:\.(\d{1,4}))?)?$/

export function formatCursor(log: LogIdentity, position: Position, { shard, readings }: PartOfEntry = WHOLE): string {
  const text = formatPosition(log, position)
  if (readings === 0) return text
  return shard === 0 ? `${text}~${readings}` : `${text}~${readings}.${shard}`
}

/** Throws a `LogError` `bad-position` for what is no cursor of this log. */
export function parseCursor(log: LogIdentity, text: string): Cursor {
  const [, position = '', readings = 0, shard = 0] = TEXT.exec(text) ?? []
  const part = { shard: Number(shard), readings: Number(readings) }
  if (part.shard >= log.shards.length) throw new LogError('bad-position', `"${text}" is no cursor of this log`)
  return { position: parsePosition(log, position), part }
}
