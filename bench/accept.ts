/**
 * Owns the measure of durable accept: QoS 1, fsync before PUBACK, nobody reading the log; beside it Mosquitto, which keeps
 * nothing on disk, under the same load generator and the same bytes.
 */

import { fileURLToPath } from 'node:url'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { Child } from './child.ts'
import { type Figure, figure } from './figure.ts'
import type { LoadOptions, LoadResult } from './load.ts'
import type { Plan } from './plan.ts'
import { cpuMs } from './proc.ts'
import { Telltale } from './telltale.ts'

const LOAD = fileURLToPath(new URL('load.ts', import.meta.url))
const MICROSECONDS_PER_MS = 1000

/** What a broker is to the load: a port, credentials, CPU time used so far, and what has to be waited for. */
export interface Loaded {
  readonly port: number
  readonly tokens: readonly string[]
  cpuMs(): number
  /** Resolves when so many messages since the start have had their full effect. */
  settled(messages: number): Promise<void>
}

export interface Rounds {
  /** CPU microseconds a message, a value a round. */
  readonly cpuUs: number[]
  /** Messages a second until all was acknowledged. */
  readonly perSecond: number[]
}

const emptyRounds = (): Rounds => ({ cpuUs: [], perSecond: [] })

export const deviceNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `bench-${index + 1}`)

/** Runs the plan's rounds against `loaded`, by MQTT 3.1.1 (4) or 5; the first is not counted. */
export async function measureRounds(loaded: Loaded, plan: Plan, protocolVersion: 4 | 5 = 4): Promise<Rounds> {
  const options: LoadOptions = {
    port: loaded.port,
    devices: deviceNames(plan.clients),
    tokens: loaded.tokens,
    messagesPerDevice: plan.messagesPerClient,
    window: plan.window,
    deadlineMs: plan.deadlineMs,
    protocolVersion,
  }
  const load = new Child('load generator', ['--import', 'tsx', LOAD, JSON.stringify(options)])
  const rounds = emptyRounds()
  try {
    let messages = 0
    for (let round = 0; round <= plan.rounds; round++) {
      await load.line((line) => line === 'ready', plan.deadlineMs)
      const before = loaded.cpuMs()
      load.send('go')
      const result = JSON.parse(await load.line((line) => line.startsWith('{'), plan.deadlineMs)) as LoadResult
      messages += result.messages
      await loaded.settled(messages)
      const used = loaded.cpuMs() - before
      if (round === 0) continue
      rounds.cpuUs.push((used * MICROSECONDS_PER_MS) / result.messages)
      rounds.perSecond.push((result.messages * 1000) / result.elapsedMs)
    }
    return rounds
  } finally {
    await load.stop()
  }
}

export async function measureAccept(plan: Plan): Promise<Figure[]> {
  const [ours, ours5] = await acceptOfTelltale(plan)
  const peers = await acceptOfMosquitto(plan)
  const accept = figure('durable QoS 1 accept', 'us CPU/msg', ours.cpuUs, {
    target: { atMost: 8 },
    note: 'telltale up --roles broker',
  })
  const peer = figure('Mosquitto QoS 1, nothing stored', 'us CPU/msg', peers.cpuUs)
  return [
    accept,
    peer,
    figure('Telltale / Mosquitto', 'ratio', [accept.median / peer.median]),
    figure('durable QoS 1 accept by MQTT 5', 'us CPU/msg', ours5.cpuUs, { note: 'in turns with 3.1.1' }),
    figure('durable QoS 1 accept, rate', 'msg/s', ours.perSecond, { note: 'all on this box' }),
    figure('Mosquitto QoS 1, rate', 'msg/s', peers.perSecond),
  ]
}

/** By MQTT 3.1.1, and by 5; a round of one, then of the other. */
async function acceptOfTelltale(plan: Plan): Promise<[Rounds, Rounds]> {
  const telltale = await Telltale.start('broker')
  try {
    const tokens = await telltale.deviceTokens(deviceNames(plan.clients))
    const settled = () => Promise.resolve()
    const loaded = { port: telltale.mqttPort, tokens, cpuMs: () => telltale.cpuMs(), settled }
    const both: [Rounds, Rounds] = [emptyRounds(), emptyRounds()]
    for (let round = 0; round < plan.rounds; round++) {
      for (const [index, rounds] of both.entries()) {
        const { cpuUs, perSecond } = await measureRounds(loaded, { ...plan, rounds: 1 }, index === 0 ? 4 : 5)
        rounds.cpuUs.push(...cpuUs)
        rounds.perSecond.push(...perSecond)
      }
    }
    return both
  } finally {
    await telltale.stop()
  }
}

async function acceptOfMosquitto(plan: Plan): Promise<Rounds> {
  const mosquitto = await startMosquitto(['log_type error'])
  try {
    const { port, pid } = mosquitto
    return await measureRounds({ port, tokens: [], cpuMs: () => cpuMs(pid), settled: () => Promise.resolve() }, plan)
  } finally {
    await mosquitto.stop()
  }
}
