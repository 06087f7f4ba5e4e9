/** Owns the command that prints the conformance page, or with `--write` refreshes it in `docs/`. Needs Mosquitto. */

import { writeFileSync } from 'node:fs'
import { startOurs, startTheirs } from './brokers.ts'
import { CONFORMS, tryStatements } from './results.ts'
import { PAGE, renderPage } from './table.ts'

const stops: (() => unknown)[] = []
const ours = await startOurs({ after: (stop) => stops.push(stop as () => unknown) })
const theirs = await startTheirs()
const runs = {
  ours: await tryStatements(ours),
  mosquitto: await tryStatements(theirs.ports),
  mosquittoVersion: theirs.version,
}
await theirs.stop()
for (const stop of stops.reverse()) await stop()

const page = renderPage(runs)
if (process.argv.includes('--write')) writeFileSync(PAGE, page)
else console.log(page)
for (const [id, found] of runs.ours) if (found !== CONFORMS) console.error(`ours       ${id}: ${found}`)
for (const [id, found] of runs.mosquitto) if (found !== CONFORMS) console.error(`Mosquitto  ${id}: ${found}`)
