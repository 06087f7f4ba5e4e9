/**
 * Owns what the simulator itself costs: one process that publishes by QoS 1 as fast as Mosquitto acknowledges, with and without a run folder, in turns with
 * two load generators that send one payload again and again: one of Go, one of the library that the simulator sends by. All have as many devices,
 * as many messages in flight, and payloads as long.
 *
 * Always true: a generator is asked for few messages and then for many, and what counts is the difference: starting, connecting and compiling are
 * in both.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SimulatorSchemas } from '../devices/simulator/messages/simulator-schemas.ts'
import { sourceOf } from '../devices/simulator/messages/source.ts'
import type { Summary } from '../devices/simulator/report/summary.ts'
import { type Group, PLAIN_SENDING } from '../devices/simulator/scenario/scenario.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../schemas/registry.ts'
import { startMosquitto } from '../test/servers/mosquitto.ts'
import { findProgram, MissingServer } from '../test/servers/server.ts'
import { ROOT } from '../test/tree.ts'
import { Child } from './child.ts'
import { type Figure, figure } from './figure.ts'
import type { Plan } from './plan.ts'

const CLI = fileURLToPath(new URL('../cli/telltale.js', import.meta.url))
const MQTT_LOAD = fileURLToPath(new URL('mqtt-load.ts', import.meta.url))
const PAHO_LOAD = fileURLToPath(new URL('paho-load', import.meta.url))
/** Git does not see it. */
const BUILT = join(ROOT, '.strangers')
/** So many are in what is asked for few of, of each device: enough that V8 has compiled what is hot. */
const WARM_PER_CLIENT = 1_000
const MS_PER_SECOND = 1000

interface Sent {
  readonly messages: number
  readonly elapsedMs: number
  readonly cpuMs: number
}

interface Generator {
  readonly name: string
  readonly note?: string
  send(messages: number): Promise<Sent>
}

interface Rounds {
  readonly cpuUs: number[]
  readonly perSecond: number[]
}

