/** Owns `telltale ledger`: the books of this installation, or of one device. Exit code 1 when they do not balance. */

import { Command } from 'commander'
import { isDeviceId } from '../identity/topics.ts'
import { INGEST_READER } from '../log/log.ts'
import { withLog } from './log.ts'
import { formatTable } from './table.ts'
import { UsageError } from './usage-error.ts'

export function ledgerCommand(): Command {
  return new Command('ledger').option('--device <id>', 'of this device only').option('--json', 'as JSON').action(ledger)
}

async function ledger({ device, json }: { device?: string; json?: boolean }): Promise<void> {
  if (device !== undefined && !isDeviceId(device)) {
    throw new UsageError(`--device is "${device}": allowed are 1 to 64 of A-Z a-z 0-9 . _ : -`)
  }
  const books = await withLog(async (log) => {
    if (device !== undefined) return log.deviceLedger(INGEST_READER, device)
    const { held, replayed } = await log.deadLetterCounts()
    return { ...(await log.ledger(INGEST_READER)), held, replayed }
  })
  if (json) process.stdout.write(`${JSON.stringify(books)}\n`)
  else process.stdout.write(formatTable(Object.keys(books), [Object.values(books).map(String)]))
  if (!books.balanced) process.exitCode = 1
}
