/** Owns `telltale schemas docs`: the pages of the streams, written, or looked at for those that are stale. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { messageOf, TelltaleError } from '../../platform/errors.ts'
import { catalogueOf } from '../../schemas/catalogue.ts'
import type { Registry } from '../../schemas/registry.ts'
import { pagesOf } from './pages/pages.ts'
import { MARK } from './pages/stream-page.ts'
import { registryOf } from './registry-of.ts'

interface DocsOptions {
  readonly out: string
  readonly check?: boolean
}

/** A file that is not as it would be written; without a text it would be removed. */
interface Stale {
  readonly file: string
  readonly text: string | undefined
}

export function docsCommand(): Command {
  return new Command('docs')
    .description('a page for each stream, for who writes firmware: columns, bytes, an example, C that encodes it')
    .argument('[dir]', 'the folder of the schemas, if it is not that of the settings; maps are left out then')
    .option('--out <directory>', 'where the pages are', 'docs/streams')
    .option('--check', 'writes nothing, and ends with 1 if a page is not as it would be written')
    .action(writePages)
}

function writePages(directory: string | undefined, { out, check = false }: DocsOptions): void {
  const registry = registryOf(directory)
  warnOfUnreleased(registry)
  const pages = pagesOf(registry)
  const stale = staleIn(out, pages)
  if (check) {
    for (const { file, text } of stale) {
      process.stdout.write(`${join(out, file)}: is ${text === undefined ? 'of no stream any more' : 'stale'}\n`)
    }
    const again = ['telltale schemas docs', directory, out === 'docs/streams' ? undefined : `--out ${out}`]
    const command = again.filter((part) => part !== undefined).join(' ')
    process.stdout.write(stale.length === 0 ? 'all pages are as the schemas\n' : `mend them by \`${command}\`\n`)
    if (stale.length > 0) process.exitCode = 1
    return
  }
  try {
    mkdirSync(out, { recursive: true })
    for (const { file, text } of stale) {
      if (text === undefined) rmSync(join(out, file))
      else writeFileSync(join(out, file), text)
      process.stdout.write(`${join(out, file)}${text === undefined ? ': removed' : ''}\n`)
    }
  } catch (cause) {
    throw new TelltaleError('out-unwritable', `${out} cannot be written: ${messageOf(cause)}`, { cause })
  }
  if (stale.length === 0) process.stdout.write('nothing is new\n')
}

/** Their pages are stale when they are released, which a start does by itself. */
function warnOfUnreleased(registry: Registry): void {
  const names = catalogueOf(registry).flatMap(({ stream, versions }) => {
    const newest = versions.at(-1)
    return newest === undefined || newest.id !== undefined ? [] : [`${stream} ${newest.version}`]
  })
  if (names.length === 0) return
  const what = "not released yet, and their pages lack what comes then, the ids of Confluent's wire format"
  process.stderr.write(
    `telltale: ${names.join(', ')}: ${what}; \`telltale schemas lock\` releases, then write the pages\n`,
  )
}

function staleIn(out: string, pages: ReadonlyMap<string, string>): Stale[] {
  const textOf = (file: string) => (existsSync(join(out, file)) ? readFileSync(join(out, file), 'utf8') : undefined)
  const others = (existsSync(out) ? readdirSync(out) : []).filter((file) => file.endsWith('.md') && !pages.has(file))
  return [
    ...[...pages].filter(([file, text]) => textOf(file) !== text).map(([file, text]) => ({ file, text })),
    ...others.filter((file) => textOf(file)?.startsWith(MARK)).map((file) => ({ file, text: undefined })),
  ]
}
