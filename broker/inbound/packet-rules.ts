/**
 * Owns what MQTT 3.1.1 demands of a packet and neither mqtt-packet nor Aedes checks: well-formed strings, packet ids that
 * are not 0, no bytes too many or too few, flags that agree with the payload, topics and filters by their grammar. What it
 * demands of a PUBLISH is two comparisons, in `packets.ts`, where each message passes.
 *
 * Always true: a packet that breaks a rule never reaches Aedes; its connection is closed (section 4.8).
 */

import { isUtf8 } from 'node:buffer'
import type { Packet } from 'mqtt-packet'
import { isTopicFilter } from '../../identity/topics.ts'
import { CLIENT_ID_CHARS_MAX } from '../../platform/limits.ts'

export interface Violation {
  readonly message: string
  /** The CONNACK to send before closing (section 3.2.2.3); none where the specification wants silence. */
  readonly returnCode?: 1 | 2
}

const IDENTIFIER_REJECTED = 2
/** The first byte, and of the remaining length at most four (section 2.2.3). */
const HEADER_BYTES_MAX = 5
export const UNACCEPTABLE_PROTOCOL_VERSION = 1

/**
 * What a string must not hold (sections 1.5.3 and 4.7.3): U+0000, control characters, non-characters.
 * U+FFFD is here because Node decodes ill-formed bytes to it; the bytes then tell it from a real one.
 */
const SUSPECT = /[\p{Cc}\p{Noncharacter_Code_Point}\ufffd]/u

export const WITHOUT_ID: Violation = { message: 'a packet has no packet id, or 0' }

/** The levels of each protocol name (MQTT 3.1, 3.1.1 and 5 sections 3.1.2). */
const LEVELS: Readonly<Record<string, readonly number[]>> = { MQIsdp: [3], MQTT: [4, 5] }
/** That of MQTT 5. */
export const LEVEL_5 = 5

/** mqtt-packet gives -1 for an id that is not there. */
const isPacketId = (id: number | undefined) => id !== undefined && id > 0

/** How many bytes its fixed header has; undefined while it is not whole. */
export function headerBytes(packet: Buffer): number | undefined {
  for (let index = 1; index < HEADER_BYTES_MAX; index++) {
    const byte = packet[index]
    if (byte === undefined) return undefined
    if (byte < 0x80) return index + 1
  }
  return HEADER_BYTES_MAX
}

/** How many bytes the packet has that begins here; likewise. (Whether a length may go on at its last byte is mqtt-packet's to say.) */
export function packetBytes(packet: Buffer): number | undefined {
  const header = headerBytes(packet)
  if (header === undefined) return undefined
  let length = 0
  for (let index = 1; index < header; index++) length += ((packet[index] ?? 0) % 0x80) * 0x80 ** (index - 1)
  return header + length
}

/** Whether a string field may be as it is. `bytes` gives what it was decoded from. */
export function isGoodString(text: string, bytes: () => Uint8Array): boolean {
  if (!SUSPECT.test(text)) return true
  return !SUSPECT.test(text.replaceAll('\ufffd', '')) && isUtf8(bytes())
}

/** The rule that a parsed packet other than a PUBLISH breaks. `parsed` of its `length` bytes were read as fields. */
export function violationOf(packet: Packet, parsed: number, isLevel5: boolean): Violation | undefined {
  const length = packet.length ?? 0
  if (parsed !== length) return { message: `a ${packet.cmd} of ${length} bytes has fields of ${parsed} bytes` }
  switch (packet.cmd) {
    case 'connect':
      return connectViolation(packet)
    case 'subscribe':
      return filtersViolation(
        packet,
        packet.subscriptions.map(({ topic }) => topic),
      )
    case 'unsubscribe':
      return filtersViolation(packet, packet.unsubscriptions)
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return isPacketId(packet.messageId) ? undefined : WITHOUT_ID
    case 'connack':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
      return { message: `a client does not send a ${packet.cmd}` }
    case 'auth':
      return isLevel5 ? undefined : { message: 'only a client of MQTT 5 sends an AUTH' }
    default:
      return undefined
  }
}

function connectViolation(packet: Extract<Packet, { cmd: 'connect' }>): Violation | undefined {
  const { will, protocolId, protocolVersion, clientId } = packet
  if (!LEVELS[protocolId ?? '']?.includes(protocolVersion ?? 0))
    return {
      message: `${protocolId} is not spoken at level ${protocolVersion}`,
      returnCode: UNACCEPTABLE_PROTOCOL_VERSION,
    }
  if (clientId.length > CLIENT_ID_CHARS_MAX)
    return { message: `a client id has ${clientId.length} characters`, returnCode: IDENTIFIER_REJECTED }
  if (packet.password !== undefined && packet.username === undefined && protocolVersion !== LEVEL_5)
    return { message: 'a CONNECT has a password without a user name' }
  if (will !== undefined && (will.qos as number) > 2) return { message: 'the will QoS is 3' }
  if (will !== undefined && (will.topic === '' || /[+#]/.test(will.topic)))
    return { message: 'the will topic is empty or holds a wildcard' }
  if (packet.clientId === '' && packet.clean !== true && protocolVersion !== LEVEL_5)
    return { message: 'an empty client id needs a clean session', returnCode: IDENTIFIER_REJECTED }
  return undefined
}

function filtersViolation(packet: Packet, filters: readonly string[]): Violation | undefined {
  if (!isPacketId(packet.messageId)) return WITHOUT_ID
  if (filters.length === 0) return { message: `a ${packet.cmd} names no topic filter` }
  const wrong = filters.find((filter) => !isTopicFilter(filter))
  return wrong === undefined ? undefined : { message: `"${wrong.slice(0, 100)}" is no topic filter` }
}
