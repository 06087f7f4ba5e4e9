/** Owns `telltale log`: making the log that several processes share, once, before the first of them starts. */

import { Command } from 'commander'
import { loadSettings } from '../platform/settings.ts'
import { engineOf } from './streams.ts'
import { UsageError } from './usage-error.ts'

/** A number that divides by many, so that shards are spread evenly over whatever number of processes. */
const SHARDS = 12
const SHARDS_MAX = 256
const COPIES = 3

export function logCommand(): Command {
  return new Command('log').addCommand(
    new Command('init')
      .description(
        'make the log of TELLTALE_LOG on Kafka or RabbitMQ: its topics or queues, with settings that lose nothing',
      )
      .option(
        '--shards <number>',
        `parts that can be worked on by different processes; for ever (1 to ${SHARDS_MAX})`,
        `${SHARDS}`,
      )
      .option('--copies <number>', 'machines that each message is kept on', `${COPIES}`)
      .action((options: { shards: string; copies: string }) => init(options)),
  )
}

async function init({ shards, copies }: { shards: string; copies: string }): Promise<void> {
  const settings = loadSettings()
  const engine = await engineOf(settings)
  if (engine === undefined) throw new UsageError('TELLTALE_LOG is local: there is nothing to make, it begins by itself')
  const streams = { shards: numberOf('--shards', shards), copies: numberOf('--copies', copies) }
  await engine.init(streams)
  process.stdout.write(`${engine.streams.where}: ${streams.shards} shards, ${streams.copies} copies of each\n`)
}

function numberOf(option: string, text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= SHARDS_MAX) return number
  throw new UsageError(`${option} is ${text}: allowed is a whole number from 1 to ${SHARDS_MAX}`)
}
