/** Owns the list of the ways to write messages. A new one is a file and a row of it. */

import type { Format } from '../scenario/scenario.ts'
import { avroEncoding } from './avro.ts'
import { cborEncoding, msgpackEncoding } from './compact.ts'
import { confluentEncoding } from './confluent.ts'
import { jsonEncoding } from './json.ts'
import { mapFormat } from './map-format.ts'
import { protobufEncoding } from './protobuf.ts'
import { sparkplugFormat } from './sparkplug.ts'
import { telemetryFormat } from './telemetry-format.ts'
import type { WireFormat, WireFormatOf, WireOptions } from './wire-format.ts'

const BY_NAME: Readonly<Record<Format, WireFormatOf>> = {
  avro: telemetryFormat(avroEncoding),
  json: telemetryFormat(jsonEncoding),
  confluent: telemetryFormat(confluentEncoding),
  msgpack: telemetryFormat(msgpackEncoding),
  cbor: telemetryFormat(cborEncoding),
  protobuf: telemetryFormat(protobufEncoding),
  sparkplug: sparkplugFormat,
  map: mapFormat,
}

/** Throws a `SimulatorError` `unsupported-format` where the stream cannot be written so. */
export function formatOf(options: WireOptions): WireFormat {
  return BY_NAME[options.sending.format](options)
}
