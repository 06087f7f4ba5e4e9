/** Owns Avro as the simulator writes it, by the version that the device has: in single-object encoding. */

import { oneOrAll } from './json.ts'
import type { Encoding } from './telemetry-format.ts'
import type { WireOptions } from './wire-format.ts'

export function avroEncoding({ version, schemas }: WireOptions): Encoding {
  const { stream, version: number } = version.registered
  const { registry } = schemas
  return {
    drawsJson: false,
    encode: (records) => registry.encode(stream, oneOrAll(records), number),
  }
}
