/** Owns `telltale deadletters list`. */

import { Command } from 'commander'
import { type DeadLetterPlace, firstPlace, formatPlace, parsePlace, placeBehind } from '../../log/dead-letter-place.ts'
import type { DeadLetter } from '../../log/log.ts'
import { withLog } from '../log.ts'
import { formatTable } from '../table.ts'
import { UsageError } from '../usage-error.ts'
import { addFilters, type FilterOptions, filterOf, parseNumber } from './filters.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 100_000
const HEADER = ['number', 'received', 'device', 'stream', 'code', 'bytes', 'reason']

interface ListOptions extends FilterOptions {
  readonly after?: string
  readonly limit: number
  readonly json?: boolean
}

export function listCommand(): Command {
  return addFilters(new Command('list'))
    .description('dead letters, oldest first')
    .option('--after <number>', 'only those after this one', parseAfter)
    .option('--limit <n>', 'at most so many', parseNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .option('--json', 'one JSON object a line, payload in base64')
    .action(list)
}

async function list(options: ListOptions): Promise<void> {
  const { limit, json } = options
  const { found, after } = await withLog(async (log) => {
    const place = placeIn(log.shards.length, options.after)
    return { found: await log.deadLetters({ ...filterOf(options), after: place, limit: limit + 1 }), after: place }
  })
  const letters = found.slice(0, limit)
  if (json) for (const letter of letters) process.stdout.write(`${JSON.stringify(letterAsJson(letter))}\n`)
  else process.stdout.write(formatTable(HEADER, letters.map(asRow)))
  if (found.length > limit) {
    const next = letters.reduce((place, { sequence }) => placeBehind(place, sequence), after)
    process.stderr.write(`There are more: --after ${formatPlace(next)} goes on.\n`)
  }
}

/** Of several shards a place has several numbers: how many is known when the log is open. */
const parseAfter = (text: string): string =>
  text.includes('.') ? text : String(parseNumber(Number.MAX_SAFE_INTEGER)(text))

function placeIn(shards: number, text: string | undefined): DeadLetterPlace {
  if (text === undefined) return firstPlace(shards)
  const place = parsePlace(text, shards)
  if (place === undefined) throw new UsageError(`--after ${text} is no place among the dead letters of this log`)
  return place
}

export function letterAsJson(letter: DeadLetter) {
  // What its contents are shown by.
  const { payload, framing: _, ...rest } = letter
  return { ...rest, payload: Buffer.from(payload).toString('base64') }
}

function asRow(letter: DeadLetter): string[] {
  const { sequence, receivedAt, device, stream, code, payload, reason } = letter
  return [String(sequence), new Date(receivedAt).toISOString(), device, stream, code, String(payload.length), reason]
}
