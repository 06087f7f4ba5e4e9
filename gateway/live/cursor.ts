/**
 * Owns cursors, the places from which an app goes on, and their text: a position of the log, how many readings of one entry after
 * it were already sent (one message may hold more readings than a frame), and when the newest entry before it was received, by
 * which a store is asked for what the log does not hold any more. Opaque to apps; outlives connection, process and machine as
 * the position does.
 *
 *   <position>~<received, ms>[~<readings>[.<shard of the entry>]][![<since, ms>[-<to, ms>][.<history key>]]]
 *
 * The last part says that the place lies within what is sent in another order than the log's, before what the log has from the
 * position on: a snapshot, which is begun again, or what the store has of the time since, behind a reading.
 */

import { LogError } from '../../log/log-error.ts'
import { formatPosition, type LogIdentity, type Position, parsePosition } from '../../log/position.ts'
import type { HistoryKey } from '../../schemas/history.ts'
import { readKey, writeKey } from '../history-key.ts'

/** An entry of which some readings lie before a cursor: the next one of that shard. */
export interface PartOfEntry {
  readonly shard: number
  readonly readings: number
}

/** Within what the store has of a time, milliseconds: at its beginning, or behind a reading. */
export interface StorePlace {
  readonly since: number
  /** Of what the log has lost, for which a gap was told: the end of the time, not part of it. */
  readonly to?: number
  readonly after?: HistoryKey
}

export interface Cursor {
  readonly position: Position
  readonly part: PartOfEntry
  /** When the newest entry before it was received, milliseconds; an estimate where none was read. */
  readonly receivedAt: number
  /** `latest`: within a snapshot. */
  readonly within?: 'latest' | StorePlace
}

export const WHOLE: PartOfEntry = { shard: 0, readings: 0 }
const TEXT =
  /^([^~]*)~([0-9a-z]{1,10})(?:~(\d{1,9})(?:\.(\d{1,4}))?)?(?:!([0-9a-z]{0,10})(?:-([0-9a-z]{1,10}))?(?:\.([A-Za-z0-9_-]+))?)?$/

export function formatCursor(log: LogIdentity, { position, part, receivedAt, within }: Cursor): string {
  const { shard, readings } = part
  const text = `${formatPosition(log, position)}~${formatTime(receivedAt)}`
  const ofEntry = readings === 0 ? '' : shard === 0 ? `~${readings}` : `~${readings}.${shard}`
  if (within === undefined) return text + ofEntry
  if (within === 'latest') return `${text}${ofEntry}!`
  const to = within.to === undefined ? '' : `-${formatTime(within.to)}`
  const key = within.after === undefined ? '' : `.${writeKey(within.after)}`
  return `${text}${ofEntry}!${formatTime(within.since)}${to}${key}`
}

const formatTime = (ms: number): string => Math.max(0, Math.trunc(ms)).toString(36)

/** Throws a `LogError` `bad-position` for what is no cursor of this log. */
export function parseCursor(log: LogIdentity, text: string): Cursor {
  const [, position = '', receivedAt = '', readings = 0, shard = 0, since, to, key] = TEXT.exec(text) ?? []
  const part = { shard: Number(shard), readings: Number(readings) }
  const after = key === undefined ? undefined : readKey(key)?.key
  if (
    receivedAt === '' ||
    part.shard >= log.shards.length ||
    (key !== undefined && after === undefined) ||
    (since === '' && (to ?? key) !== undefined)
  ) {
    throw new LogError('bad-position', `"${text}" is no cursor of this log`)
  }
  return {
    position: parsePosition(log, position),
    part,
    receivedAt: Number.parseInt(receivedAt, 36),
    ...(since === '' && { within: 'latest' }),
    ...(since && {
      within: {
        since: Number.parseInt(since, 36),
        ...(to && { to: Number.parseInt(to, 36) }),
        ...(after && { after }),
      },
    }),
  }
}
