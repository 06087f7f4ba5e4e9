/** Owns `telltale deadletters show`: one dead letter, its bytes, and what can be read in them. */

import { Command } from 'commander'
import type { DeadLetter } from '../../log/log.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { createLogger } from '../../platform/logger.ts'
import { printableLines } from '../../platform/printable.ts'
import { Decoder } from '../../schemas/decoder.ts'
import type { Contents } from '../../schemas/framing.ts'
import { readSetAside } from '../../schemas/set-aside-payload.ts'
import { hexDump } from '../hex-dump.ts'
import { openSchemas } from '../installation.ts'
import { withLog } from '../log.ts'
import { parseNumber } from './filters.ts'
import { letterAsJson } from './list.ts'

const LABEL_CHARS = 12

export function showCommand(): Command {
  return new Command('show')
    .description('one dead letter: its bytes, and what can be read in them by the registered schemas')
    .argument('<number>', 'its number, as listed', parseNumber(Number.MAX_SAFE_INTEGER))
    .option('--json', 'as JSON, payload in base64')
    .action(show)
}

async function show(sequence: number, options: { json?: boolean }): Promise<void> {
  const { letter, registry } = await withLog(async (log, settings) => {
    const { schemas, mapsWatch } = openSchemas(settings, createLogger({ level: 'error', pretty: false }))
    mapsWatch.look()
    return { letter: await log.deadLetter(sequence), registry: schemas.registry }
  })
  if (letter === undefined) {
    throw new TelltaleError('no-dead-letter', `there is no dead letter ${sequence}: see telltale deadletters list`)
  }
  const contents = readSetAside(letter, new Decoder(registry))
  if (options.json) process.stdout.write(`${JSON.stringify({ ...letterAsJson(letter), contents: contents.json })}\n`)
  else process.stdout.write(describe(letter, contents.lines))
}

function describe(letter: DeadLetter, contents: Contents['lines']): string {
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
  const lines = ([name, value]: readonly [string, string]) =>
    `${name.padEnd(LABEL_CHARS)}${printableLines(value, ' '.repeat(LABEL_CHARS))}`.trimEnd()
  const bytes = hexDump(Buffer.from(letter.payload))
  return `${facts.map(lines).join('\n')}\n\n${bytes}${bytes === '' ? '' : '\n'}${contents.map(lines).join('\n')}\n`
}
