/** Owns `telltale deadletters list`. */

import { Command } from 'commander'
import type { DeadLetter } from '../../log/log.ts'
import { withLog } from '../log.ts'
import { formatTable } from '../table.ts'
import { addFilters, type FilterOptions, filterOf, parseNumber } from './filters.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 100_000
const HEADER = ['number', 'received', 'device', 'stream', 'code', 'bytes', 'reason']

interface ListOptions extends FilterOptions {
  readonly after?: number
  readonly limit: number
  readonly json?: boolean
}

export function listCommand(): Command {
  return addFilters(new Command('list'))
    .description('dead letters, oldest first')
    .option('--after <number>', 'only those after this one', parseNumber(Number.MAX_SAFE_INTEGER))
    .option('--limit <n>', 'at most so many', parseNumber(LIMIT_MAX), LIMIT_DEFAULT)
    .option('--json', 'one JSON object a line, payload in base64')
    .action(list)
}

async function list(options: ListOptions): Promise<void> {
  const { after = 0, limit, json } = options
  const found = await withLog((log) => log.deadLetters({ ...filterOf(options), after, limit: limit + 1 }))
  const letters = found.slice(0, limit)
  if (json) for (const letter of letters) process.stdout.write(`${JSON.stringify(letterAsJson(letter))}\n`)
  else process.stdout.write(formatTable(HEADER, letters.map(asRow)))
  if (found.length > limit) process.stderr.write(`There are more: --after ${letters.at(-1)?.sequence} goes on.\n`)
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
