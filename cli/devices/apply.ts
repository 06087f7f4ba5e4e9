/**
 * Owns `telltale devices apply`: what the files of devices say that they did not say when it was last run, and a token for each device that is
 * new and has no password.
 *
 * The platform reads the files by itself; what is kept here, in the data directory, is only what was applied. Always true: tokens are on
 * standard output before that is noted, so a run that ends in the middle prints them again, and none is missing.
 */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Command } from 'commander'
import type { Declaration } from '../../identity/declared-devices.ts'
import { DeviceFiles } from '../../identity/device-files.ts'
import { ConfigFolder } from '../../platform/config-folder.ts'
import { TelltaleError } from '../../platform/errors.ts'
import { makeDirectory, replaceFile } from '../../platform/files.ts'
import { printable } from '../../platform/printable.ts'
import { loadSettings, type Settings } from '../../platform/settings.ts'
import { formatDuration } from '../../platform/units.ts'
import { devicesDirectory, openSigner } from '../installation.ts'
import { ttlOption } from '../ttl.ts'
import { UsageError } from '../usage-error.ts'
import { shownLabels } from './list.ts'

type Declared = ReadonlyMap<string, Declaration>

interface Changes {
  readonly added: readonly string[]
  readonly lines: readonly string[]
}

interface Options {
  readonly dryRun?: boolean
  readonly ttl: number
}

export function applyCommand(): Command {
  return new Command('apply')
    .description(
      'what the files of devices changed since this was last run; prints a line with id and token of each new one',
    )
    .argument('[directory]', "with --dry-run: a folder that is looked at in place of the installation's")
    .option('--dry-run', 'only say what is new, changed and gone')
    .addOption(ttlOption('how long the tokens are good', '365d'))
    .action(apply)
}

async function apply(given: string | undefined, { dryRun = false, ttl }: Options): Promise<void> {
  const settings = loadSettings()
  const own = devicesDirectory(settings)
  const directory = given ?? own
  if (!dryRun && resolve(directory) !== resolve(own))
    throw new UsageError(`the platform reads ${own}: put the files there, or ask with --dry-run what they would change`)
  if (given !== undefined && !existsSync(given)) throw new TelltaleError('no-file', `there is no folder ${given}`)
  const files = readFiles(directory)
  const now: Declared = new Map(files.declared.ids.map((id) => [id, files.declared.get(id) ?? NOTHING]))
  const { added, lines } = changesOf(readApplied(settings), now)
  const said = dryRun ? process.stdout : process.stderr
  said.write(lines.map((line) => `${printable(line)}\n`).join(''))
  if (dryRun) return
  const withPassword = files.users.devices
  const identity = await openSigner(settings)
  for (const device of added) {
    if (!withPassword.has(device)) process.stdout.write(`${device} ${await identity.signDevice(device, ttl)}\n`)
  }
  writeApplied(settings, now)
}

const NOTHING: Declaration = { labels: {}, streams: [] }

/** Throws where a file cannot be used, each told with its line. */
function readFiles(directory: string): DeviceFiles {
  const files = new DeviceFiles()
  const { problems } = new ConfigFolder(directory, (texts) => files.use(texts)).look()
  for (const { message } of problems) process.stderr.write(`telltale: ${printable(message)}\n`)
  if (problems.length > 0) throw new TelltaleError('bad-config', `${problems.length} of the files cannot be used`)
  return files
}

function changesOf(before: Declared, now: Declared): Changes {
  const added: string[] = []
  const lines: string[] = []
  let changed = 0
  for (const [device, declaration] of now) {
    const known = before.get(device)
    const what = known === undefined ? '' : differenceOf(known, declaration)
    if (known === undefined) {
      added.push(device)
      lines.push(`new ${device}`)
    } else if (what !== '') {
      changed++
      lines.push(`changed ${device}: ${what}`)
    }
  }
  const gone = [...before.keys()].filter((device) => !now.has(device))
  for (const device of gone)
    lines.push(`gone ${device}; its tokens are good as they were: \`telltale token revoke ${device}\` ends them`)
  const same = now.size - added.length - changed
  lines.push(`${added.length} new, ${changed} changed, ${gone.length} gone, ${same} as they were`)
  return { added, lines }
}

function differenceOf(before: Declaration, now: Declaration): string {
  const [old, young] = [shownOf(before), shownOf(now)]
  return Object.keys(young)
    .filter((name) => old[name] !== young[name])
    .map((name) => `${name} ${old[name]} -> ${young[name]}`)
    .join(', ')
}

function shownOf({ site = '-', labels, streams, intervalMs }: Declaration): Record<string, string> {
  const interval = intervalMs === undefined ? '-' : formatDuration(intervalMs)
  const sorted = Object.fromEntries(Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1)))
  return { site, labels: shownLabels(sorted), streams: streams.join(' ') || '-', interval }
}

const appliedFile = ({ dataDir }: Settings) => join(dataDir, 'devices', 'applied.json')

/** None if nothing was applied yet. */
function readApplied(settings: Settings): Declared {
  const file = appliedFile(settings)
  if (!existsSync(file)) return new Map()
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Declaration>))
  } catch (cause) {
    throw new TelltaleError('bad-file', `${file} is not what apply wrote: remove it, and all devices are new`, {
      cause,
    })
  }
}

function writeApplied(settings: Settings, devices: Declared): void {
  const file = appliedFile(settings)
  makeDirectory(dirname(file))
  replaceFile(file, JSON.stringify(Object.fromEntries(devices)))
}
