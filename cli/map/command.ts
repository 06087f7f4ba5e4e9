/** Owns `telltale map`: the maps of foreign topics, tried and proposed. */

import { Command } from 'commander'
import { proposeCommand } from './propose.ts'
import { tryCommand } from './try.ts'

export function mapCommand(): Command {
  return new Command('map').addCommand(tryCommand()).addCommand(proposeCommand())
}
