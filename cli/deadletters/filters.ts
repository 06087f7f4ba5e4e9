/** Owns the options that say which dead letters are meant, the same for every command. */

import { type Command, InvalidArgumentError } from 'commander'
import type { DeadLetterFilter } from '../../log/log.ts'
import { systemClock } from '../../platform/clock.ts'
import { parseDuration } from '../../platform/units.ts'

const ISO_8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/
const EPOCH_MS = /^\d{12,15}$/

export type FilterOptions = Omit<DeadLetterFilter, 'sequences'>

export function addFilters(command: Command): Command {
  return command
    .option('--device <id>', 'only of this device')
    .option('--stream <name>', 'only of this stream')
    .option('--code <code>', 'only with this code, such as malformed-avro')
    .option('--since <time>', 'only those received since: 2025-11-23T12:00Z, or 90m for so long ago', parseTime)
    .option('--until <time>', 'only those received before', parseTime)
}

/** The filter of options that may hold more than that. */
export function filterOf({ device, stream, code, since, until }: FilterOptions): FilterOptions {
  return {
    ...(device !== undefined && { device }),
    ...(stream !== undefined && { stream }),
    ...(code !== undefined && { code }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  }
}

/** Milliseconds since 1970-01-01T00:00Z. Without a zone a time is UTC, as everything that is printed. */
function parseTime(text: string): number {
  const ago = parseDuration(text)
  if (ago !== undefined) return systemClock.now() - ago
  if (EPOCH_MS.test(text)) return Number(text)
  const match = ISO_8601.exec(text)
  const time = match && Date.parse(match[1] !== undefined && match[4] === undefined ? `${text}Z` : text)
  if (time === null || Number.isNaN(time)) {
    throw new InvalidArgumentError(
      'Allowed is a time as 2025-11-23T12:00:00Z, or so long ago as 90m, with ms, s, m, h or d.',
    )
  }
  return time
}

export function parseNumber(max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : 0
    if (number >= 1 && number <= max) return number
    throw new InvalidArgumentError(`Allowed is a whole number from 1 to ${max}.`)
  }
}
