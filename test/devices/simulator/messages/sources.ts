/** Owns what the tests of sources share: the shipped schemas, and sources with little said. */

import { SimulatorSchemas } from '../../../../devices/simulator/messages/simulator-schemas.ts'
import { type Source, sourceOf } from '../../../../devices/simulator/messages/source.ts'
import type { Group, Sending } from '../../../../devices/simulator/scenario/scenario.ts'
import { Registry, SHIPPED_SCHEMAS_DIR } from '../../../../schemas/registry.ts'

export const SHIPPED = ['environment', 'power', 'vehicle', 'vibration'] as const
export const START_AT = Date.UTC(2026, 5, 1, 6)

export const shippedSchemas = new SimulatorSchemas(Registry.load(SHIPPED_SCHEMAS_DIR))

export interface Asked extends Partial<Sending> {
  readonly seed?: number
  readonly index?: number
  readonly device?: string
}

export function makeSource(
  { seed = 7, index = 0, device = `sim-${index + 1}`, ...changes }: Asked,
  schemas = shippedSchemas,
): Source {
  const sending: Sending = {
    stream: 'environment',
    everyMs: 1000,
    burst: 1,
    qos: 1,
    batch: 1,
    format: 'avro',
    versions: undefined,
    signals: {},
    topic: undefined,
    ...changes,
  }
  const group: Group = { prefix: 'sim-', devices: 1, mqtt: '5', keepaliveSeconds: 60, sends: [sending] }
  return sourceOf({ group, sending, device, index, seed }, { schemas })
}
