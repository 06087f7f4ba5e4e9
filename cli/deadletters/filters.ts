/** Owns the options that say which dead letters are meant, the same for every command. */

import { type Command, InvalidArgumentError } from 'commander'
import { isDeviceId, isStreamName } from '../../identity/topics.ts'
import type { DeadLetterFilter } from '../../log/log.ts'
import { REJECTION_CODES as CODES } from '../../schemas/reading.ts'
import { readTime } from '../time.ts'

const isCode = (text: string) => CODES.some((code) => code === text)

export type FilterOptions = Omit<DeadLetterFilter, 'sequences'>

export function addFilters(command: Command): Command {
  return command
    .option('--device <id>', 'only of this device', only(isDeviceId, 'are 1 to 64 of A-Z a-z 0-9 . _ : -'))
    .option('--stream <name>', 'only of this stream', only(isStreamName, 'is a-z, then up to 63 of a-z 0-9 _'))
    .option('--code <code>', 'only with this code, such as malformed-avro', only(isCode, `is ${CODES.join(', ')}`))
    .option('--since <time>', 'only those received since: 2025-11-23T12:00Z, or 90m for so long ago', readTime)
    .option('--until <time>', 'only those received before', readTime)
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

function only(isAllowed: (text: string) => boolean, allowed: string): (text: string) => string {
  return (text) => {
    if (isAllowed(text)) return text
    throw new InvalidArgumentError(`Allowed ${allowed}.`)
  }
}

export function parseNumber(max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : 0
    if (number >= 1 && number <= max) return number
    throw new InvalidArgumentError(`Allowed is a whole number from 1 to ${max}.`)
  }
}