export async function measureSimulator(plan: Plan): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'telltale-bench-'))
  // It keeps up with 64 messages in flight of each device, and drops none.
  const mosquitto = await startMosquitto(['log_type error', 'max_inflight_messages 0', 'max_queued_messages 0'])
  try {
    const place = { port: mosquitto.port, directory, plan }
    const [plain, kept] = [simulator(place, false), simulator(place, true)]
    const peers = [mqttLoad(place), ...pahoLoad(place)]
    const rounds = await inTurns([plain, kept, ...peers], plan)
    const ofPlain = rounds.get(plain)?.cpuUs ?? []
    const ratios = [kept, ...peers].map((each) => {
      const values = (rounds.get(each)?.cpuUs ?? []).map((value, round) => (ofPlain[round] ?? Number.NaN) / value)
      return figure(`simulator / ${each.name}`, 'ratio of CPU', values)
    })
    return [...[...rounds].flatMap(([each, measured]) => figuresOf(each, measured)), ...ratios]
  } finally {
    await mosquitto.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

const figuresOf = ({ name, note }: Generator, { cpuUs, perSecond }: Rounds): Figure[] => [
  figure(name, 'us CPU/msg', cpuUs, note === undefined ? {} : { note }),
  figure(`${name}, rate`, 'msg/s', perSecond),
]

/** One round of each, then the next of each. */
async function inTurns(generators: readonly Generator[], plan: Plan): Promise<Map<Generator, Rounds>> {
  const few = plan.clients * WARM_PER_CLIENT
  const many = few + plan.clients * plan.messagesPerClient
  const rounds = new Map(generators.map((each): [Generator, Rounds] => [each, { cpuUs: [], perSecond: [] }]))
  for (let round = 0; round < plan.rounds; round++) {
    for (const [generator, { cpuUs, perSecond }] of rounds) {
      const [less, more] = [await generator.send(few), await generator.send(many)]
      const messages = more.messages - less.messages
      cpuUs.push(((more.cpuMs - less.cpuMs) * MS_PER_SECOND) / messages)
      perSecond.push((messages * MS_PER_SECOND) / (more.elapsedMs - less.elapsedMs))
    }
  }
  return rounds
}

interface Place {
  readonly port: number
  readonly directory: string
  readonly plan: Plan
}

function simulator({ port, directory, plan }: Place, isKept: boolean): Generator {
  const out = join(directory, 'run')
  const fleet = ['--devices', String(plan.clients), '--rate', '0', '--url', `mqtt://127.0.0.1:${port}`]
  return {
    name: isKept ? 'simulator with its run folder' : 'simulator',
    note: isKept ? 'each message is read as the platform would, and written down' : 'values are drawn, and encoded',
    send: async (messages) => {
      rmSync(out, { recursive: true, force: true })
      const args = [CLI, 'simulate', ...fleet, '--messages', String(messages), '--json']
      const env = { TELLTALE_DATA_DIR: join(directory, 'data') }
      const line = await lineOf(
        new Child('simulator', [...args, ...(isKept ? ['--out', out] : ['--no-out'])], env),
        plan,
      )
      const { sent, elapsedMs, cost, ok } = JSON.parse(line) as Summary
      if (!ok) throw new Error(`a run of the simulator did not hold: ${line}`)
      return { messages: sent, elapsedMs, cpuMs: cost.cpuSeconds * MS_PER_SECOND }
    },
  }
}

const mqttLoad = (place: Place): Generator => ({
  name: 'mqtt.js alone',
  note: 'the library that the simulator sends by; one payload',
  send: async (messages) => {
    const env = environmentOf(place, messages)
    return JSON.parse(await lineOf(new Child('mqtt load', ['--import', 'tsx', MQTT_LOAD], env), place.plan)) as Sent
  },
})

/** None where Go is not there. */
function pahoLoad(place: Place): Generator[] {
  const binary = join(BUILT, 'paho-load')
  try {
    mkdirSync(BUILT, { recursive: true })
    const go = findProgram('go', 'for a load generator of Go')
    const { status, stderr } = spawnSync(go, ['build', '-o', binary, '.'], { cwd: PAHO_LOAD, encoding: 'utf8' })
    if (status !== 0) throw new MissingServer(`the load generator of Go is not built: ${stderr.trim()}`)
  } catch (error) {
    if (!(error instanceof MissingServer)) throw error
    console.error(`left out: ${error.message}`)
    return []
  }
  const send = async (messages: number) => {
    const child = new Child('paho load', [], environmentOf(place, messages), binary)
    return JSON.parse(await lineOf(child, place.plan)) as Sent
  }
  return [{ name: 'paho.mqtt.golang', note: 'of which mqtt-benchmark and mqtt-stresser are made; one payload', send }]
}

async function lineOf(child: Child, plan: Plan): Promise<string> {
  try {
    return await child.line((line) => line.startsWith('{'), plan.deadlineMs)
  } finally {
    await child.stop()
  }
}

const environmentOf = ({ port, plan: { clients, window } }: Place, messages: number): Record<string, string> => ({
  PORT: String(port),
  CLIENTS: String(clients),
  WINDOW: String(window),
  MESSAGES: String(messages),
  BYTES: String(payloadBytes()),
})

/** Of a message as the simulator sends it. */
function payloadBytes(): number {
  const sending = { ...PLAIN_SENDING, everyMs: 0 }
  const group: Group = { prefix: 'sim-', devices: 1, mqtt: '3.1.1', keepaliveSeconds: 60, sends: [sending] }
  const schemas = new SimulatorSchemas(Registry.load(SHIPPED_SCHEMAS_DIR))
  const source = sourceOf({ group, sending, device: 'sim-1', index: 0, seed: 1 }, { schemas })
  return source.write(source.measure(Date.now())).length
}
