/** Owns what is looked at of telemetry of MQTT 5 before it is acknowledged: the broker asks, and the schemas know. */

import type { BrokerDependencies } from '../broker/broker.ts'
import type { Settings } from '../platform/settings.ts'
import type { Decoder } from '../schemas/decoder.ts'
import { Rejection } from '../schemas/reading.ts'

/**
 * Undefined for nothing. `fingerprint`: whether a framing claims the payload, and its schema is known, which costs next to nothing;
 * `decode`: all that ingest looks at, which costs what it costs there.
 */
export function payloadCheck(
  depth: Settings['mqtt5Check'],
  decoder: Pick<Decoder, 'decode' | 'glance'>,
): BrokerDependencies['check'] {
  if (depth === 'off') return undefined
  if (depth === 'fingerprint') return (message) => decoder.glance(message)
  return (message) => {
    const decoded = decoder.decode(message)
    return decoded instanceof Rejection ? decoded : undefined
  }
}
