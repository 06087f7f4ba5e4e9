/** Owns `telltale ledger`: the books of this installation. Exit code 1 when they do not balance. */

import { Command } from 'commander'
import { INGEST_READER } from '../log/log.ts'
import { withLog } from './installation.ts'
import { formatTable } from './table.ts'

export function ledgerCommand(): Command {
  return new Command('ledger')
    .description('what was accepted, stored, dead-lettered and is pending; exit 1 if it does not balance')
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const ledger = await withLog((log) => log.ledger(INGEST_READER))
      if (options.json) process.stdout.write(`${JSON.stringify(ledger)}\n`)
      else process.stdout.write(formatTable(Object.keys(ledger), [Object.values(ledger).map(String)]))
      if (!ledger.balanced) process.exitCode = 1
    })
}
