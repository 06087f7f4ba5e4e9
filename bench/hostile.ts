/**
 * Owns the measure of hostile clients: how long honest devices wait for their PUBACK alone, and beside one that
 * misbehaves; each manner by itself, and the same beside Mosquitto.
 */

import { fileURLToPath } from 'node:url'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { deviceNames } from './accept.ts'
import { Child } from './child.ts'
import type { ConnectionsOptions, PublishResult } from './connections-load.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'
import { Telltale } from './telltale.ts'

const HONEST_LOAD = fileURLToPath(new URL('connections-load.ts', import.meta.url))
const HOSTILE_LOAD = fileURLToPath(new URL('hostile-load.ts', import.meta.url))
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

type Waits = ReadonlyMap<Manner | 'alone', readonly PublishResult[]>

export async function measureHostile(plan: Plan): Promise<Figure[]> {
  const ours = await besideTelltale(plan)
  const peers = await besideMosquitto(plan)
  const figures: Figure[] = []
  for (const manner of ['alone', ...MANNERS] as const) {
    for (const [broker, waits] of [
      ['Telltale', ours],
      ['Mosquitto', peers],
    ] as const) {
      const results = waits.get(manner) ?? []
      figures.push(
        figure(
          `${broker}, ${manner}: PUBACK p50`,
          'ms',
          results.map(({ p50Ms }) => p50Ms),
        ),
        figure(
          `${broker}, ${manner}: PUBACK p99`,
          'ms',
          results.map(({ p99Ms }) => p99Ms),
        ),
      )
    }
  }
  return figures
}

async function besideTelltale(plan: Plan): Promise<Waits> {
  const telltale = await Telltale.start('broker,ingest,gateway')
  try {
    const devices = deviceNames(plan.clients)
    const [deviceToken = '', ...tokens] = await telltale.deviceTokens([HOSTILE_DEVICE, ...devices])
    const hostile = {
      port: telltale.mqttPort,
      device: HOSTILE_DEVICE,
      deviceToken,
      appToken: await telltale.appToken(),
    }
    return await telltale.during(() => measure(devices, tokens, hostile, plan))
  } finally {
    await telltale.stop()
  }
}

async function besideMosquitto(plan: Plan): Promise<Waits> {
  const mosquitto = await startMosquitto(['log_type error'])
  try {
    const hostile = { port: mosquitto.port, device: HOSTILE_DEVICE, deviceToken: '', appToken: '' }
    return await measure(deviceNames(plan.clients), [], hostile, plan)
  } finally {
    await mosquitto.stop()
  }
}

async function measure(
  devices: readonly string[],
  tokens: readonly string[],
  hostile: HostileOptions,
  plan: Plan,
): Promise<Waits> {
  const options: ConnectionsOptions = {
    port: hostile.port,
    active: devices.map((device, index) => ({ device, token: tokens[index] ?? '' })),
    idle: [],
    rate: plan.hostileRate,
    seconds: plan.hostileSeconds,
    deadlineMs: plan.deadlineMs,
  }
  const waits = new Map<Manner | 'alone', PublishResult[]>()
  const honest = new Child('honest load', ['--import', 'tsx', HONEST_LOAD])
  const publish = async () => {
    honest.send('publish')
    return JSON.parse(await honest.line((line) => line.startsWith('{'), plan.deadlineMs)) as PublishResult
  }
  const rounds = async () => {
    const results: PublishResult[] = []
    for (let round = 0; round < plan.rounds; round++) results.push(await publish())
    return results
  }
  try {
    honest.send(JSON.stringify(options))
    await honest.line((line) => line.startsWith('{'), plan.deadlineMs)
    await publish()
    waits.set('alone', await rounds())
    for (const manner of MANNERS) {
      const load = new Child(`hostile load, ${manner}`, [
        '--import',
        'tsx',
        HOSTILE_LOAD,
        manner,
        JSON.stringify(hostile),
      ])
      try {
        await load.line((line) => line === 'ready', plan.deadlineMs)
        waits.set(manner, await rounds())
      } finally {
        await load.stop()
      }
    }
    return waits
  } finally {
    await honest.stop()
  }
}
