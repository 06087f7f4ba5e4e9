/** Owns what is looked at of telemetry of MQTT 5 before it is acknowledged: the broker asks, and the schemas know. */

import type { BrokerDependencies } from '../broker/broker.ts'
import type { Settings } from '../platform/settings.ts'
import { Decoder } from '../schemas/decoder.ts'
import { Rejection } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'

/**
 * Undefined for nothing. `fingerprint`: whether a framing claims the payload, and its schema is known, which costs next to nothing;
 * `decode`: all that ingest looks at, which costs what it costs there.
 */
export function payloadCheck(depth: Settings['mqtt5Check'], registry: Registry): BrokerDependencies['check'] {
  if (depth === 'off') return undefined
  const decoder = new Decoder(registry)
  if (depth === 'fingerprint') return (message) => decoder.glance(message)
  return (message) => {
    const decoded = decoder.decode(message)
    return decoded instanceof Rejection ? decoded : undefined
  }
}
