/** Both of the gateway's servers do what RFC 6455 demands, as docs/websocket-conformance.md says. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { scratchDirectory } from '../scratch.ts'
import { MissingServer } from '../servers/server.ts'
import { runAutobahn } from './autobahn.ts'
import { DIFFERENCES, surprises } from './differences.ts'
import { loadable, startEcho } from './echo.ts'
import { PAGE } from './table.ts'

/** Large messages: they take longer than all others. */
const SLOW = ['9.*']

test("Autobahn's test suite finds both servers as declared", async (t) => {
  const servers = await Promise.all((await loadable()).map(startEcho))
  t.after(() => {
    for (const server of servers) server.stop()
  })
  try {
    for (const [{ kind }, results] of await runAutobahn(servers, scratchDirectory(t), { excluded: SLOW })) {
      assert(results.size > 200, `${results.size} cases`)
      assert.deepEqual(surprises(kind, results), {}, kind)
    }
  } catch (error) {
    if (!(error instanceof MissingServer)) throw error
    // Also with CI=true: no package of Debian brings what it needs.
    t.skip(error.message)
  }
})

test('the page says what is declared', () => {
  const page = readFileSync(PAGE, 'utf8')
  for (const { cases, behavior, why } of DIFFERENCES) assert(page.includes(`| ${behavior} | ${why} |`), cases.join(' '))
})
