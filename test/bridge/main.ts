/** Owns `npm run storm:bridge`: the long form of the storm at a bridge. Exit 1 if anything was lost, or the ledger does not balance. */

import { Command, InvalidArgumentError } from 'commander'
import { isCalm, storm } from './storm.ts'

const { messages, kills, devices } = new Command('storm:bridge')
  .description('kills Mosquitto and the bridge by turns, and looks for every message that Mosquitto acknowledged')
  .option('--messages <n>', 'of QoS 1', positive, 100_000)
  .option('--kills <n>', 'of each of the two', positive, 5)
  .option('--devices <n>', 'that publish', positive, 100)
  .parse()
  .opts<{ messages: number; kills: number; devices: number }>()
const report = await storm({ messages, kills, devices, say: (line) => console.log(line) })
for (const [name, value] of Object.entries(report)) console.log(`${name.padEnd(15)}${JSON.stringify(value)}`)
if (!isCalm(report)) process.exitCode = 1

function positive(value: string): number {
  const number = Number(value)
  if (number > 0) return number
  throw new InvalidArgumentError('Allowed is a number above 0.')
}
