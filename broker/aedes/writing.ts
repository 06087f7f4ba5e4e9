/**
 * Owns how the packets that Aedes sends become bytes: by mqtt-packet, as ever, unless the connection has a writer of its own.
 * Aedes calls the function of mqtt-packet's exports for each packet (`aedes/lib/write.js`), so it is there that a packet can be
 * had whole; on the stream it is pieces.
 *
 * Always true: a stream without a writer costs one look at it.
 */

import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { internals } from './internals.ts'

export interface PacketWriter {
  /** Whether the stream takes more; as `stream.write` says it. */
  write(packet: Packet): boolean
}

const WRITER = Symbol('writer')
const CONNACK = 0x20
const PATCHED = Symbol('patched')

type WriteToStream = ((packet: Packet, stream: Duplex, options?: object) => boolean) & { [PATCHED]?: true }
type Written = Duplex & { [WRITER]?: PacketWriter }

/** Puts itself in the place of mqtt-packet's function, once a process. */
export function patchWriting(): void {
  const exported = mqttPacket as unknown as { writeToStream: WriteToStream }
  const { writeToStream } = exported
  if (writeToStream[PATCHED]) return
  const ours: WriteToStream = (packet, stream, options) => {
    const writer = (stream as Written)[WRITER]
    return writer === undefined ? writeToStream(packet, stream, options) : writer.write(packet)
  }
  ours[PATCHED] = true
  exported.writeToStream = ours
}

/** Answers a CONNECT, without Session Present (MQTT 3.1.1 section 3.2). */
export function writeConnack(client: Client, returnCode: number): void {
  const conn: Written = internals(client).conn
  const writer = conn[WRITER]
  if (writer === undefined) conn.write(Buffer.of(CONNACK, 2, 0, returnCode))
  else writer.write({ cmd: 'connack', returnCode, sessionPresent: false })
}

/** Has all packets of this client written by `writer`. */
export function writeBy(client: Client, writer: PacketWriter): void {
  ;(internals(client).conn as Written)[WRITER] = writer
}
