/**
 * Owns the profile of the fleet's shape: where the CPU of a message goes, by thread and kernel (`/proc`), and within the main thread's
 * JavaScript by part of the tree (V8's sampling profiler, `--cpu-prof`). What a system call takes that JavaScript makes counts as its
 * caller's there; what the event loop takes, reading and polling, is `the event loop`.
 *
 * Only what was sampled while the counted messages were under way is looked at.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deviceNames } from './accept.ts'
import { type Figure, figure } from './figure.ts'
import { compileFleetLoad } from './fleet-load.ts'
import { FleetRuns } from './fleet-runs.ts'
import { APPS, FleetServer } from './fleet-server.ts'
import type { Plan } from './plan.ts'
import { threadCpu } from './proc.ts'

const US_PER_MS = 1000
const NS_PER_US = 1000n
/** Between two samples. The profiler itself costs about a sixth so. */
const INTERVAL_US = 500

export async function measureProfile(plan: Plan): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-profile-'))
  try {
    const program = await compileFleetLoad(directory)
    const [shape] = plan.fleetShapes
    if (shape === undefined) return []
    const options = { program, directory, deadlineMs: plan.deadlineMs, devices: deviceNames(shape.devices) }
    const rate = shape.devices * shape.perSecond
    const figures: Figure[] = []
    for (const way of ['accept alone', `to DuckDB, ${APPS} apps`]) {
      const profiles = join(directory, way)
      const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-interval=${INTERVAL_US}`]
      const server =
        way === 'accept alone'
          ? await FleetServer.accept(options, nodeArgs)
          : await FleetServer.wholePath(options, {}, nodeArgs)
      const runs = new FleetRuns(options.devices, directory)
      await server.run(runs.make(rate, shape.perSecond * plan.fleetSeconds))
      const run = runs.make(rate, shape.perSecond * plan.fleetSeconds)
      const before = threadCpu(server.pid)
      const { pid } = server
      const began = nowUs()
      await server.run(run)
      const ended = nowUs()
      const after = threadCpu(pid)
      await server.stop()
      const name = (what: string) => `${shape.devices} x ${shape.perSecond}/s, ${way}: ${what}`
      const perMessage = (ms: number) => [(ms * US_PER_MS) / run.messages]
      const used = (isMain: boolean, kind: 'user' | 'system') =>
        [...after]
          .filter(([thread]) => (thread === pid) === isMain)
          .reduce((sum, [thread, cpu]) => sum + cpu[kind] - (before.get(thread)?.[kind] ?? 0), 0)
      for (const [thread, isMain] of [
        ['main thread', true],
        ['other threads', false],
      ] as const) {
        figures.push(figure(name(thread), 'us CPU/msg', perMessage(used(isMain, 'user'))))
        figures.push(figure(name(`${thread}, kernel`), 'us CPU/msg', perMessage(used(isMain, 'system'))))
      }
      for (const [part, us] of partsOf(mainProfile(profiles), began, ended)) {
        figures.push(figure(name(`  ${part}`), 'us CPU/msg', [us / run.messages], { note: 'of the main thread' }))
      }
    }
    return figures
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Of the clock that V8's samples have. */
const nowUs = () => Number(process.hrtime.bigint() / NS_PER_US)

/** As `--cpu-prof` writes it (Chrome DevTools Protocol, `Profiler.Profile`); times in microseconds. */
interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { functionName: string; url: string } }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** That of the main thread has the number 0. */
function mainProfile(directory: string): Profile {
  const file = readdirSync(directory).find((name) => /\.\d+\.0\.\d+\.cpuprofile$/.test(name))
  if (file === undefined) throw new Error(`there is no profile of the main thread in ${directory}`)
  return JSON.parse(readFileSync(join(directory, file), 'utf8')) as Profile
}

/** Microseconds between two times by part of the tree, most first; without those in which nothing was to do. */
function partsOf({ nodes, startTime, samples, timeDeltas }: Profile, began: number, ended: number): [string, number][] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parts = new Map<string, number>()
  let at = startTime
  for (const [index, id] of samples.entries()) {
    const took = timeDeltas[index] ?? 0
    at += took
    const frame = frames.get(id)
    if (at < began || at > ended || frame === undefined) continue
    const part = partOf(frame)
    if (part !== undefined) parts.set(part, (parts.get(part) ?? 0) + took)
  }
  return [...parts].sort(([, one], [, other]) => other - one)
}

const NATIVE: Readonly<Record<string, string | undefined>> = {
  '(idle)': undefined,
  '(program)': 'the event loop, and V8 outside JavaScript',
  '(garbage collector)': 'garbage collection',
}

/** Undefined: nothing was to do. */
function partOf({ functionName, url }: { functionName: string; url: string }): string | undefined {
  if (functionName in NATIVE) return NATIVE[functionName]
  const library = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  if (library !== undefined) return library
  if (/^node:.*(net|stream|buffer)/.test(url)) return "Node's sockets, streams and buffers"
  if (url.startsWith('node:')) return 'the rest of Node'
  // A function of Node's own in C++; what V8 has of its own is never above it.
  if (url === '') return functionName === 'writeBuffer' ? 'writing to sockets' : "V8's builtins"
  return (
    /(?:broker|log|ingest|gateway|schemas|platform|identity)(?:\/[a-z0-9]+)?(?=\/[^/]+$)/.exec(url)?.[0] ?? 'the rest'
  )
}
