/**
 * Owns `npm run conformance:ws`: runs Autobahn's test suite on both servers and prints the page, or with `--write` refreshes it in
 * `docs/`. `--install` installs the suite.
 */

import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MissingServer } from '../servers/server.ts'
import { installAutobahn, runAutobahn } from './autobahn.ts'
import { surprises } from './differences.ts'
import { loadable, startEcho } from './echo.ts'
import { PAGE, renderPage } from './table.ts'

const { values } = parseArgs({ options: { install: { type: 'boolean' }, write: { type: 'boolean' } } })
try {
  if (values.install) installAutobahn()
  else await run()
} catch (error) {
  if (!(error instanceof MissingServer)) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  const servers = await Promise.all((await loadable()).map(startEcho))
  const directory = await mkdtemp(join(tmpdir(), 'telltale-autobahn-'))
  try {
    const runs = await runAutobahn(servers, directory)
    const page = renderPage(new Map([...runs].map(([{ kind }, results]) => [kind, results])))
    if (values.write) writeFileSync(PAGE, page)
    else console.log(page)
    for (const [{ kind }, results] of runs) {
      for (const [id, behavior] of Object.entries(surprises(kind, results))) {
        process.exitCode = 1
        console.error(`${kind} ${id}: ${behavior}, which is not declared`)
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
    for (const server of servers) server.stop()
  }
}
