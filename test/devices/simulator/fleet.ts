/** Owns what the simulator's tests share: a run against a broker, with the shipped schemas and any token. */

import type { SimulatorOptions } from '../../../devices/simulator/options.ts'
import { Simulator, type SimulatorDeps } from '../../../devices/simulator/simulator.ts'
import { systemClock } from '../../../platform/clock.ts'
import { silentLogger } from '../../../platform/logger.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../schemas/registry.ts'

export const registry = Registry.load(SHIPPED_SCHEMAS_DIR)

export const fleetOptions = (url: string, changes: Partial<SimulatorOptions> = {}): SimulatorOptions => ({
  url,
  devices: 3,
  rate: 0,
  stream: 'environment',
  seed: 7,
  durationMs: Number.POSITIVE_INFINITY,
  drainMs: 10_000,
  messages: 30,
  mqtt: '3.1.1',
  qos: 1,
  batch: 1,
  format: 'avro',
  prefix: 'sim-',
  thresholds: {},
  ...changes,
})

export const fleet = (options: SimulatorOptions, changes: Partial<SimulatorDeps> = {}): Simulator =>
  new Simulator(options, {
    registry,
    credentials: async () => 'any',
    clock: systemClock,
    logger: silentLogger(),
    ...changes,
  })

export const never = (): AbortSignal => new AbortController().signal
