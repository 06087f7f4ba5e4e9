/**
 * Owns `npm run mutants`: so many automatic mutants of the data path, each built, started, killed -9 once and put to a verified run; a table of
 * what killed each, the score, and who survived. Exit 1 if the build as it is does not survive: then a score would mean nothing.
 */

import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { type OnSlow, reasonOf } from '../planted/second-try.ts'
import { choose } from './choice.ts'
import { DATA_PATH, isOfInflux } from './data-path.ts'
import { sitesOf } from './sites.ts'
import { hasInfluxdb, type Result, Results, tryMutant, tryUnchanged } from './trials.ts'

interface Options {
  readonly count: number
  readonly seed: number
  readonly seconds: number
  readonly parallel: number
  readonly unchanged: number
  readonly results?: string
}

const TEXT_CHARS_SHOWN = 48

const program = new Command('mutants')
  .description('mutates the sources of the data path, and counts how many mutants a verified run kills')
  .option('--count <n>', 'so many mutants, spread evenly over the files', whole, 100)
  .option('--seed <n>', 'which they are follows from it', whole, 1)
  .option('--seconds <n>', 'how long each run sends', whole, 30)
  .option('--parallel <n>', 'trials at once', whole, Math.min(2, availableParallelism()))
  .option('--unchanged <n>', 'so often the build as it is has to survive first', whole, 1)
  .option('--results <file>', 'kept there, a line a mutant; a run that was stopped goes on from it')
  .parse()
const { count, seed, seconds, parallel, unchanged, results: named } = program.opts<Options>()

// Whoever ends this ends what it started, too: the trials under way are tried again.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const hasInflux = await hasInfluxdb()
if (!hasInflux) console.log('there is no InfluxDB 2.7 here: what only writes to it and asks it is not mutated')
const sites = sitesOf(DATA_PATH.filter((file) => hasInflux || !isOfInflux(file)))
const chosen = choose(sites, count, seed)
const all = [...sites.values()].reduce((sum, { length }) => sum + length, 0)
const file = named ?? join(tmpdir(), `telltale-mutants-${seed}-${seconds}s.jsonl`)
console.log(`${chosen.length} of ${all} mutants of ${sites.size} files, seed ${seed}; results in ${file}`)

if (await survivesUnchanged()) {
  const results = new Results(file)
  await tryAll(results)
  printTable(chosen.flatMap((site) => results.of(site, seconds) ?? []))
} else process.exitCode = 1

async function survivesUnchanged(): Promise<boolean> {
  for (let time = 1; time <= unchanged; time++) {
    for (const influx of hasInflux ? [false, true] : [false]) {
      const store = influx ? 'InfluxDB' : 'the embedded store'
      const outcome = await tryUnchanged(seconds, influx, sayThatSlow(`unchanged, with ${store}`))
      if (outcome.end === 'nothing-found') console.log(`unchanged, with ${store}: survived (${time} of ${unchanged})`)
      else {
        const { by, sentence } = reasonOf(outcome)
        console.error(`the build as it is does not survive with ${store}: ${by}: ${sentence}`)
        return false
      }
    }
  }
  return true
}

async function tryAll(results: Results): Promise<void> {
  const waiting = chosen.filter((site) => results.of(site, seconds) === undefined)
  if (waiting.length < chosen.length) console.log(`${chosen.length - waiting.length} were tried before`)
  const tryNext = async () => {
    for (let site = waiting.shift(); site !== undefined; site = waiting.shift()) {
      const result = await tryMutant(site, seconds, sayThatSlow(`${site.file}:${site.line}`))
      results.add(result)
      console.log(row(result))
    }
  }
  await Promise.all(Array.from({ length: parallel }, tryNext))
}

/** A first trial that was only slow does not count, and is not silent. */
function sayThatSlow(name: string): OnSlow {
  return (outcome) => {
    const { by, sentence } = reasonOf(outcome)
    console.log(`${name}: only slow, and tried once more: ${by}: ${sentence}`)
  }
}

function printTable(results: readonly Result[]): void {
  console.log('')
  const ordered = [...results].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line))
  for (const result of ordered) console.log(row(result))
  if (results.length === 0) return
  const killed = results.filter(({ isKilled }) => isKilled).length
  const score = ((100 * killed) / results.length).toFixed(0)
  const again = results.filter(({ slow }) => slow !== undefined).length
  console.log(`\n${killed} of ${results.length} killed, ${score} %; ${again} tried twice\nsurvived:`)
  for (const result of ordered) if (!result.isKilled) console.log(`  ${row(result)}`)
}

function row({ operator, file, line, before, after, isKilled, by, slow }: Result): string {
  const change = `${shown(before)} -> ${shown(after)}`
  const fate = isKilled ? `killed: ${by}` : 'SURVIVED'
  const first = slow === undefined ? '' : `; the second time: at first ${slow}`
  return `${operator.padEnd(12)} ${`${file}:${line}`.padEnd(40)} ${change}   ${fate}${first}`
}

function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length > TEXT_CHARS_SHOWN ? `${line.slice(0, TEXT_CHARS_SHOWN)}...` : line
}

function whole(value: string): number {
  if (/^\d+$/.test(value)) return Number(value)
  throw new InvalidArgumentError('Allowed is a whole number.')
}
