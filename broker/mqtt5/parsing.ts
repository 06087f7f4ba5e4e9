/**
 * Owns what of mqtt-packet's parser is replaced for MQTT 5: it makes arrays of properties that come twice and null of those
 * that are cut off, and of a DISCONNECT without a reason code it reads the first byte of whatever comes next.
 *
 * Always true: what is wrong is an error of the parser's, as its own are, and a `Disconnect` that has a reason code.
 */

import type { Parser } from '../aedes/internals.ts'
import type { FieldsOfLevel5 } from '../inbound/level5.ts'
import { Disconnect } from '../reports/disconnects.ts'
import { lengthOf, type Place, type Properties, readProperties } from './properties.ts'
import { MALFORMED_PACKET } from './reason-codes.ts'

/** Of the length of properties (section 2.2.2.1). */
const LENGTH_BYTES_MAX = 4
const LEVEL_5 = 5
const NONE: Properties = {}

/** In the place of `_parseProperties`. */
function parseProperties(this: Parser): object {
  const { packet, _list: list } = this
  try {
    const { length, lengthBytes } = lengthOf(
      list.slice(this._pos, Math.min(this._pos + LENGTH_BYTES_MAX, packet.length)),
    )
    const from = this._pos + lengthBytes
    this._pos = from + length
    if (this._pos > packet.length) throw new Disconnect('protocol-error', 'properties are cut off', MALFORMED_PACKET)
    return length === 0 ? NONE : readProperties(list.slice(from, this._pos), placeOf(packet))
  } catch (error) {
    if (!(error instanceof Disconnect)) throw error
    this._emitError(error)
    return NONE
  }
}

/** Those that come behind the client id of a CONNECT are the will's. */
function placeOf({ cmd, clientId }: Parser['packet']): Place {
  return cmd === 'connect' && clientId !== undefined ? 'will' : (cmd as Place)
}

/** The reason code may be left out, and behind it the properties (sections 3.14.2 and 3.15.2). */
function parseReason(this: Parser): boolean {
  const { packet, settings, _list: list } = this
  if (settings.protocolVersion !== LEVEL_5) return true
  packet.reasonCode = packet.length > 0 ? list.slice(this._pos++, this._pos).readUInt8() : 0
  if (packet.length <= this._pos) return true
  const properties = this._parseProperties()
  if (properties !== NONE) packet.properties = properties
  return true
}

export const FIELDS: FieldsOfLevel5 = {
  _parseProperties: parseProperties,
  _parseDisconnect: parseReason,
  _parseAuth: parseReason,
}
