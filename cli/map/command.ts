/** Owns `telltale map`: the maps of foreign topics, tried, checked and proposed. */

import { Command } from 'commander'
import { checkCommand } from './check.ts'
import { proposeCommand } from './propose.ts'
import { tryCommand } from './try.ts'

export function mapCommand(): Command {
  return new Command('map').addCommand(tryCommand()).addCommand(checkCommand()).addCommand(proposeCommand())
}
