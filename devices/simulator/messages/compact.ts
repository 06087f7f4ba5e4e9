/** Owns MessagePack and CBOR as the simulator writes them: what JSON says, and its numbers as doubles, so that none is rounded. */

import { encode } from 'cborg'
import { Packr } from 'msgpackr'
import { oneOrAll } from './json.ts'
import type { Encoding } from './telemetry-format.ts'

export function msgpackEncoding(): Encoding {
  const packr = new Packr({ useRecords: false, variableMapSize: true })
  return { level: 'msgpack', drawsJson: true, encode: (records) => packr.pack(oneOrAll(records)) }
}

export function cborEncoding(): Encoding {
  return {
    level: 'cbor',
    drawsJson: true,
    encode: (records) => {
      const bytes = encode(oneOrAll(records), { float64: true })
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    },
  }
}
