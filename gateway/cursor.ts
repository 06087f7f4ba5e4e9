/**
 * Owns the text of cursors: a log position, and how many readings of the entry after it were already sent (one message
 * may hold more readings than a frame). Opaque to apps; outlives connection, process and machine as the position does.
 */

import type { Position } from '../log/position.ts'

export interface Cursor {
  readonly position: Position
  /** Readings of the entry after `position` that lie before the cursor. */
  readonly readings: number
}

const SEPARATOR = '~'

export function formatCursor(position: Position, readings = 0): string {
  return readings === 0 ? position : `${position}${SEPARATOR}${readings}`
}

/** Whether the position is one of the log's is for the log to say. */
export function parseCursor(text: string): Cursor {
  const at = text.lastIndexOf(SEPARATOR)
  const readings = at < 0 ? 0 : Number(text.slice(at + 1))
  if (at < 0 || !Number.isSafeInteger(readings)) return { position: text as Position, readings: 0 }
  return { position: text.slice(0, at) as Position, readings }
}
