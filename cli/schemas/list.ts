/** Owns `telltale schemas list`: the streams of the schemas and of the maps, and how each is published. */

import { Command } from 'commander'
import { printable } from '../../platform/printable.ts'
import { type CatalogueStream, catalogueOf } from '../../schemas/catalogue.ts'
import { formatTable } from '../table.ts'
import { registryOf } from './registry-of.ts'

const HEAD = ['stream', 'version', 'fingerprint', 'id', 'files', 'published as', 'columns']
const NONE = '-'

export function listCommand(): Command {
  return new Command('list')
    .description('streams, versions, fingerprints (CRC-64-AVRO), how they are published, and columns')
    .argument('[dir]', 'the folder of the schemas, if it is not that of the settings; maps are left out then')
    .option('--json', 'as JSON, all that is known: as GET /v1/schemas answers')
    .action((directory: string | undefined, options: { json?: boolean }) => {
      const streams = catalogueOf(registryOf(directory))
      const text = options.json ? `${JSON.stringify(streams, null, 2)}\n` : formatTable(HEAD, streams.flatMap(rowsOf))
      process.stdout.write(text)
    })
}

function rowsOf({ stream, version: newest, columns, versions, framings, maps }: CatalogueStream): string[][] {
  const published = [...framings.map(({ framing }) => framing), ...maps.map(({ topic }) => `map ${topic}`)].join(' ')
  const shown = columns.map(({ name, unit }) => (unit === undefined ? name : `${name} [${unit}]`)).join(', ')
  const ends = [published, shown]
  const rows = versions.map(({ version, files, fingerprint, id }) => [
    stream,
    String(version),
    fingerprint,
    id === undefined ? NONE : String(id),
    files.map((file) => file.slice(file.indexOf('/') + 1)).join(' '),
    ...(version === newest ? ends : [NONE, '(older)']),
  ])
  const made = [stream, NONE, NONE, NONE, [...new Set(maps.map(({ file }) => file))].join(' '), ...ends]
  return (rows.length === 0 ? [made] : rows).map((row) => row.map(printable))
}
