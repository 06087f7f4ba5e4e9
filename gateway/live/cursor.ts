/**
 * Owns cursors, the places from which an app goes on, and their text: a position of the log, how many readings of one entry after
 * it were already sent (one message may hold more readings than a frame), and when the newest entry before it was received, by
 * which a store is asked for what the log does not hold any more. Opaque to apps; outlives connection, process and machine as
 * the position does.
 *
 *   <position>~<received, ms>[~<readings>[.<shard of the entry>]][!<since, ms>]
 *
 * The last part says that the place lies within what is sent in another order than the log's, which is begun again: a snapshot, or
 * what the store has of the time since.
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
  /** When the newest entry before it was received, milliseconds; an estimate where none was read. */
  readonly receivedAt: number
  /** What is begun again: what was read since then, milliseconds, or the last readings of all. */
  readonly again?: number | 'latest'
}

export const WHOLE: PartOfEntry = { shard: 0, readings: 0 }
const TEXT = /^([^~]*)~([0-9a-z]{1,10})(?:~(\d{1,9})(?:\.(\d{1,4}))?)?(?:!([0-9a-z]{0,10}))?$/

export function formatCursor(log: LogIdentity, { position, part, receivedAt, again }: Cursor): string {
  const { shard, readings } = part
  const text = `${formatPosition(log, position)}~${Math.max(0, Math.trunc(receivedAt)).toString(36)}`
  const within = readings === 0 ? '' : shard === 0 ? `~${readings}` : `~${readings}.${shard}`
  if (again === undefined) return text + within
  return `${text}${within}!${again === 'latest' ? '' : Math.max(0, Math.trunc(again)).toString(36)}`
}

/** Throws a `LogError` `bad-position` for what is no cursor of this log. */
export function parseCursor(log: LogIdentity, text: string): Cursor {
  const [, position = '', receivedAt = '', readings = 0, shard = 0, again] = TEXT.exec(text) ?? []
  const part = { shard: Number(shard), readings: Number(readings) }
  if (receivedAt === '' || part.shard >= log.shards.length) {
    throw new LogError('bad-position', `"${text}" is no cursor of this log`)
  }
  return {
    position: parsePosition(log, position),
    part,
    receivedAt: Number.parseInt(receivedAt, 36),
    ...(again !== undefined && { again: again === '' ? 'latest' : Number.parseInt(again, 36) }),
  }
}
