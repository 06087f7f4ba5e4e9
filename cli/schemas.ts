/** Owns `telltale schemas`: what is registered, by stream and version. */

import { Command } from 'commander'
import { loadSettings } from '../platform/settings.ts'
import { loadRegistry } from './installation.ts'
import { formatTable } from './table.ts'

export function schemasCommand(): Command {
  const list = new Command('list')
    .description('streams, versions, fingerprints (CRC-64-AVRO) and columns')
    .option('--json', 'as JSON')
    .action((options: { json?: boolean }) => {
      const registry = loadRegistry(loadSettings())
      const versions = registry.streams.flatMap((stream) =>
        registry.versions(stream.name).map(({ version, fingerprint }) => ({ stream, version, fingerprint })),
      )
      if (options.json) {
        const rows = versions.map(({ stream, ...rest }) => ({ stream: stream.name, ...rest }))
        process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
        return
      }
      const rows = versions.map(({ stream, version, fingerprint }) => {
        const isNewest = version === stream.version
        const columns = stream.columns.map(({ name, unit }) => (unit === undefined ? name : `${name} [${unit}]`))
        return [stream.name, String(version), fingerprint, isNewest ? columns.join(', ') : '(older)']
      })
      process.stdout.write(formatTable(['stream', 'version', 'fingerprint', 'columns'], rows))
    })
  return new Command('schemas').addCommand(list)
}
