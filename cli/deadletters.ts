/** Owns `telltale deadletters`: what was accepted and then set aside, why, and its bytes. */

import { Command, InvalidArgumentError } from 'commander'
import type { DeadLetter } from '../log/log.ts'
import { hexDump } from './hex-dump.ts'
import { withLog } from './installation.ts'
import { formatTable } from './table.ts'
import { UsageError } from './usage-error.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 100_000

interface ListOptions {
  readonly device?: string
  readonly stream?: string
  readonly code?: string
  readonly after?: number
  readonly limit: number
  readonly json?: boolean
}

export function deadLettersCommand(): Command {
  const list = new Command('list')
    .description('dead letters, oldest first')
    .option('--device <id>', 'only of this device')
    .option('--stream <name>', 'only of this stream')
    .option('--code <code>', 'only with this code, such as malformed-avro')
    .option('--after <number>', 'only those after this one', parseCount)
    .option('--limit <n>', 'at most so many', parseCount, LIMIT_DEFAULT)
    .option('--json', 'one JSON object a line, payload in base64')
    .action(async (options: ListOptions) => {
      const { json, ...query } = options
      const letters = await withLog((log) => log.deadLetters(query))
      if (json) for (const letter of letters) process.stdout.write(`${JSON.stringify(asJson(letter))}\n`)
      else process.stdout.write(formatTable(HEADER, letters.map(asRow)))
    })

  const show = new Command('show')
    .description('one dead letter with its raw bytes')
    .argument('<number>', 'its number, as listed', parseCount)
    .option('--json', 'as JSON, payload in base64')
    .action(async (sequence: number, options: { json?: boolean }) => {
      const letter = await withLog((log) => log.deadLetter(sequence))
      if (letter === undefined)
        throw new UsageError(`there is no dead letter ${sequence}: see telltale deadletters list`)
      if (options.json) process.stdout.write(`${JSON.stringify(asJson(letter))}\n`)
      else process.stdout.write(describe(letter))
    })

  return new Command('deadletters')
    .description('messages that were accepted and then set aside')
    .addCommand(list)
    .addCommand(show)
}

const HEADER = ['number', 'received', 'device', 'stream', 'code', 'bytes', 'reason']

function asRow(letter: DeadLetter): string[] {
  const { sequence, receivedAt, device, stream, code, payload, reason } = letter
  return [String(sequence), new Date(receivedAt).toISOString(), device, stream, code, String(payload.length), reason]
}

function asJson(letter: DeadLetter) {
  const { payload, ...rest } = letter
  return { ...rest, payload: Buffer.from(payload).toString('base64') }
}

function describe(letter: DeadLetter): string {
  const facts: [string, string][] = [
    ['number', String(letter.sequence)],
    ['device', letter.device],
    ['stream', letter.stream],
    ['code', letter.code],
    ['reason', letter.reason],
    ['received', new Date(letter.receivedAt).toISOString()],
    ['set aside', new Date(letter.setAsideAt).toISOString()],
    ['log offset', String(letter.offset)],
    ['payload', `${letter.payload.length} bytes`],
  ]
  const lines = facts.map(([name, value]) => `${name.padEnd(12)}${value}`)
  return `${lines.join('\n')}\n\n${hexDump(Buffer.from(letter.payload))}`
}

function parseCount(value: string): number {
  const count = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (count >= 1 && count <= LIMIT_MAX) return count
  throw new InvalidArgumentError(`Allowed is a whole number from 1 to ${LIMIT_MAX}.`)
}
