/** Owns `telltale config`: every setting with its default, what is allowed, and the value in force; secrets masked. */

import { Command } from 'commander'
import { listSettings, loadSettings, unknownVariables } from '../platform/settings.ts'
import { formatTable } from './table.ts'

export function configCommand(): Command {
  return new Command('config').option('--json', 'as JSON').action((options: { json?: boolean }) => {
    const settings = listSettings(loadSettings())
    if (options.json) process.stdout.write(`${JSON.stringify(settings, null, 2)}\n`)
    else {
      const rows = settings.map(({ variable, type, value, ...rest }) => [
        variable,
        type,
        rest.fromEnvironment ? `${value} *` : value,
        rest.default,
        rest.allowed,
        rest.meaning,
      ])
      process.stdout.write(formatTable(['variable', 'type', 'value', 'default', 'allowed', 'meaning'], rows))
      process.stdout.write('\n* set in the environment\n')
    }
    for (const variable of unknownVariables()) process.stderr.write(`telltale: there is no setting ${variable}\n`)
  })
}
