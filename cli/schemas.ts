/** Owns `telltale schemas`: what is registered, by stream and version, what of it is released, and what is made of it. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { TelltaleError } from '../platform/errors.ts'
import { printable } from '../platform/printable.ts'
import { loadSettings } from '../platform/settings.ts'
import { checkSchemas } from '../schemas/check.ts'
import type { Lock } from '../schemas/lock.ts'
import { changeLock } from '../schemas/lock-file.ts'
import { Registry } from '../schemas/registry.ts'
import { fileName, LOCK_FILE, readSchemaFiles } from '../schemas/schema-files.ts'
import { schemasDirectory } from './installation.ts'
import { typesCommand } from './schemas/declare.ts'
import { docsCommand } from './schemas/docs.ts'
import { listCommand } from './schemas/list.ts'
import { UsageError } from './usage-error.ts'

export function schemasCommand(): Command {
  const lock = new Command('lock')
    .description('takes new versions into lock.json: from then on they never change')
    .argument('[dir]', 'the folder of the schemas, if it is not that of the settings')
    .option(
      '--replace',
      'released versions become what their files say now, with new ids: only if no device has sent them',
    )
    .option('--restore', 'the files of released versions become what they were')
    .action(lockSchemas)
  const check = new Command('check')
    .description(
      'looks through the schemas: what is wrong, in which line, what it does, and the mend; exit 1 for errors',
    )
    .argument('[dir]', 'the folder of the schemas, if it is not that of the settings')
    .option('--json', 'as JSON')
    .action(checkFolder)
  return new Command('schemas')
    .addCommand(listCommand())
    .addCommand(check)
    .addCommand(lock)
    .addCommand(typesCommand())
    .addCommand(docsCommand())
}

function checkFolder(directory: string | undefined, options: { json?: boolean }): void {
  const folder = directory ?? schemasDirectory(loadSettings())
  const findings = checkSchemas(readSchemaFiles(folder))
  const errors = findings.filter(({ severity }) => severity === 'error').length
  if (errors > 0) process.exitCode = 1
  if (options.json) {
    process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`)
    return
  }
  for (const { file, line, severity, code, what, devices, stored, mend } of findings) {
    const told = [
      `${file}:${line}: ${severity} ${code}: ${what}`,
      `devices: ${devices}`,
      `stored: ${stored}`,
      `mend: ${mend}`,
    ]
    process.stdout.write(`${told.map(printable).join('\n    ')}\n`)
  }
  process.stdout.write(`${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}\n`)
}

const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`

function lockSchemas(directory: string | undefined, options: { replace?: boolean; restore?: boolean }): void {
  if (options.replace && options.restore) throw new UsageError('allowed is --replace or --restore, not both')
  const folder = directory ?? schemasDirectory(loadSettings())
  const told: string[] = []
  const changed = changeLock(folder, (lock, files) => {
    if (options.restore) for (const file of restore(folder, lock)) told.push(`${file}: is what it was`)
    const drifted = options.replace ? lock.drift(files).map(({ file }) => file) : []
    const kept = lock.without(drifted)
    for (const file of drifted) told.push(`${file}: released anew`)
    const now = { ...readSchemaFiles(folder), lock: kept.text }
    const released = Registry.of(now).released(now.files)
    for (const file of kept.unlocked(released)) {
      if (!drifted.includes(fileName(file))) told.push(`${fileName(file)}: released`)
    }
    return kept.with(released)
  })
  if (changed === undefined) {
    throw new TelltaleError('lock-busy', `another process is changing ${join(folder, LOCK_FILE)}: try again`)
  }
  process.stdout.write(told.length === 0 ? 'nothing is new\n' : `${told.join('\n')}\n`)
}

function restore(folder: string, lock: Lock): string[] {
  const drifted = lock.drift(readSchemaFiles(folder)).map(({ file }) => file)
  for (const file of drifted) writeFileSync(join(folder, file), lock.released(file) ?? '')
  return drifted
}
