/** Owns the text of a local log's positions: the log's id, so that another log's position is refused, and an offset. */

import { LogError } from '../log.ts'
import type { Position } from '../position.ts'

const POSITION = /^([0-9a-f]{8})-([0-9a-z]{1,11})$/

export function formatPosition(logId: string, offset: number): Position {
  return `${logId}-${offset.toString(36)}` as Position
}

/** Throws a `LogError` `bad-position` for what is no position of the log named. */
export function parsePosition(logId: string, position: Position): number {
  const match = POSITION.exec(position)
  if (match?.[1] !== logId) throw new LogError('bad-position', `"${position}" is no position of this log`)
  return Number.parseInt(match[2] ?? '', 36)
}
