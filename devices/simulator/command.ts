/**
 * Owns `telltale simulate`: options in, a run, progress and summary out. The cli mounts it and gives it what it must
 * not reach for itself. Exit status: 0 held, 1 failed or a threshold missed, 2 wrong usage.
 */

import { Command } from 'commander'
import type { Clock } from '../../platform/clock.ts'
import { TelltaleError } from '../../platform/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { printable } from '../../platform/printable.ts'
import { readCredentials } from './credentials.ts'
import type { SchemaSource } from './messages.ts'
import { type CommandValues, commandOptions, optionsOf } from './options.ts'
import { type Output, Progress } from './progress.ts'
import { Simulator } from './simulator.ts'
import { summaryText } from './summary.ts'

export interface SimulateDeps {
  /** The broker of the settings, such as `mqtt://127.0.0.1:1883`: the default of `--url`. */
  readonly url: string
  /** Called once a run starts, not for `--help`. */
  readonly registry: () => SchemaSource
  /** Signs a device's token with the installation's key; not called when `--credentials` is given. */
  readonly credentials: () => Promise<(device: string) => Promise<string>>
  readonly clock: Clock
  readonly logger: Logger
  readonly output: Output
  readonly errorOutput: Output
  /** Resolves when the person wants the run to end: `untilSignal`. Called once a run starts. */
  readonly untilInterrupted: () => Promise<unknown>
  /** Sets the exit status of the process, which ends by itself. */
  readonly exit: (status: number) => void
}

export function simulateCommand(deps: SimulateDeps): Command {
  const command = new Command('simulate').description('Simulated devices: load, and what the broker made of it')
  for (const option of commandOptions({ url: deps.url })) command.addOption(option)
  return command.action(async (values: CommandValues) => {
    try {
      deps.exit((await simulate(values, deps)) ? 0 : 1)
    } catch (error) {
      if (!(error instanceof TelltaleError)) throw error
      deps.errorOutput.write(`error: ${printable(error.message)}\n`)
      deps.exit(error.code === 'unknown-stream' || error.code === 'bad-credentials' ? 2 : 1)
    }
  })
}

/** Runs it and says whether everything was held. */
async function simulate(values: CommandValues, deps: SimulateDeps): Promise<boolean> {
  const options = optionsOf(values)
  const simulator = new Simulator(options, {
    registry: deps.registry(),
    credentials: await tokens(values, deps),
    clock: deps.clock,
    logger: deps.logger,
  })
  const interruption = new AbortController()
  void deps.untilInterrupted().then(() => interruption.abort())
  const progress = new Progress(deps.output, () => simulator.snapshot)
  if (!values.json) progress.start()
  try {
    const summary = await simulator.run(interruption.signal)
    progress.stop()
    deps.output.write(`${values.json ? JSON.stringify(summary) : summaryText(summary)}\n`)
    return summary.ok
  } finally {
    progress.stop()
  }
}

async function tokens(values: CommandValues, deps: SimulateDeps): Promise<(device: string) => Promise<string>> {
  if (values.credentials === undefined) return deps.credentials()
  const file = readCredentials(values.credentials, values)
  return async (device) => file.get(device) ?? ''
}
