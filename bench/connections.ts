/**
 * Owns the measure of connections: how fast they are taken and what an idle one costs in memory, and what idle ones cost
 * the devices that publish; beside it Mosquitto, under the same load. And what 50,000 devices take that are connected and ping, or as
 * many as files may be open for.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openFilesMax } from '../platform/files.ts'
import { FILES_FOR_CLIENTS_RATIO } from '../platform/limits.ts'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { Child } from './child.ts'
import type { ConnectionsOptions, ConnectResult, Credential, PublishResult } from './connections-load.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'
import { cpuMs, memory } from './proc.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('connections-load.ts', import.meta.url))
const US_PER_MS = 1000
/** Of 10,000 idle devices. */
const FLEET_TIMES = 5
const FLEET_MIB_MAX = 600
/** As the load has its devices ping. */
const ALL_HAVE_PINGED_MS = 30_000
/** Files that are no device's. */
const OTHER_FILES = 500

interface Connections {
  readonly perSecond: number
  readonly cpuUs: number
  readonly kibibytes: number
  readonly alone: readonly PublishResult[]
  readonly beside: readonly PublishResult[]
}

export async function measureConnections(plan: Plan): Promise<Figure[]> {
  const ours = await connectionsOfTelltale(plan)
  const peers = await connectionsOfMosquitto(plan)
  const { idleDevices, activeDevices, liveRate } = plan
  const rows = (broker: string, { perSecond, cpuUs, kibibytes, alone, beside }: Connections) => [
    figure(`${broker}: memory of an idle connection`, 'KiB', [kibibytes], { note: `${idleDevices} idle devices` }),
    figure(`${broker}: connections taken`, '/s', [perSecond]),
    figure(`${broker}: a connection taken`, 'us CPU', [cpuUs]),
    figure(`${broker}: PUBACK p50, no idle devices`, 'ms', alone.map(p50)),
    figure(`${broker}: PUBACK p50, idle devices too`, 'ms', beside.map(p50)),
    figure(`${broker}: PUBACK p99, no idle devices`, 'ms', alone.map(p99), {
      note: `${activeDevices} active devices, ${liveRate} msg/s`,
    }),
    figure(`${broker}: PUBACK p99, idle devices too`, 'ms', beside.map(p99)),
  ]
  return [...rows('Telltale', ours), ...rows('Mosquitto', peers), await connectedFleet(plan)]
}

/** All that is resident, with the process itself; when each device has pinged. */
async function connectedFleet(plan: Plan): Promise<Figure> {
  const wanted = FLEET_TIMES * plan.idleDevices
  const count = Math.min(wanted, Math.floor(openFilesMax() * FILES_FOR_CLIENTS_RATIO) - OTHER_FILES)
  const telltale = await Telltale.start('broker,ingest,gateway')
  const load = new Child('connections load', ['--import', 'tsx', LOAD])
  try {
    const devices = names('idle', count)
    const tokens = await telltale.deviceTokens(devices)
    const idle = devices.map((device, index) => ({ device, token: tokens[index] ?? '' }))
    const { liveRate: rate, liveSeconds: seconds, deadlineMs } = plan
    const options: ConnectionsOptions = { port: telltale.mqttPort, active: [], idle, rate, seconds, deadlineMs }
    const answered = () => load.line((line) => line.startsWith('{'), deadlineMs)
    load.send(JSON.stringify(options))
    await answered()
    load.send('connect')
    await answered()
    await delay(ALL_HAVE_PINGED_MS)
    const { own, mapped } = memory(telltale.pid)
    const mebibytes = (own + mapped) / 2 ** 20
    const isWhole = count === wanted
    const ofThese = isWhole ? '' : `; ulimit -n allows no more of ${wanted}`
    const note = `${Math.round(own / 2 ** 20)} of it its own${ofThese}`
    const more = isWhole ? { note, target: { atMost: FLEET_MIB_MAX } } : { note }
    return figure(`Telltale: ${count} devices connected, pinging`, 'MiB', [mebibytes], more)
  } finally {
    await load.stop()
    await telltale.stop()
  }
}

const p50 = ({ p50Ms }: PublishResult) => p50Ms
const p99 = ({ p99Ms }: PublishResult) => p99Ms

const names = (kind: string, count: number) => Array.from({ length: count }, (_, index) => `${kind}-${index + 1}`)

async function connectionsOfTelltale(plan: Plan): Promise<Connections> {
  const telltale = await Telltale.start('broker,ingest,gateway')
  try {
    const devices = [...names('active', plan.activeDevices), ...names('idle', plan.idleDevices)]
    const tokens = await telltale.deviceTokens(devices)
    const credentials = devices.map((device, index) => ({ device, token: tokens[index] ?? '' }))
    return await telltale.during(() => measure({ port: telltale.mqttPort, pid: telltale.pid }, credentials, plan))
  } finally {
    await telltale.stop()
  }
}

async function connectionsOfMosquitto(plan: Plan): Promise<Connections> {
  const mosquitto = await startMosquitto(['log_type error'])
  try {
    const devices = [...names('active', plan.activeDevices), ...names('idle', plan.idleDevices)]
    return await measure(
      mosquitto,
      devices.map((device) => ({ device, token: '' })),
      plan,
    )
  } finally {
    await mosquitto.stop()
  }
}

async function measure(
  broker: { readonly port: number; readonly pid: number },
  credentials: readonly Credential[],
  plan: Plan,
): Promise<Connections> {
  const options: ConnectionsOptions = {
    port: broker.port,
    active: credentials.slice(0, plan.activeDevices),
    idle: credentials.slice(plan.activeDevices),
    rate: plan.liveRate,
    seconds: plan.liveSeconds,
    deadlineMs: plan.deadlineMs,
  }
  const load = new Child('connections load', ['--import', 'tsx', LOAD])
  const answer = async <T>() => JSON.parse(await load.line((line) => line.startsWith('{'), plan.deadlineMs)) as T
  const ask = <T>(command: string) => {
    load.send(command)
    return answer<T>()
  }
  /** One more warms up, and after the idle ones have connected lets their garbage be collected. */
  const rounds = async () => {
    await ask('publish')
    const results: PublishResult[] = []
    for (let round = 0; round < plan.rounds; round++) results.push(await ask<PublishResult>('publish'))
    return results
  }
  try {
    await ask(JSON.stringify(options))
    const alone = await rounds()
    const before = { memory: memory(broker.pid).own, cpuMs: cpuMs(broker.pid) }
    const { elapsedMs } = await ask<ConnectResult>('connect')
    const cpu = cpuMs(broker.pid) - before.cpuMs
    const beside = await rounds()
    return {
      perSecond: (plan.idleDevices * 1000) / elapsedMs,
      cpuUs: (cpu * US_PER_MS) / plan.idleDevices,
      kibibytes: (memory(broker.pid).own - before.memory) / plan.idleDevices / 1024,
      alone,
      beside,
    }
  } finally {
    await load.stop()
  }
}
