/**
 * Owns what the reading of packets asks of MQTT 5, which `broker/mqtt5/` answers: from a CONNECT of level 5 on, each packet is
 * made one of level 4 before Aedes sees it. A connection of another level has none of this.
 */

import type { Client } from 'aedes'
import type { Packet } from 'mqtt-packet'
import type { Parser } from '../aedes/internals.ts'
import type { Disconnect } from '../reports/disconnects.ts'

/** The reading side of one connection of level 5. */
export interface Level5 {
  /** What Aedes is to see of a packet; undefined for nothing. Throws the `Disconnect` with which the connection ends. */
  translate(packet: Packet): Packet | undefined
  /** Its CONNECT is about to be answered by a return code; the client is told more. */
  refuse(error: Disconnect): void
}

/** What of the properties of telemetry the short way may take. */
export interface PropertiesOfTelemetry {
  /** The topic for which an alias stands that is all there is, in the properties that begin at `at`. */
  aliasedTopic(bytes: Buffer, at: number): string | undefined
  /** Where the payload begins, behind properties that begin at `at`; beyond the end of all if the message is not plain. */
  payloadAt(bytes: Buffer, at: number, isAliased: boolean): number
  /** What the content type says of that payload (`schemas/content-type.ts`). */
  readonly framing: number
}

/** What takes the place of mqtt-packet's own functions, which check next to nothing. */
export interface FieldsOfLevel5 {
  readonly _parseProperties: (this: Parser) => object
  readonly _parseDisconnect: (this: Parser) => boolean
  readonly _parseAuth: (this: Parser) => boolean
}

export interface OpensLevel5 {
  readonly fields: FieldsOfLevel5
  /** A CONNECT of level 5 has been read. `accept` hands Aedes a packet that the client did not send. */
  readonly open: (client: Client, accept: (packet: Packet) => void) => Level5
}
