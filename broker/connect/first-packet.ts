/**
 * Owns what the first bytes of a connection are: a CONNECT, or what else speaks first at a port for MQTT, most often a client of
 * another port.
 *
 * Always true: of a CONNECT of MQTT 3.1 the bits are cleared that its specification (sections 2.1 and 3.1) calls unused, or
 * disregarded without a will; mqtt-packet wants them 0 at each level, as MQTT 3.1.1 does.
 */

import { headerBytes } from '../inbound/packet-rules.ts'

/** The first byte of a CONNECT (section 3.1.1). */
const CONNECT = 0x10
/** The first byte of a TLS record with a ClientHello (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 22
/** How a PROXY header begins, in its two versions. */
export const PROXY_V1 = Buffer.from('PROXY ')
export const PROXY_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
/** MQTT 3.1's protocol name and level, as a CONNECT has them behind its fixed header. */
const MQTT_31 = Buffer.from('\0\x06MQIsdp\x03')

const RESERVED = 0x01
const WILL = 0x04
const WILL_QOS_AND_RETAIN = 0x38

/** Whether a connection may begin so, as far as its bytes have come. */
export function isConnect(bytes: Buffer): boolean {
  const [first = 0] = bytes
  return first === CONNECT || ((first & 0xf0) === CONNECT && isMqtt31(bytes))
}

/** Clears, in a whole CONNECT of MQTT 3.1, what means nothing there. */
export function clearUnused(connect: Buffer): void {
  if (!isMqtt31(connect)) return
  connect[0] = CONNECT
  const at = (headerBytes(connect) ?? 0) + MQTT_31.length
  const flags = connect[at] ?? 0
  if (at < connect.length) connect[at] = flags & ~RESERVED & (flags & WILL ? 0xff : ~WILL_QOS_AND_RETAIN)
}

function isMqtt31(bytes: Buffer): boolean {
  const begin = headerBytes(bytes)
  if (begin === undefined) return true
  const come = bytes.subarray(begin, begin + MQTT_31.length)
  return MQTT_31.subarray(0, come.length).equals(come)
}

/** What it is, for the log. */
export function notConnect(bytes: Buffer): string {
  if (bytes[0] === TLS_HANDSHAKE) return 'it begins TLS, which is for the MQTTS port'
  if (startsWith(bytes, PROXY_V1) || startsWith(bytes, PROXY_V2)) {
    return 'it begins with a PROXY header, which is taken with TELLTALE_PROXY_PROTOCOL=true'
  }
  if (/^[A-Z]+ \//.test(bytes.toString('latin1'))) return 'it speaks HTTP, and this port is for MQTT'
  return 'the first packet is no CONNECT'
}

export const startsWith = (bytes: Buffer, start: Buffer): boolean => bytes.subarray(0, start.length).equals(start)
