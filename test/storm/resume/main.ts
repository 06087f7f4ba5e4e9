/** Owns `npm run storm:resume`: the long form of the resume storm. Exit 1 if an app lost anything, or had it twice. */

import { Command, InvalidArgumentError, Option } from 'commander'
import type { StoreKind } from './field.ts'
import { formatReport, resumeStorm } from './storm.ts'

interface Options {
  readonly resumes: number
  readonly seed: number
  readonly apps: number
  readonly speed: number
  readonly store: StoreKind
}

const program = new Command('storm:resume')
  .description('cuts apps off at random and accounts for every reading that they have had, or were told is missing')
  .option('--resumes <n>', 'so many of them', positive, 10_000)
  .option('--seed <n>', 'what happens and when follows from it', positive, Date.now() % 2 ** 31)
  .option('--apps <n>', 'on two gateways', positive, 40)
  .option('--speed <n>', 'devices publish so many times as often', positive, 1)
  .addOption(new Option('--store <kind>', 'what ingest writes to').choices(['embedded', 'influx']).default('embedded'))
  .parse()

const options = program.opts<Options>()
console.log(`seed ${options.seed}`)
const report = await resumeStorm({ ...options, say: (line) => console.log(line) })
console.log(formatReport(report))
if (report.findings.length > 0) process.exitCode = 1

function positive(value: string): number {
  const number = Number(value)
  if (number > 0) return number
  throw new InvalidArgumentError('Allowed is a number above 0.')
}
