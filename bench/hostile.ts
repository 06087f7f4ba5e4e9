/**
 * Owns the measure of hostile clients: how long honest devices wait for their PUBACK alone, and beside one that
 * misbehaves; each manner by itself, and the same beside Mosquitto. The misbehaviour begins anew with each round, for its
 * beginning is the worst of some. What the machine itself makes others wait is known from rounds in which the same happens to
 * another Telltale.
 */

import { fileURLToPath } from 'node:url'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import type { ConnectionsOptions, PublishResult } from './connections-load.ts'
import { type Figure, figure } from './figure.ts'
import { connectDevice } from './load-client.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const HONEST_LOAD = fileURLToPath(new URL('connections-load.ts', import.meta.url))
const HOSTILE_LOAD = ['--import', 'tsx', fileURLToPath(new URL('hostile-load.ts', import.meta.url))]
const HOSTILE_DEVICE = 'hostile'

const MANNERS = [
  'pings',
  'readings',
  'malformed',
  'forbidden',
  'large',
  'filters',
  'frozen',
  'garbage',
  'bad-tokens',
  'reconnects',
  'takeovers',
  'half-connects',
] as const
/** A way to misbehave; `hostile-load.ts` says what each does. */
export type Manner = (typeof MANNERS)[number]

export interface HostileOptions {
  readonly port: number
  /** Of a device, and of an app that may subscribe to all telemetry; any, where the broker asks for none. */
  readonly device: string
  readonly deviceToken: string
  readonly appToken: string
}

/** Whom the honest devices share their broker with. */
type Company = Manner | `${Manner}, elsewhere` | 'alone'

type Waits = ReadonlyMap<Company, readonly PublishResult[]>

export async function measureHostile(plan: Plan): Promise<Figure[]> {
  const ours = await besideTelltale(plan)
  const peers = await besideMosquitto(plan)
  return [...figures('Telltale', ours), ...figures('Mosquitto', peers)]
}

function figures(broker: string, waits: Waits): Figure[] {
  return [...waits].flatMap(([company, results]) => {
    const of = (percentile: 'p50' | 'p99') => {
      const rounds = results.map((result) => result[`${percentile}Ms`])
      return figure(`${broker}, ${company}: PUBACK ${percentile}`, 'ms', rounds)
    }
    return [of('p50'), of('p99')]
  })
}

async function besideTelltale(plan: Plan): Promise<Waits> {
  const telltale = await Telltale.start('broker,ingest,gateway')
  const another = await Telltale.start('broker,ingest,gateway')
  try {
    const devices = deviceNames(plan.clients)
    const honest = { port: telltale.mqttPort, devices, tokens: await telltale.deviceTokens(devices) }
    const [here, elsewhere] = [await hostileTo(telltale), await hostileTo(another)]
    const [token = ''] = await another.deviceTokens(devices.slice(0, 1))
    // Who is alone with a broker is not limited by it.
    const witness = await connectDevice({ port: elsewhere.port, device: devices[0] ?? '', token })
    witness.on('error', () => undefined)
    return await telltale.during(() => measure(honest, { here, elsewhere }, plan))
  } finally {
    await telltale.stop()
    await another.stop()
  }
}

async function hostileTo(telltale: Telltale): Promise<HostileOptions> {
  const [deviceToken = ''] = await telltale.deviceTokens([HOSTILE_DEVICE])
  return { port: telltale.mqttPort, device: HOSTILE_DEVICE, deviceToken, appToken: await telltale.appToken() }
}

async function besideMosquitto(plan: Plan): Promise<Waits> {
  const mosquitto = await startMosquitto(['log_type error'])
  try {
    const { port } = mosquitto
    const here = { port, device: HOSTILE_DEVICE, deviceToken: '', appToken: '' }
    return await measure({ port, devices: deviceNames(plan.clients), tokens: [] }, { here }, plan)
  } finally {
    await mosquitto.stop()
  }
}

interface Honest {
  readonly port: number
  readonly devices: readonly string[]
  readonly tokens: readonly string[]
}

interface Targets {
  readonly here: HostileOptions
  readonly elsewhere?: HostileOptions
}

async function measure({ port, devices, tokens }: Honest, targets: Targets, plan: Plan): Promise<Waits> {
  const options: ConnectionsOptions = {
    port,
    active: devices.map((device, index) => ({ device, token: tokens[index] ?? '' })),
    idle: [],
    rate: plan.hostileRate,
    seconds: plan.hostileSeconds,
    deadlineMs: plan.deadlineMs,
  }
  const waits = new Map<Company, PublishResult[]>()
  const honest = new Child('honest load', ['--import', 'tsx', HONEST_LOAD])
  const publish = async () => {
    honest.send('publish')
    return JSON.parse(await honest.line((line) => line.startsWith('{'), plan.deadlineMs)) as PublishResult
  }
  const note = async (company: Company) => waits.set(company, [...(waits.get(company) ?? []), await publish()])
  const beside = async (company: Company, manner: Manner, target: HostileOptions) => {
    const load = new Child(`hostile load, ${manner}`, [...HOSTILE_LOAD, manner, JSON.stringify(target)])
    try {
      await load.line((line) => line === 'ready', plan.deadlineMs)
      load.send('begin')
      await note(company)
    } finally {
      await load.stop()
    }
  }
  try {
    honest.send(JSON.stringify(options))
    await honest.line((line) => line.startsWith('{'), plan.deadlineMs)
    await publish()
    for (let round = 0; round < plan.rounds; round++) await note('alone')
    for (const manner of MANNERS) {
      for (let round = 0; round < plan.rounds; round++) {
        await beside(manner, manner, targets.here)
        if (targets.elsewhere) await beside(`${manner}, elsewhere`, manner, targets.elsewhere)
      }
    }
    return waits
  } finally {
    await honest.stop()
  }
}
