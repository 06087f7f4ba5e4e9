/**
 * Owns the command line: which commands there are, and how a command ends: 0 ok, 1 failed, 2 wrong usage.
 * The world's errors are shown as one line; our own mistakes with their stack.
 */

import { Command, CommanderError } from 'commander'
import { TelltaleError } from '../platform/errors.ts'
import { packageVersion } from '../platform/package.ts'
import { printable, printableLines } from '../platform/printable.ts'
import { SettingsError } from '../platform/settings-error.ts'
import { whyUnloadable } from '../platform/unloadable.ts'
import { UsageError } from './usage-error.ts'

const FAILED = 1
const WRONG_USAGE = 2

/** In the order of the help. Each is loaded when it is named, with what it needs and no more. */
const COMMANDS: Readonly<Record<string, { readonly description: string; readonly load: () => Promise<Command> }>> = {
  up: {
    description: 'run the platform: broker, ingest and gateway in one process, or some of them',
    load: async () => (await import('./up.ts')).upCommand(),
  },
  simulate: {
    description: 'Simulated devices: load, and what the broker made of it',
    load: async () => (await import('./simulate.ts')).simulateCommand(),
  },
  verify: {
    description: 'what became of every message of a run of the simulator that was kept; exit 1 if something is wrong',
    load: async () => (await import('./simulate.ts')).verifyRunCommand(),
  },
  record: {
    description: 'readings of a live platform, as they come, into a file that can be replayed',
    load: async () => (await import('./record.ts')).recordCommand(),
  },
  token: {
    description: 'make tokens, signed by the key of this installation, and revoke them',
    load: async () => (await import('./token.ts')).tokenCommand(),
  },
  keys: {
    description: 'the keys by which tokens are checked: rotate, add, remove',
    load: async () => (await import('./keys.ts')).keysCommand(),
  },
  schemas: {
    description: 'the registered streams and their schemas',
    load: async () => (await import('./schemas.ts')).schemasCommand(),
  },
  map: {
    description: 'maps of foreign topics: try one on a message, check them all, have some proposed',
    load: async () => (await import('./map/command.ts')).mapCommand(),
  },
  devices: {
    description: 'the devices: all, one, and what the files that declare them have changed',
    load: async () => (await import('./devices/command.ts')).devicesCommand(),
  },
  command: {
    description: 'commands to a device: send one, list them, take one back',
    load: async () => (await import('./command.ts')).commandCommand(),
  },
  deadletters: {
    description: 'messages that were accepted and then set aside',
    load: async () => (await import('./deadletters/command.ts')).deadLettersCommand(),
  },
  ledger: {
    description: 'what was accepted, stored, dead-lettered and is pending; exit 1 if it does not balance',
    load: async () => (await import('./ledger.ts')).ledgerCommand(),
  },
  why: {
    description: "why a device's data is missing, what shows it, and what mends it; exit 1 unless all is well",
    load: async () => (await import('./why.ts')).whyCommand(),
  },
  trace: {
    description:
      'what became of a message: when it was received, committed and stored, and to how many apps it went; exit 1 if there is none',
    load: async () => (await import('./trace.ts')).traceCommand(),
  },
  log: {
    description: 'the log that several processes share: make it',
    load: async () => (await import('./log-command.ts')).logCommand(),
  },
  config: {
    description: 'list every setting: default, allowed values, meaning, and the value in force',
    load: async () => (await import('./config.ts')).configCommand(),
  },
}

/** What `simulate --processes` starts: nobody else does. */
const PART_OF_RUN = 'simulate-part'

const program = new Command('telltale')
  .description('IoT telemetry over MQTT: a PUBACK means on disk, and the books balance')
  .version(packageVersion())
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  const [first, second] = process.argv.slice(2).filter((argument) => !argument.startsWith('-'))
  const named = first === 'help' ? second : first
  if (named === PART_OF_RUN) program.addCommand((await import('./simulate.ts')).simulatePartCommand(), { hidden: true })
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = name === named ? await load() : new Command(name)
    command.description(description)
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
  const unloadable = whyUnloadable(error)
  if (unloadable !== undefined) {
    process.stderr.write(`telltale: ${unloadable}\n`)
    return FAILED
  }
  process.stderr.write(`${printableLines(error instanceof Error ? `${error.stack}` : String(error))}\n`)
  return FAILED
}
