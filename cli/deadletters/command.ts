/** Owns `telltale deadletters`: what was accepted and then set aside, why, its bytes, and what is to become of it. */

import { Command } from 'commander'
import { withLog } from '../log.ts'
import { formatTable } from '../table.ts'
import { listCommand } from './list.ts'
import { purgeCommand, replayCommand } from './remove.ts'
import { showCommand } from './show.ts'

export function deadLettersCommand(): Command {
  const count = new Command('count')
    .description('how many are held, and what became of the others')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const counts = await withLog((log) => log.deadLetterCounts())
      if (options.json) process.stdout.write(`${JSON.stringify(counts)}\n`)
      else process.stdout.write(formatTable(Object.keys(counts), [Object.values(counts).map(String)]))
    })
  return new Command('deadletters')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(replayCommand())
    .addCommand(purgeCommand())
    .addCommand(count)
}
