/** Owns `npm run storm:schemas`: the long form of the schema storm. Exit 1 if a reading is lost, wrong or out of order. */

import { Command, InvalidArgumentError, Option } from 'commander'
import { formatReport, isCalm, type StoreKind, schemaStorm } from './storm.ts'

interface Options {
  readonly seconds: number
  readonly seed: number
  readonly devices: number
  readonly rate: number
  readonly store: StoreKind
  readonly kill: boolean
}

const program = new Command('storm:schemas')
  .description('adds versions of a schema under load and accounts for every reading, whichever version it was sent by')
  .option('--seconds <n>', 'so long', positive, 60)
  .option('--seed <n>', 'when it is killed follows from it', positive, Date.now() % 2 ** 31)
  .option('--devices <n>', 'devices that publish', positive, 40)
  .option('--rate <n>', 'messages a second of all together, whatever becomes of them', positive, 2_000)
  .option('--kill', 'kill -9 after each change', false)
  .addOption(new Option('--store <kind>', 'what ingest writes to').choices(['embedded', 'influx']).default('embedded'))
  .parse()

const options = program.opts<Options>()
console.log(`seed ${options.seed}`)
const report = await schemaStorm({ ...options, say: (line) => console.log(line) })
console.log(formatReport(report))
if (!isCalm(report)) process.exitCode = 1

function positive(value: string): number {
  const number = Number(value)
  if (number > 0) return number
  throw new InvalidArgumentError('Allowed is a number above 0.')
}
