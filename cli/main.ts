/**
 * Owns the command line: which commands there are, and how a command ends: 0 ok, 1 failed, 2 wrong usage.
 * The world's errors are shown as one line; our own mistakes with their stack.
 */

import { Command, CommanderError } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { TelltaleError } from '../platform/errors.ts'
import { printable, printableLines } from '../platform/printable.ts'
import { SettingsError } from '../platform/settings.ts'
import { configCommand } from './config.ts'
import { deadLettersCommand } from './deadletters/command.ts'
import { ledgerCommand } from './ledger.ts'
import { schemasCommand } from './schemas.ts'
import { simulateCommand } from './simulate.ts'
import { tokenCommand } from './token.ts'
import { upCommand } from './up.ts'
import { UsageError } from './usage-error.ts'

const FAILED = 1
const WRONG_USAGE = 2

const program = new Command('telltale')
  .description('IoT telemetry over MQTT: a PUBACK means on disk, and the books balance')
  .version(packageJson.version)
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  const commands = [
    upCommand(),
    simulateCommand(),
    tokenCommand(),
    schemasCommand(),
    deadLettersCommand(),
    ledgerCommand(),
    configCommand(),
  ]
  for (const command of commands) {
    for (const each of [command, ...command.commands]) each.exitOverride()
    program.addCommand(command)
  }
  await program.parseAsync()
} catch (error) {
  // At once: what a library may still hold must not keep a command that failed alive.
  process.exit(report(error))
}

/** Shows what went wrong and returns the exit code. */
function report(error: unknown): number {
  // Commander has printed its own message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
  if (error instanceof TelltaleError) {
    process.stderr.write(`telltale: ${printable(error.message)}\n`)
    return error instanceof UsageError || error instanceof SettingsError ? WRONG_USAGE : FAILED
  }
  process.stderr.write(`${printableLines(error instanceof Error ? `${error.stack}` : String(error))}\n`)
  return FAILED
}
