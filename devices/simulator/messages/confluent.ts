/** Owns Confluent's wire format as the simulator writes it: by the ids that the lock has given the version. */

import { BODY_AT } from '../../../schemas/avro-codec.ts'
import { avroEncoding } from './avro.ts'
import type { Encoding } from './telemetry-format.ts'
import { notSendable, type WireOptions } from './wire-format.ts'

const MARK_BYTES = 1
const HEADER_BYTES = 5

export function confluentEncoding(options: WireOptions): Encoding {
  const { stream, version, id, batchId } = options.version.registered
  if (id === undefined || batchId === undefined) {
    throw notSendable(
      `${stream} ${version} has no ids for Confluent's wire format: telltale schemas lock gives it some, and any other format is allowed`,
    )
  }
  const avro = avroEncoding(options)
  return {
    drawsJson: false,
    encode: (records) => {
      const single = avro.encode(records)
      const payload = Buffer.allocUnsafe(single.length - BODY_AT + HEADER_BYTES)
      payload[0] = 0
      payload.writeUInt32BE(records.length === 1 ? id : batchId, MARK_BYTES)
      single.copy(payload, HEADER_BYTES, BODY_AT)
      return payload
    },
  }
}
