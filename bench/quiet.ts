/**
 * Owns the measures of a platform that has next to nothing to do: what one message takes that comes alone, beside a flush of the
 * disk, and what the process costs while nobody is connected. Mosquitto beside it, which flushes nothing.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { deviceNames } from './accept.ts'
import { type Figure, figure } from './figure.ts'
import { FleetLoad } from './fleet-load.ts'
import { FleetRuns } from './fleet-runs.ts'
import type { FleetOptions } from './fleet-server.ts'
import { flushesMs } from './flush.ts'
import type { Plan } from './plan.ts'
import { cpuMs, memory, waits } from './proc.ts'
import { Telltale } from './telltale.ts'

/** Each was acknowledged long before the next one comes. */
const LONE_PER_SECOND = 50
const LONE_WARM_MESSAGES = 100
/** After the last connection. */
const SETTLE_MS = 10_000
const LONE_MS_MAX = 3
const WAKE_UPS_MAX = 20
const IDLE_PERCENT_MAX = 0.3
const BEGIN_AFTER_NS = 100_000_000n
const US_PER_MS = 1000
const MS_PER_SECOND = 1000
const MIB = 2 ** 20

interface Server {
  readonly name: string
  readonly port: number
  readonly pid: number
  readonly tokens: readonly string[]
}

export async function measureQuiet(plan: Plan, options: Omit<FleetOptions, 'devices'>): Promise<Figure[]> {
  const telltale = await Telltale.start('broker,ingest,gateway')
  const mosquitto = await startMosquitto(['log_type error'])
  try {
    const tokens = await telltale.deviceTokens(deviceNames(1))
    const servers: Server[] = [
      { name: 'Telltale', port: telltale.mqttPort, pid: telltale.pid, tokens },
      { name: 'Mosquitto', port: mosquitto.port, pid: mosquitto.pid, tokens: [] },
    ]
    const lone: Figure[] = []
    for (const server of servers) lone.push(await measureLone(server, plan, options))
    const flushes = flushesMs(telltale.dataDirectory)
    const note = 'fdatasync of 4 KiB beside the log'
    return [...lone, figure('a flush of this disk', 'ms', flushes, { note }), ...(await measureIdleCost(servers, plan))]
  } finally {
    await mosquitto.stop()
    await telltale.stop()
  }
}

/** One device, and one message after the other. */
async function measureLone(server: Server, plan: Plan, options: Omit<FleetOptions, 'devices'>): Promise<Figure> {
  const { name, port, tokens } = server
  const [device = ''] = deviceNames(1)
  const load = await FleetLoad.connect({ ...options, port, credentials: [{ device, token: tokens[0] ?? '' }] })
  try {
    const runs = new FleetRuns([device], options.directory)
    const publish = (messages: number) =>
      load.publish(runs.make(LONE_PER_SECOND, messages), process.hrtime.bigint() + BEGIN_AFTER_NS)
    await publish(LONE_WARM_MESSAGES)
    const { p50Us } = await publish(plan.loneMessages)
    return figure(`${name}: one message alone, PUBACK`, 'ms', [p50Us / US_PER_MS], {
      ...(name === 'Telltale' && { target: { atMost: LONE_MS_MAX } }),
      note: `median of ${plan.loneMessages}, one each ${MS_PER_SECOND / LONE_PER_SECOND} ms`,
    })
  } finally {
    await load.stop()
  }
}

/** Of all servers in the same seconds: none of them does anything that the others would feel. */
async function measureIdleCost(servers: readonly Server[], plan: Plan): Promise<Figure[]> {
  await delay(SETTLE_MS)
  const before = servers.map(({ pid }) => ({ cpuMs: cpuMs(pid), waits: waits(pid) }))
  const from = performance.now()
  await delay(plan.idleSeconds * MS_PER_SECOND)
  const elapsedMs = performance.now() - from
  return servers.flatMap(({ name, pid }, index) => {
    const then = before[index] ?? { cpuMs: 0, waits: new Map<string, number>() }
    let wakeUps = 0
    for (const [thread, count] of waits(pid)) wakeUps += count - (then.waits.get(thread) ?? 0)
    const target = (atMost: number) => (name === 'Telltale' ? { target: { atMost } } : {})
    const note = `over ${plan.idleSeconds} s, nobody connected`
    return [
      figure(`${name}, idle: wake-ups`, '/s', [(wakeUps * MS_PER_SECOND) / elapsedMs], {
        ...target(WAKE_UPS_MAX),
        note,
      }),
      figure(
        `${name}, idle: CPU`,
        '% of a core',
        [((cpuMs(pid) - then.cpuMs) * 100) / elapsedMs],
        target(IDLE_PERCENT_MAX),
      ),
      figure(`${name}, idle: memory`, 'MiB', [memory(pid).own / MIB]),
    ]
  })
}
