/**
 * Owns `telltale simulate`: options in, a run, progress and summary out. The cli mounts it and gives it what it must
 * not reach for itself. Exit status: 0 held, 1 failed or a threshold missed, 2 wrong usage.
 */

import { Command } from 'commander'
import { TelltaleError } from '../../platform/errors.ts'
import { printable, printableLines } from '../../platform/printable.ts'
import { type Asked, type AssemblyDeps, assemble } from './assembly.ts'
import { type CommandValues, commandOptions } from './options.ts'
import { summaryText } from './report/summary-text.ts'
import { RunHand } from './run/run-hand.ts'
import { devicesOf, type Scenario } from './scenario/scenario.ts'
import type { Simulator } from './simulator.ts'
import { columnsOf, type Output, PlainView } from './view/plain.ts'
import { momentOf } from './view/run-moment.ts'
import { TerminalView } from './view/terminal.ts'
import type { View } from './view/view.ts'

/** Of a person: what is shown is drawn in place, and keys change the run. */
export interface Terminal {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  readonly isColoured: boolean
}

export interface SimulateDeps extends Omit<AssemblyDeps, 'say'> {
  /** The broker of the settings, such as `mqtt://127.0.0.1:1883`: the default of `--url`. */
  readonly url: string
  /** The gateway of the settings, such as `http://127.0.0.1:8080`: the default of `--gateway`. */
  readonly gateway: string
  /** Undefined in a pipe: then there are lines. */
  readonly terminal: Terminal | undefined
  readonly output: Output
  readonly errorOutput: Output
  /** Resolves when the person wants the run to end: `untilSignal`. Called once a run starts. */
  readonly untilInterrupted: () => Promise<unknown>
  /** Sets the exit status of the process, which ends by itself. */
  readonly exit: (status: number) => void
}

/** What is wrong with what was asked, not with what was found. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'unknown-stream',
  'unknown-version',
  'unsupported-format',
  'bad-credentials',
  'bad-scenario',
  'bad-option',
  'bad-threshold',
  'bad-recording',
])

export function simulateCommand(deps: SimulateDeps): Command {
  const command = new Command('simulate').description('Simulated devices: load, and what the broker made of it')
  for (const option of commandOptions(deps)) command.addOption(option)
  return command.action(async (values: CommandValues) => {
    try {
      const given = (name: string) => command.getOptionValueSource(name) === 'cli'
      deps.exit((await simulate({ values, given }, deps)) ? 0 : 1)
    } catch (error) {
      if (!(error instanceof TelltaleError)) throw error
      deps.errorOutput.write(`error: ${printableLines(error.message)}\n`)
      deps.exit(USAGE_CODES.has(error.code) ? 2 : 1)
    }
  })
}

/** Runs it and says whether everything was held. */
async function simulate(asked: Asked, deps: SimulateDeps): Promise<boolean> {
  const { values } = asked
  // What is drawn in place is not written over; the summary says it, too.
  const isDrawn = deps.terminal !== undefined && !values.json
  const say = (sentence: string) => !isDrawn && deps.errorOutput.write(`${printable(sentence)}\n`)
  const { simulator, scenario, folder } = await assemble(asked, { ...deps, say })
  const interruption = new AbortController()
  const end = () => interruption.abort()
  void deps.untilInterrupted().then(end)
  const view = values.json ? undefined : viewOf({ simulator, scenario, url: values.url, end }, deps)
  view?.start()
  try {
    const summary = await simulator.run(interruption.signal)
    view?.stop()
    const kept = simulator.folder === undefined ? '' : `\nkept in ${printable(simulator.folder)}`
    deps.output.write(
      `${values.json ? JSON.stringify(summary) : summaryText(summary, columnsOf(deps.output)) + kept}\n`,
    )
    return summary.ok
  } finally {
    view?.stop()
    folder?.removeUnbegun()
  }
}

interface Viewed {
  readonly simulator: Simulator
  readonly scenario: Scenario
  readonly url: string
  readonly end: () => void
}

function viewOf({ simulator, scenario, url, end }: Viewed, { terminal, output }: SimulateDeps): View {
  if (terminal === undefined) return new PlainView(output, () => simulator.snapshot)
  const hand = new RunHand(simulator, scenario)
  return new TerminalView({
    ...terminal,
    read: () => momentOf(simulator.snapshot, url),
    devices: devicesOf(scenario),
    deviceAt: (index) => hand.deviceAt(index),
    hand,
    end,
  })
}
