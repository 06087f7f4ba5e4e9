/** Owns the list of the ways to write messages. A new one is a file and a row of it. */

import type { Format } from '../scenario/scenario.ts'
import { avroEncoding } from './avro.ts'
import { jsonEncoding } from './json.ts'
import { telemetryFormat } from './telemetry-format.ts'
import { notSendable, type WireFormat, type WireFormatOf, type WireOptions } from './wire-format.ts'

const BY_NAME: Partial<Readonly<Record<Format, WireFormatOf>>> = {
  avro: telemetryFormat(avroEncoding),
  json: telemetryFormat(jsonEncoding),
}

/** Throws a `SimulatorError` `unsupported-format` where the stream cannot be written so. */
export function formatOf(options: WireOptions): WireFormat {
  const { format } = options.sending
  const make = BY_NAME[format]
  if (make === undefined) throw notSendable(`${format} cannot be sent: allowed are ${Object.keys(BY_NAME).join(', ')}`)
  return make(options)
}
