/**
 * Owns `telltale verify <folder>`: a run that was kept is verified, or verified once more, and its summary and report say so from then on.
 * Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.
 */

import { Command, Option } from 'commander'
import type { Clock } from '../../platform/clock.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { printable } from '../../platform/printable.ts'
import { storeOf } from './assembly.ts'
import { readSummary, writeReports } from './report/run-files.ts'
import type { Verification } from './report/summary.ts'
import { summaryText, verificationText } from './report/summary-text.ts'
import { judged } from './run/summarize.ts'
import { type NamedStore, queryOf } from './verify/named-store.ts'
import { readRunRecord, verifyRun } from './verify/verify.ts'
import { columnsOf, type Output } from './view/plain.ts'

export interface VerifyCommandDeps {
  /** Of an app that may read what the fleet sent, by the installation's key; not called when `--token` is given. */
  readonly appToken: () => Promise<string>
  /** The store of the settings; undefined if that is embedded, which one process alone may open. */
  readonly store: () => NamedStore | undefined
  readonly clock: Clock
  readonly output: Output
  readonly errorOutput: Output
  readonly exit: (status: number) => void
}

interface Values {
  readonly gateway?: string
  readonly token?: string
  readonly askStore: boolean
  readonly json: boolean
}

const USAGE_CODES: ReadonlySet<string> = new Set(['bad-run', 'bad-option'])

export function verifyCommand(deps: VerifyCommandDeps): Command {
  return new Command('verify')
    .description('what became of every message of a run that was kept')
    .argument('<folder>', 'of the run: what `simulate` printed, or its --out')
    .addOption(new Option('--gateway <url>', 'of the platform; else the one that the run asked'))
    .addOption(
      new Option(
        '--token <token>',
        'of an app that may read what the fleet sent; else signed by the key of this installation',
      ),
    )
    .addOption(
      new Option('--ask-store', 'ask the InfluxDB of the settings itself, too, by its own language').default(false),
    )
    .addOption(new Option('--json', 'print the verification as JSON and nothing else').default(false))
    .action(async (folder: string, values: Values) => {
      try {
        deps.exit((await verify(folder, values, deps)) ? 0 : 1)
      } catch (error) {
        if (!(error instanceof TelltaleError)) throw error
        deps.errorOutput.write(`error: ${printable(error.message)}\n`)
        deps.exit(USAGE_CODES.has(error.code) ? 2 : 1)
      }
    })
}

async function verify(directory: string, values: Values, deps: VerifyCommandDeps): Promise<boolean> {
  const { token, gateway, askStore, json } = values
  const run = readRunRecord(directory)
  const verification = await verifyRun(
    { directory, gateway },
    {
      token: token === undefined ? deps.appToken : async () => token,
      clock: deps.clock,
      store: askStore ? await queryOf(storeOf(deps)) : undefined,
      onStep: (step) => !json && deps.output.write(`${step}\n`),
      onWaiting: (what) => what !== undefined && deps.errorOutput.write(`${printable(what)}\n`),
    },
  )
  const before = readSummary(directory)
  const summary = before && judged({ ...before, verification, unverified: undefined }, run.scenario.failIf, true)
  if (summary !== undefined) writeReports(directory, run, summary)
  deps.output.write(`${json ? JSON.stringify(verification) : textOf(verification, summary, columnsOf(deps.output))}\n`)
  return summary?.ok ?? verification.ok
}

const textOf = (verification: Verification, summary: ReturnType<typeof readSummary>, columns: number): string =>
  summary === undefined ? verificationText(verification, columns) : summaryText(summary, columns)
