/** Owns what the simulator's tests share: a run against a broker, with the shipped schemas and any token. */

import { join } from 'node:path'
import type { Credentials } from '../../../devices/simulator/fleet/fleet.ts'
import { SimulatorSchemas } from '../../../devices/simulator/messages/simulator-schemas.ts'
import { LocalPart } from '../../../devices/simulator/run/local-part.ts'
import type { Group, Scenario, Sending } from '../../../devices/simulator/scenario/scenario.ts'
import { Simulator, type SimulatorDeps } from '../../../devices/simulator/simulator.ts'
import type { Verifies } from '../../../devices/simulator/verify/run-verifier.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'

export const registry = Registry.load(SHIPPED_SCHEMAS_DIR)
/** How often a run is looked at: tests wait for what it shows. */
const EVERY_MS = 10

type Changes = Partial<Omit<Scenario, 'fleet'> & Omit<Group, 'sends'> & Omit<Sending, 'everyMs'>> & {
  /** Messages a second and device. */
  readonly rate?: number
}

/** Three devices that send 30 messages as fast as they are acknowledged. */
export function scenario(changes: Changes = {}): Scenario {
  const { rate = 0, ...more } = changes
  const all = {
    name: 'test',
    seed: 7,
    startAt: undefined,
    durationMs: Number.POSITIVE_INFINITY,
    messages: 30,
    rampMs: 0,
    drainMs: 10_000,
    faults: [],
    failIf: [],
    prefix: 'sim-',
    devices: 3,
    mqtt: '3.1.1',
    keepaliveSeconds: 60,
    stream: 'environment',
    burst: 1,
    qos: 1,
    batch: 1,
    format: 'avro',
    versions: undefined,
    signals: {},
    topic: undefined,
    ...more,
  } as const
  const { name, seed, startAt, durationMs, messages, rampMs, drainMs, faults, failIf, ...rest } = all
  const { prefix, devices, mqtt, keepaliveSeconds, ...sends } = rest
  const sending: Sending = { ...sends, everyMs: rate === 0 ? 0 : 1000 / rate }
  const fleet = [{ prefix, devices, mqtt, keepaliveSeconds, sends: [sending] }]
  return { name, seed, startAt, durationMs, messages, rampMs, drainMs, faults, failIf, fleet }
}

export interface Run {
  readonly scenario: Scenario
  readonly url: string
  /** Of ours beside the broker, which nobody asks. */
  readonly gateway?: string | undefined
}

export const fleetOptions = (url: string, changes: Changes = {}): Run => ({ url, scenario: scenario(changes) })

const any = async () => 'any'

export function fleet(
  run: Run,
  good: (device: string) => Promise<string> = any,
  {
    folder,
    verifier,
    watch,
  }: { readonly folder?: string; readonly verifier?: Verifies; readonly watch?: SimulatorDeps['watch'] } = {},
): Simulator {
  const credentials: Credentials = { good, expired: any, revoked: any }
  const part = new LocalPart(
    { ...run, tls: {}, part: { index: 0, of: 1 }, messagesFile: folder && join(folder, 'messages-0.tsv') },
    { schemas: new SimulatorSchemas(registry), credentials, logger: silentLogger() },
  )
  const options = { ...run, gateway: run.gateway, folder, everyMs: EVERY_MS }
  const cost = () => ({ cpuSeconds: 0, rssBytesMax: 0 })
  return new Simulator(options, {
    parts: [part],
    watch,
    verifier,
    cost,
    say: () => {},
  })
}

export const never = (): AbortSignal => new AbortController().signal
