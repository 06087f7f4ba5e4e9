/** Owns how a command is told a time: as ISO 8601, as milliseconds, or as so long ago. */

import { InvalidArgumentError } from 'commander'
import { systemClock } from '../platform/clock.ts'
import { parseDuration, parseTime } from '../platform/units.ts'

const EPOCH_MS = /^\d{12,15}$/

/** Milliseconds since 1970-01-01T00:00Z. Without a zone a time is UTC, as everything that is printed. */
export function readTime(text: string): number {
  const ago = parseDuration(text)
  if (ago !== undefined) return systemClock.now() - ago
  if (EPOCH_MS.test(text)) return Number(text)
  const time = parseTime(text)
  if (time === undefined) {
    throw new InvalidArgumentError(
      'Allowed is a time as 2025-11-23T12:00:00Z, or so long ago as 90m, with ms, s, m, h or d.',
    )
  }
  return time
}
