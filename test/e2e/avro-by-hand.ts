/** Owns Avro payloads made without our code, as firmware would make them (Avro 1.12, "Single-object encoding"). */

/** CRC-64-AVRO of `environment` 1's Parsing Canonical Form, little-endian, worked out elsewhere: see the schemas' tests. */
const ENVIRONMENT_1 = Buffer.from('f967d0b55fb9bb1c', 'hex')

export interface EnvironmentReading {
  readonly ts: number
  readonly temperature: number
  readonly humidity: number
  readonly pressure: number
  readonly battery: number
  readonly rssi: number
}

export function environmentBody(reading: EnvironmentReading): Buffer {
  const float = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value)
    return bytes
  }
  const double = Buffer.alloc(8)
  double.writeDoubleLE(reading.pressure)
  return Buffer.concat([
    zigzag(reading.ts),
    float(reading.temperature),
    float(reading.humidity),
    double,
    zigzag(reading.battery),
    zigzag(reading.rssi),
  ])
}

export function singleObject(body: Buffer, fingerprint: Buffer = ENVIRONMENT_1): Buffer {
  return Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint, body])
}

/** A zig-zag variable-length long. */
export function zigzag(value: number): Buffer {
  let rest = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n
  const bytes: number[] = []
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}
