/** Owns `telltale simulate` as the simulator's tests run it: with the shipped schemas and any token, in this process. */

import { CommanderError } from 'commander'
import { type SimulateDeps, simulateCommand } from '../../../devices/simulator/command.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { registry } from './fleet.ts'

/** Runs `telltale simulate` with `args`; what it printed, and the status it ended with. */
export async function simulate(args: readonly string[], changes: Partial<SimulateDeps> = {}) {
  const printed = { output: '', errors: '', status: -1, tokens: [] as string[] }
  const command = simulateCommand({
    url: 'mqtt://127.0.0.1:1',
    gateway: 'http://127.0.0.1:1',
    registry: () => registry,
    credentials: async () => ({
      good: async (device) => {
        printed.tokens.push(device)
        return 'token'
      },
      expired: async () => 'expired',
      revoked: async () => 'revoked',
    }),
    appToken: async () => 'app',
    partCommand: [],
    terminal: undefined,
    store: () => undefined,
    clock: systemClock,
    logger: silentLogger(),
    output: { write: (text) => (printed.output += text) },
    errorOutput: { write: (text) => (printed.errors += text) },
    untilInterrupted: () => new Promise(() => {}),
    exit: (status) => {
      printed.status = status
    },
    ...changes,
  })
  command.exitOverride().configureOutput({
    writeErr: (text) => {
      printed.errors += text
    },
  })
  try {
    await command.parseAsync(['--no-out', ...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    printed.status = error.exitCode
  }
  return printed
}
