/**
 * Owns the reason codes of MQTT 5 that this broker sends (section 2.4), and which of them says why a connection ends or was
 * refused.
 *
 * Always true: no PUBACK or PUBREC has a code from 0x80 on for a message that the device should send again: to it that message is
 * done with. A log that takes nothing ends the connection, with the message unacknowledged.
 */

import { CONNECTION_CLOSED, Disconnect, KEEPALIVE_TIMEOUT } from '../reports/disconnects.ts'

export const NO_SUBSCRIPTION_EXISTED = 0x11
export const MALFORMED_PACKET = 0x81
export const PROTOCOL_ERROR = 0x82
export const UNSUPPORTED_PROTOCOL_VERSION = 0x84
export const CLIENT_IDENTIFIER_NOT_VALID = 0x85
export const BAD_USER_NAME_OR_PASSWORD = 0x86
export const NOT_AUTHORIZED = 0x87
export const SERVER_BUSY = 0x89
export const SERVER_SHUTTING_DOWN = 0x8b
export const BAD_AUTHENTICATION_METHOD = 0x8c
export const KEEP_ALIVE_TIMEOUT = 0x8d
export const SESSION_TAKEN_OVER = 0x8e
export const TOPIC_FILTER_INVALID = 0x8f
export const TOPIC_NAME_INVALID = 0x90
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93
export const TOPIC_ALIAS_INVALID = 0x94
export const PACKET_TOO_LARGE = 0x95
export const MESSAGE_RATE_TOO_HIGH = 0x96
export const QUOTA_EXCEEDED = 0x97
export const PAYLOAD_FORMAT_INVALID = 0x99
export const USE_ANOTHER_SERVER = 0x9c
export const CONNECTION_RATE_EXCEEDED = 0x9f
export const UNSPECIFIED_ERROR = 0x80

/** From here on a code says that something was refused. */
export const FAILURE_MIN = 0x80

/** The clients do with a message so answered as with one that was taken: they forget it. */
export const NOT_TAKEN = {
  'set-aside': PAYLOAD_FORMAT_INVALID,
  'publish-forbidden': NOT_AUTHORIZED,
  'payload-too-large': QUOTA_EXCEEDED,
  'rate-limited': QUOTA_EXCEEDED,
} as const

/** By the return code that a client of MQTT 3.1.1 gets (section 3.2.2.3 there). */
const REFUSED: Readonly<Record<number, number>> = {
  1: UNSUPPORTED_PROTOCOL_VERSION,
  2: CLIENT_IDENTIFIER_NOT_VALID,
  3: CONNECTION_RATE_EXCEEDED,
  4: BAD_USER_NAME_OR_PASSWORD,
  5: NOT_AUTHORIZED,
}

const ENDED: Readonly<Partial<Record<Disconnect['reason'], number>>> = {
  'taken-over': SESSION_TAKEN_OVER,
  'bad-token': NOT_AUTHORIZED,
  'expired-token': NOT_AUTHORIZED,
  'revoked-token': NOT_AUTHORIZED,
  'revoked-certificate': NOT_AUTHORIZED,
  'publish-forbidden': NOT_AUTHORIZED,
  'log-refused': SERVER_BUSY,
  'taken-for-gone': SERVER_BUSY,
  'too-many-connects': CONNECTION_RATE_EXCEEDED,
  'slow-client': QUOTA_EXCEEDED,
  'rate-limited': MESSAGE_RATE_TOO_HIGH,
  'protocol-error': PROTOCOL_ERROR,
}

export function refusedConnect(returnCode: number): number {
  return REFUSED[returnCode] ?? UNSPECIFIED_ERROR
}

/** Why a connection ends; what is no `Disconnect` is mqtt-packet's, which could not read a packet, or the log's. */
export function reasonCodeOf(error: Error): number {
  if (error instanceof Disconnect) return error.reasonCode ?? ENDED[error.reason] ?? UNSPECIFIED_ERROR
  if (error.message === KEEPALIVE_TIMEOUT) return KEEP_ALIVE_TIMEOUT
  if (error.message === CONNECTION_CLOSED) return UNSPECIFIED_ERROR
  return 'code' in error ? SERVER_BUSY : MALFORMED_PACKET
}
