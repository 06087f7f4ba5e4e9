/** Owns `telltale devices`: the devices there are, all or one, and what the files that declare them have changed. */

import { Command } from 'commander'
import { applyCommand } from './apply.ts'
import { listCommand } from './list.ts'
import { showCommand } from './show.ts'

export function devicesCommand(): Command {
  return new Command('devices').addCommand(listCommand()).addCommand(showCommand()).addCommand(applyCommand())
}
