/**
 * Owns the measures of the fleet's shape: many devices that send one message now and then, each alone in its TCP segment. The servers
 * are measured in turns, each with the same messages, and the first round of each warms up. Before that, what a lone message and
 * doing nothing take (`quiet.ts`).
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInfluxdb2 } from '../test/servers/influxdb2.ts'
import { MissingServer } from '../test/servers/server.ts'
import { deviceNames } from './accept.ts'
import { type Figure, figure } from './figure.ts'
import { compileFleetLoad } from './fleet-load.ts'
import { FleetRuns } from './fleet-runs.ts'
import { APPS, type FleetOptions, type FleetResult, FleetServer } from './fleet-server.ts'
import type { FleetShape, Plan } from './plan.ts'
import { measureQuiet } from './quiet.ts'

const ACCEPT = 'accept alone'
const DUCKDB = 'to DuckDB'
const INFLUXDB = 'to InfluxDB 2.7'
const MOSQUITTO = 'Mosquitto'
const BESIDE = 'the other broker'
/** What is held to: CPU by Mosquitto's, and milliseconds. */
const RATIO_MAX: Readonly<Record<string, number>> = { [ACCEPT]: 2.5, [DUCKDB]: 4, [INFLUXDB]: 4 }
const PUBACK_P50_MS_MAX = 4
const LIVE_P99_MS_MAX = 15
const US_PER_MS = 1000
const MIB = 2 ** 20

export async function measureFleet(plan: Plan): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-fleet-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  process.on('exit', remove)
  try {
    const program = await compileFleetLoad(directory)
    const common = { program, directory, deadlineMs: plan.deadlineMs }
    const figures = await measureQuiet(plan, common)
    for (const shape of plan.fleetShapes) {
      const options = { ...common, devices: deviceNames(shape.devices) }
      figures.push(...figuresOf(shape, await withInfluxdb((env) => measureShape(shape, plan, options, env))))
    }
    return figures
  } finally {
    process.off('exit', remove)
    remove()
  }
}

/** With the environment that names an InfluxDB, or none where it is not installed. */
async function withInfluxdb<T>(measure: (env: Record<string, string> | undefined) => Promise<T>): Promise<T> {
  const influx = await startInfluxdb2().catch((error) => {
    if (!(error instanceof MissingServer)) throw error
    console.error(`without the path to InfluxDB: ${error.message}`)
    return undefined
  })
  if (influx === undefined) return measure(undefined)
  const { url, token, org, bucket } = influx
  const env = { INFLUX_URL: url, INFLUX_TOKEN: token, INFLUX_ORG: org, INFLUX_BUCKET: bucket }
  return measure(env).finally(() => influx.stop())
}

type Results = ReadonlyMap<string, readonly FleetResult[]>

async function measureShape(
  shape: FleetShape,
  plan: Plan,
  options: FleetOptions,
  influxEnv: Readonly<Record<string, string>> | undefined,
): Promise<Results> {
  const servers = new Map<string, FleetServer>()
  const results = new Map<string, FleetResult[]>()
  const start = async (name: string, server: Promise<FleetServer>) => {
    servers.set(name, await server)
    results.set(name, [])
  }
  try {
    await start(ACCEPT, FleetServer.accept(options))
    await start(DUCKDB, FleetServer.wholePath(options))
    if (influxEnv !== undefined) await start(INFLUXDB, FleetServer.wholePath(options, influxEnv))
    await start(MOSQUITTO, FleetServer.mosquitto(options))
    if (plan.beside !== undefined) await start(BESIDE, FleetServer.beside(options, plan.beside))
    const runs = new FleetRuns(options.devices, options.directory)
    for (let round = 0; round <= plan.rounds; round++) {
      const run = runs.make(shape.devices * shape.perSecond, shape.perSecond * plan.fleetSeconds)
      for (const [name, server] of servers) {
        const result = await server.run(run)
        if (round > 0) results.get(name)?.push(result)
      }
    }
    return results
  } finally {
    for (const server of servers.values()) await server.stop()
  }
}

function figuresOf(shape: FleetShape, results: Results): Figure[] {
  const fleet = `${shape.devices} x ${shape.perSecond}/s`
  const peers = results.get(MOSQUITTO) ?? []
  return [...results].flatMap(([name, rounds]) => {
    const isWhole = name === DUCKDB || name === INFLUXDB
    const of = (
      what: string,
      unit: string,
      read: (round: FleetResult) => number,
      more: Parameters<typeof figure>[3] = {},
    ) => figure(`${fleet}, ${name}: ${what}`, unit, rounds.map(read), more)
    const ratios = rounds.map(({ cpuUs }, index) => cpuUs / (peers[index]?.cpuUs ?? Number.NaN))
    const atMost = RATIO_MAX[name]
    const ratio =
      atMost === undefined
        ? []
        : [figure(`${fleet}, ${name}: CPU, of Mosquitto's`, 'ratio', ratios, { target: { atMost } })]
    const target = (atMost: number) => (isWhole ? { target: { atMost } } : {})
    const live = [
      of('live p50', 'ms', (round) => round.live?.p50Ms ?? Number.NaN),
      of('live p99', 'ms', (round) => round.live?.p99Ms ?? Number.NaN, target(LIVE_P99_MS_MAX)),
      of("apps' CPU", 'us CPU/msg', ({ live, load }) => (live?.cpuUs ?? Number.NaN) / load.sent),
    ]
    return [
      of('CPU', 'us CPU/msg', ({ cpuUs }) => cpuUs, { note: NOTES[name] ?? '' }),
      ...ratio,
      of('PUBACK p50', 'ms', ({ load }) => load.p50Us / US_PER_MS, target(PUBACK_P50_MS_MAX)),
      of('PUBACK p99', 'ms', ({ load }) => load.p99Us / US_PER_MS, target(shape.pubackP99MsMax)),
      ...(isWhole ? live : []),
      of('memory', 'MiB', (round) => round.memory / MIB),
      of("load generator's CPU", 'us CPU/msg', ({ load }) => load.cpuUs / load.sent),
      of('load generator late p99', 'ms', ({ load }) => load.lateP99Us / US_PER_MS),
    ]
  })
}

const NOTES: Readonly<Record<string, string>> = {
  [ACCEPT]: 'telltale up --roles broker, with tokens',
  [DUCKDB]: `until all is stored; ${APPS} apps have everything`,
  [INFLUXDB]: `until all is stored; ${APPS} apps have everything; InfluxDB's CPU not counted`,
  [MOSQUITTO]: 'QoS 1, nothing stored, no subscriber, anonymous',
  [BESIDE]: 'anonymous, without subscribers',
}
