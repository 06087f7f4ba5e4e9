/**
 * Owns `npm run bench`: which measures run, one after the other, and the table at the end. What the numbers mean is in
 * `docs/bench.md`. Exit status 1 if a measure could not be taken; a missed target is shown, not a failure.
 */

import { availableParallelism, cpus, loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import { measureAccept } from './accept.ts'
import { measureApps, measureCatchUp, measureDistinct, measureRate, measureStalled } from './apps.ts'
import { measureConnections } from './connections.ts'
import { measureFanout } from './fanout.ts'
import { type Figure, figureTable, missRatio } from './figure.ts'
import { measureFleet } from './fleet-shape.ts'
import { measureHostile } from './hostile.ts'
import { measureLive } from './live.ts'
import { measurePath } from './path.ts'
import { FULL, type Plan, QUICK } from './plan.ts'
import { measureProfile } from './profile.ts'
import { measureIdle, measureServers } from './servers.ts'
import { measureSimulator } from './simulator.ts'
import { measureScale } from './simulator-scale.ts'

const MEASURES: Readonly<Record<string, (plan: Plan) => Promise<Figure[]>>> = {
  accept: measureAccept,
  path: measurePath,
  live: measureLive,
  fanout: measureFanout,
  servers: measureServers,
  fleet: measureFleet,
  profile: measureProfile,
  connections: measureConnections,
  hostile: measureHostile,
  idle: measureIdle,
  apps: measureApps,
  distinct: measureDistinct,
  stalled: measureStalled,
  rate: measureRate,
  catchup: measureCatchUp,
  simulator: measureSimulator,
  scale: measureScale,
}

const USAGE = `npm run bench -- [--quick] [--only ${Object.keys(MEASURES).join('|')}] [--beside <port>:<pid>] [--json]`

/** Load average of a minute, above which others took part of the cores. */
const BUSY_LOAD = 0.7

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      beside: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (values.only !== undefined && !(values.only in MEASURES)) {
    console.error(`--only is ${JSON.stringify(values.only)}: allowed is ${Object.keys(MEASURES).join(', ')}`)
    return 2
  }
  const [, port, pid] = /^(\d+):(\d+)$/.exec(values.beside ?? '') ?? []
  if (values.beside !== undefined && pid === undefined) {
    console.error(`--beside is ${JSON.stringify(values.beside)}: allowed is a port and a process, such as 1884:4242`)
    return 2
  }
  const beside = pid === undefined ? {} : { beside: { port: Number(port), pid: Number(pid) } }
  const plan: Plan = { ...(values.quick ? QUICK : FULL), ...beside }
  const machine = `Node ${process.version}, ${availableParallelism()} cores (${cpus()[0]?.model.trim()}), Linux ${release()}`
  const say = (line: string) => console.error(line)
  say(machine)
  const [load = 0] = loadavg()
  const busy =
    load > BUSY_LOAD ? `the machine was busy before the bench began (load ${load.toFixed(1)}): do not quote this` : ''
  if (busy !== '') say(busy)
  const figures: Figure[] = []
  let failed = false
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (values.only !== undefined && values.only !== name) continue
    say(`measuring ${name} ...`)
    try {
      figures.push(...(await measure(plan)))
    } catch (error) {
      failed = true
      say(`${name} could not be measured: ${error instanceof Error ? error.message : error}`)
    }
  }
  if (values.json) {
    const rows = figures.map((each) => ({ ...each, missRatio: missRatio(each) }))
    console.log(JSON.stringify({ machine, load, node: process.version, cores: availableParallelism(), figures: rows }))
  } else {
    console.log([machine, busy, figureTable(figures)].filter((part) => part !== '').join('\n\n'))
  }
  return failed ? 1 : 0
}

// Ending by `exit` is what stops the children.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
try {
  process.exitCode = await main()
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`)
  process.exitCode = 2
}
