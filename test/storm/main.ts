/** Owns `npm run storm`: the long form of the kill storm. Exit 1 if anything was lost, doubled or not balanced. */

import { Command, InvalidArgumentError } from 'commander'
import { formatReport, isCalm, storm } from './storm.ts'

interface Options {
  readonly minutes?: number
  readonly cycles?: number
  readonly seed: number
  readonly devices: number
  readonly rate: number
}

const MINUTES_DEFAULT = 30

const program = new Command('storm')
  .description('kills the platform and InfluxDB under load, and accounts for every acknowledged message')
  .option('--minutes <n>', `begin cycles for so long (${MINUTES_DEFAULT} unless --cycles is given)`, positive)
  .option('--cycles <n>', 'so many cycles', positive)
  .option('--seed <n>', 'what is killed and when follows from it', positive, Date.now() % 2 ** 31)
  .option('--devices <n>', 'devices that publish', positive, 20)
  .option('--rate <n>', 'messages a second of each', positive, 50)
  .parse()

const { minutes, cycles, seed, devices, rate } = program.opts<Options>()
console.log(`seed ${seed}`)
const report = await storm({
  seed,
  devices,
  rate,
  cycles: cycles ?? Number.POSITIVE_INFINITY,
  durationMs: 60_000 * (minutes ?? (cycles === undefined ? MINUTES_DEFAULT : Number.POSITIVE_INFINITY)),
  say: (line) => console.log(line),
})
console.log(formatReport(report))
if (!isCalm(report)) process.exitCode = 1

function positive(value: string): number {
  const number = Number(value)
  if (number > 0) return number
  throw new InvalidArgumentError('Allowed is a number above 0.')
}
