/** Owns the files of packets that the fleet's load generator reads: each packet with its length before it (`fleet-load.c`). */

import { writeFileSync } from 'node:fs'
import { endianness } from 'node:os'
import { generate } from 'mqtt-packet'
import type { Publishes } from './publishes.ts'

const LENGTH_BYTES = 4
/** Longer than any bench: the load generator pings more often by far. */
const KEEPALIVE_S = 3_600

export interface Credential {
  readonly device: string
  /** Empty for a broker that lets anybody in. */
  readonly token: string
}

/** The CONNECT of each device. */
export function writeConnects(file: string, credentials: readonly Credential[]): void {
  const packets = credentials.map(({ device, token }) =>
    generate({
      cmd: 'connect',
      clientId: device,
      username: device,
      password: Buffer.from(token),
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      keepalive: KEEPALIVE_S,
    }),
  )
  write(file, packets)
}

/** The first message of each device, then the second of each, and so on; all have as many. */
export function writePublishes(file: string, ofDevices: readonly Publishes[]): void {
  const packets: Buffer[] = []
  const perDevice = ofDevices[0]?.ends.length ?? 0
  for (let number = 0; number < perDevice; number++) {
    for (const { bytes, ends } of ofDevices) {
      packets.push(bytes.subarray(number === 0 ? 0 : ends[number - 1], ends[number]))
    }
  }
  write(file, packets)
}

function write(file: string, packets: readonly Buffer[]): void {
  const bytes = Buffer.allocUnsafe(packets.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 0))
  let at = 0
  for (const packet of packets) {
    at = endianness() === 'LE' ? bytes.writeUInt32LE(packet.length, at) : bytes.writeUInt32BE(packet.length, at)
    at += packet.copy(bytes, at)
  }
  writeFileSync(file, bytes)
}
