#!/usr/bin/env node
/** Owns the command `telltale-client types <url>`: prints the types of an installation's streams, as its gateway says them. */

import { parseArgs } from 'node:util'
import { TelltaleError } from './error.ts'
import { Http } from './http.ts'
import { TokenSource } from './token.ts'

const USAGE = `usage: telltale-client types <url of a gateway> [--token <token>]
       prints TypeScript. The token may also stand in TELLTALE_TOKEN.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { token: { type: 'string' }, help: { type: 'boolean' } },
})
const [command, url = '', ...more] = positionals
if (values.help) console.log(USAGE)
else if (command !== 'types' || !/^https?:/.test(url) || more.length > 0) {
  console.error(USAGE)
  process.exitCode = 2
} else {
  const tokens = new TokenSource(values.token ?? process.env.TELLTALE_TOKEN)
  const http = new Http(url.replace(/\/+$/, ''), tokens, Math.random)
  try {
    const { typescript } = await http.get<{ readonly typescript: string }>('/v1/schemas/types')
    process.stdout.write(typescript)
  } catch (error) {
    if (!(error instanceof TelltaleError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
