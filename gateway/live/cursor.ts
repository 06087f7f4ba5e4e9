/**
 * Owns cursors, the places from which an app goes on, and their text: a position of the log, how many readings of one entry after
 * it were already sent (one message may hold more readings than a frame), and when the newest entry before it was received, by
 * which a store is asked for what the log does not hold any more. Opaque to apps; outlives connection, process and machine as
 * the position does.
 *
 *   <position>~<received, ms>[~<readings>[.<shard of the entry>]][!]
 *
 * The last sign says that it lies within a snapshot, which is begun again.
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
  readonly isInSnapshot?: boolean
}

export const WHOLE: PartOfEntry = { shard: 0, readings: 0 }
const TEXT = /^([^~]*)~([0-9a-z]{1,10})(?:~(\d{1,9})(?:\.(\d{1,4}))?)?(!?)$/

export function formatCursor(log: LogIdentity, { position, part, receivedAt, isInSnapshot }: Cursor): string {
  const { shard, readings } = part
  const text = `${formatPosition(log, position)}~${Math.max(0, Math.trunc(receivedAt)).toString(36)}`
  const within = readings === 0 ? '' : shard === 0 ? `~${readings}` : `~${readings}.${shard}`
  return isInSnapshot ? `${text}${within}!` : text + within
}

/** Throws a `LogError` `bad-position` for what is no cursor of this log. */
export function parseCursor(log: LogIdentity, text: string): Cursor {
  const [, position = '', receivedAt = '', readings = 0, shard = 0, snapshot = ''] = TEXT.exec(text) ?? []
  const part = { shard: Number(shard), readings: Number(readings) }
  if (receivedAt === '' || part.shard >= log.shards.length) {
    throw new LogError('bad-position', `"${text}" is no cursor of this log`)
  }
  return {
    position: parsePosition(log, position),
    part,
    receivedAt: Number.parseInt(receivedAt, 36),
    ...(snapshot !== '' && { isInSnapshot: true }),
  }
}
