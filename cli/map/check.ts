/** Owns `telltale map check`: what is wrong with the files of maps, of devices, and of rules, without a platform. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { Rules } from '../../gateway/alerts/rules.ts'
import { DeviceFiles } from '../../identity/device-files.ts'
import { Maps } from '../../maps/maps.ts'
import { ConfigFolder, type ConfigText } from '../../platform/config-folder.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { printable } from '../../platform/printable.ts'
import { loadSettings } from '../../platform/settings.ts'
import { devicesDirectory, schemasWith } from '../installation.ts'

export function checkCommand(): Command {
  return new Command('check')
    .description('what is wrong with files of maps, each with file and line; exit 1 if there is anything')
    .argument(
      '[directory]',
      "the folder of maps; if not given, the installation's, and its files of devices and of rules",
    )
    .action(checkMaps)
}

function checkMaps(given: string | undefined): void {
  const settings = loadSettings()
  const directory = given ?? join(settings.configDir, 'maps')
  if (given !== undefined && !existsSync(given)) throw new TelltaleError('no-file', `there is no folder ${given}`)
  const schemas = schemasWith(settings, [])
  let faults = check(directory, (files) => schemas.useMaps(files))
  for (const remark of new Maps(schemas).remarks) process.stderr.write(`telltale: ${printable(remark)}\n`)
  const devices = new DeviceFiles()
  if (given === undefined) faults += check(devicesDirectory(settings), (files) => devices.use(files))
  const rules = new Rules()
  if (given === undefined) faults += check(join(settings.configDir, 'rules'), (files) => rules.use(files))
  for (const remark of rules.remarks(schemas.registry, devices.declared))
    process.stderr.write(`telltale: ${printable(remark)}\n`)
  if (faults > 0) throw new TelltaleError('bad-config', `${faults} of the files cannot be used`)
}

/** How many files cannot be used. */
function check(directory: string, use: (files: readonly ConfigText[]) => void): number {
  const folder = new ConfigFolder(directory, use)
  const { problems } = folder.look()
  for (const { message } of problems) process.stderr.write(`telltale: ${printable(message)}\n`)
  const good = folder.files.length
  process.stdout.write(`${directory}: ${good} ${good === 1 ? 'file' : 'files'} can be used\n`)
  return problems.length
}
