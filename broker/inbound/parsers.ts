/**
 * Owns mqtt-packet's parsers, which clients share: one with its list of buffers is 1.5 KiB, and keeps the CONNECT that it has read, the
 * token in it. A client has one from the first byte of a packet that did not come in one piece until its last, and while it is parsed.
 *
 *   free --lend--> of a client, whose packets it gives --its packet is whole--> free
 *                                                      \--the client is gone, or sent none--> dropped
 *
 * Always true: a parser that is free knows nothing of who had it; one that is lent knows whether MQTT 5 is spoken.
 * Bounds: one a client; of the free ones `FREE_MAX` are kept.
 */

import mqttPacket, { type Packet } from 'mqtt-packet'
import type { Parser } from '../aedes/internals.ts'
import type { FieldsOfLevel5 } from './level5.ts'

/** More are free only when many packets that came in pieces have ended at once. */
const FREE_MAX = 100

/** What of a CONNECT a parser has to know later: nothing that the two versions do not share. */
const SETTINGS = Object.freeze({ protocolVersion: 4 })
const SETTINGS_5 = Object.freeze({ protocolVersion: 5 })

/** Whose bytes are parsed. */
export interface Parses {
  readonly isLevel5: boolean
  /** A packet, `parsed` of whose bytes were read as fields. */
  take(packet: Packet, parsed: number): void
  failed(error: Error): void
  /** Whether a string field may be as it is. */
  isGood(text: string, bytes: () => Uint8Array): boolean
}

export interface LentParser extends Parser {
  lentTo: Parses
}

const NOBODY: Parses = { isLevel5: false, take() {}, failed() {}, isGood: () => false }

export class Parsers {
  readonly #free: LentParser[] = []
  readonly #fields: FieldsOfLevel5

  constructor(fields: FieldsOfLevel5) {
    this.#fields = fields
  }

  lend(to: Parses): LentParser {
    const parser = this.#free.pop() ?? makeParser(this.#fields)
    parser.lentTo = to
    parser.settings = to.isLevel5 ? SETTINGS_5 : SETTINGS
    return parser
  }

  /** Whether it was taken back: not while a packet is begun, nor after what is none. */
  takeBack(parser: LentParser): boolean {
    if (parser._stateCounter !== 0 || parser._list.length > 0 || parser.error !== null) return false
    parser.lentTo = NOBODY
    // It may have read a CONNECT.
    parser.settings = SETTINGS
    if (this.#free.length < FREE_MAX) this.#free.push(parser)
    return true
  }
}

function makeParser(fields: FieldsOfLevel5): LentParser {
  const parser = mqttPacket.parser(SETTINGS) as unknown as LentParser & { readonly _parseString: () => string | null }
  const parseString = parser._parseString
  parser.on('packet', takePacket)
  parser.on('error', takeError)
  parser._parseString = parseGoodString
  Object.assign(parser, fields)
  return parser

  /** mqtt-packet decodes any bytes. `null` makes it report the packet as malformed. */
  function parseGoodString(this: LentParser): string | null {
    const start = this._pos + 2
    const text = parseString.call(this)
    return text !== null && this.lentTo.isGood(text, () => this._list.slice(start, this._pos)) ? text : null
  }
}

function takePacket(this: LentParser, packet: Packet): void {
  this.lentTo.take(packet, this._pos)
}

function takeError(this: LentParser, error: Error): void {
  this.lentTo.failed(error)
}
