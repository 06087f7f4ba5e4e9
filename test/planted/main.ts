/**
 * Owns `npm run planted`: each planted fault is tried, and printed as what and at which stage it was found. Exit 1 if one was not found, or
 * at another stage, or if something was found in the build as it is.
 */

import { Command } from 'commander'
import { MissingServer } from '../servers/server.ts'
import { ALL, type Judgement, type Tried, tryPlant } from './run-plants.ts'
import { reasonOf } from './second-try.ts'

const SECONDS_DEFAULT = 20
const NAME_CHARS = 64

const program = new Command('planted')
  .description('plants faults in builds of this tree and between its parts, and shows how a verified run finds each')
  .option('--seconds <n>', 'how long each run sends', Number, SECONDS_DEFAULT)
  .option('--only <text>', 'those whose name has this in it', '')
  .parse()
const { seconds, only } = program.opts<{ readonly seconds: number; readonly only: string }>()

const UNCHANGED: Tried = {
  name: 'nothing is planted',
  found: { codes: [], stages: [] },
  trial: { changes: [], kills: 1 },
}

// Whoever ends this ends what it started, too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

let right = 0
let wrong = 0
let again = 0
console.log(row('planted', 'found as', 'stage', ''))
const chosen = [UNCHANGED, ...ALL].filter(({ name }) => name.includes(only))
for (const plant of chosen) {
  const sayThatSlow = (outcome: Judgement['outcome']) => {
    again++
    console.log(`    ${plant.name}: only slow, and tried once more: ${reasonOf(outcome).sentence}`)
  }
  const judgement = await tryPlant(plant, seconds, sayThatSlow).catch((error: unknown) => {
    if (!(error instanceof MissingServer)) throw error
    console.log(row(plant.name, 'not tried', '-', error.message))
  })
  if (judgement === undefined) continue
  const isRight = plant === UNCHANGED ? judgement.outcome.end === 'nothing-found' : judgement.isRight
  if (isRight) right++
  else wrong++
  print(plant, judgement, isRight)
}
console.log(`${right} right, ${wrong} wrong, ${chosen.length - right - wrong} not tried; ${again} tried twice`)
if (wrong > 0) process.exitCode = 1

function print({ name, found }: Tried, { outcome, finding, strays }: Judgement, isRight: boolean): void {
  const { end, findings, said } = outcome
  const code = finding === undefined ? end : `${finding.code} (${finding.count})`
  console.log(row(name, code, finding?.stage ?? '-', isRight ? 'right' : 'WRONG'))
  if (isRight) return
  if (found.codes.length > 0) console.log(`    right is ${found.codes.join(' or ')} at ${found.stages.join(' or ')}`)
  if (strays.length > 0) console.log(`    ${strays.length} of these do not follow from it`)
  for (const each of findings) console.log(`    ${each.code} at ${each.stage}, ${each.count}: ${each.sentence}`)
  if (said !== '') console.log(`    ${said.trim().replaceAll('\n', '\n    ')}`)
}

function row(name: string, code: string, stage: string, verdict: string): string {
  return `${name.padEnd(NAME_CHARS)} ${code.padEnd(32)} ${stage.padEnd(12)} ${verdict}`.trimEnd()
}
