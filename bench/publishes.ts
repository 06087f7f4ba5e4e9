/**
 * Owns the PUBLISH packets of one load client, made before anything is measured: the bytes of all of them back to back,
 * so that sending is one write of a slice. Packet ids run 1 to 65535 and around; ids in flight never meet, because the
 * window is smaller. Reading times rise by `stepMs` from `from`, so that each message is a point of its own.
 */

import { generate } from 'mqtt-packet'
import { SimulatorSchemas } from '../devices/simulator/messages/simulator-schemas.ts'
import { sourceOf } from '../devices/simulator/messages/source.ts'
import { type Group, PLAIN_SENDING } from '../devices/simulator/scenario/scenario.ts'
import { telemetryTopic } from '../identity/topics.ts'
import type { Registry } from '../schemas/registry.ts'

export const PACKET_ID_MAX = 65_535
export const packetId = (index: number): number => 1 + (index % PACKET_ID_MAX)

export interface Publishes {
  readonly bytes: Buffer
  /** Where each packet ends in `bytes`. */
  readonly ends: Uint32Array
  /** Milliseconds since 1970 of the first reading. */
  readonly from: number
  readonly stepMs: number
}

export interface PublishesOptions {
  readonly device: string
  /** Which client, from 0: another sequence of values. */
  readonly index: number
  readonly count: number
  /** Number of the first message, for packet ids that go on from an earlier piece; 0 unless given. */
  readonly first?: number
  readonly from: number
  readonly stepMs: number
  /** Of MQTT; 4 (3.1.1) unless given. */
  readonly protocolVersion?: 4 | 5 | undefined
}

const GROUP: Group = { prefix: 'bench-', devices: 1, mqtt: '3.1.1', keepaliveSeconds: 60, sends: [PLAIN_SENDING] }

export function makePublishes(options: PublishesOptions, registry: Registry): Publishes {
  const { device, index, count, first = 0, from, stepMs, protocolVersion = 4 } = options
  const topic = telemetryTopic(device, 'environment')
  let time = from - stepMs
  const schemas = new SimulatorSchemas(registry)
  const source = sourceOf({ group: GROUP, sending: PLAIN_SENDING, device, index, seed: 1 }, { schemas })
  const packets: Buffer[] = []
  const ends = new Uint32Array(count)
  let end = 0
  for (let number = 0; number < count; number++) {
    time += stepMs
    const payload = source.write(source.measure(time))
    const messageId = packetId(first + number)
    const packet = generate(
      { cmd: 'publish', topic, payload, qos: 1, messageId, dup: false, retain: false },
      { protocolVersion },
    )
    packets.push(packet)
    end += packet.length
    ends[number] = end
  }
  return { bytes: Buffer.concat(packets), ends, from, stepMs }
}
