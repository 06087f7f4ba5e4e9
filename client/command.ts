#!/usr/bin/env node
/**
 * Owns the command `telltale-client types <url or folder>`: prints the types of an installation's streams, from its gateway, or
 * from a folder of schemas (`<stream>/<n>.avsc`).
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type AvroRecord, declareStreams, type StreamSchema } from './declarations.ts'
import { TelltaleError } from './error.ts'
import { Http } from './http.ts'
import { TokenSource } from './token.ts'

const USAGE = `usage: telltale-client types <url of a gateway, or folder of schemas> [--token <token>]
       prints TypeScript. The token may also stand in TELLTALE_TOKEN.`

interface Listing {
  readonly schemas: readonly { readonly stream: string; readonly version: number }[]
}

async function schemasOfGateway(url: string, token: string | undefined): Promise<StreamSchema[]> {
  const http = new Http(url.replace(/\/+$/, ''), new TokenSource(token), Math.random)
  const { schemas } = await http.get<Listing>('/v1/schemas')
  return Promise.all(schemas.map(({ stream, version }) => http.get<StreamSchema>(`/v1/schemas/${stream}/${version}`)))
}

function schemasOfFolder(folder: string): StreamSchema[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory()) return []
    const stream = entry.name
    const versions = readdirSync(join(folder, stream)).map((file) => Number(/^(\d+)\.avsc$/.exec(file)?.[1] ?? 0))
    const version = Math.max(0, ...versions)
    if (version === 0) return []
    const schema = JSON.parse(readFileSync(join(folder, stream, `${version}.avsc`), 'utf8')) as AvroRecord
    return [{ stream, version, schema }]
  })
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { token: { type: 'string' }, help: { type: 'boolean' } },
})
const [command, from, ...more] = positionals
if (values.help) console.log(USAGE)
else if (command !== 'types' || from === undefined || more.length > 0) {
  console.error(USAGE)
  process.exitCode = 2
} else {
  try {
    const isUrl = /^https?:/.test(from)
    const schemas = isUrl
      ? await schemasOfGateway(from, values.token ?? process.env.TELLTALE_TOKEN)
      : schemasOfFolder(from)
    process.stdout.write(declareStreams(schemas))
  } catch (error) {
    if (!(error instanceof TelltaleError) && !(error as NodeJS.ErrnoException).code) throw error
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
