/**
 * Owns the reading of CBOR (RFC 8949) as far as JSON has words for what it says: null, booleans, numbers, text, arrays, and maps by
 * text, whose lengths need not be given; and bytes, which some columns are. `cborg` reads it, strictly; here its mistakes get words, and what it lets through is looked at:
 * a text that is no UTF-8, which it mends, and a float32, which is the shortest number that is the same float32.
 *
 * Always true: no byte is left over, every number is the one that was written, every text is UTF-8, no name stands twice in one map.
 * Tags are refused but the one that says "this is CBOR" (section 3.4.6), and that of a UUID, which is its bytes.
 * Bounds: cborg makes nothing for an item that is not there; what nests deeper than the stack is refused.
 */

import { isUtf8 } from 'node:buffer'
import { type DecodeOptions, decode, Tokenizer, Type } from 'cborg'
import { Malformed } from './malformed.ts'
import { shortestFloat } from './shortest-float.ts'

const OPTIONS: DecodeOptions = {
  allowBigInt: false,
  allowInfinity: false,
  allowNaN: false,
  allowUndefined: false,
  rejectDuplicateMapKeys: true,
  tags: { 55799: (content) => content(), 37: (content) => uuidBytes(content()) },
}
const UUID_BYTES = 16
/** What libraries tag unasked: what it is, and what a column takes in its place. */
const TAGS: ReadonlyMap<string, readonly [what: string, instead: string]> = new Map([
  ['0', ['a time', 'it as text without the tag, or the number of milli- or microseconds since 1970']],
  ['1', ['a time', 'text, or the number of milli- or microseconds since 1970']],
  ['2', ['an integer beyond 64 bits', 'a number up to 2^53']],
  ['3', ['an integer beyond 64 bits', 'a number from -2^53 on']],
  ['4', ['a decimal', 'a number']],
  ['5', ['a number of base 2', 'a number']],
  ['100', ['a date', 'text such as "2026-11-30", or the number of days since 1970 without the tag']],
  ['1004', ['a date', 'it as text without the tag']],
])
const UNKNOWN_TAG = /^tag not supported \((\d+)\)/
const FLOAT32 = 0xfa
/** Of a text's first byte, how many bytes its length takes: below 24 it is the length itself. */
const LENGTH_AT = 24
const ITS_WORDS = 'CBOR decode error: '

/** Throws `Malformed`. */
export function readCbor(payload: Buffer): unknown {
  try {
    return decode(payload, { ...OPTIONS, tokenizer: new Checked(payload, OPTIONS) })
  } catch (error) {
    if (error instanceof Malformed) throw error
    if (error instanceof RangeError) throw new Malformed('nests too deep')
    throw new Malformed(inOurWords((error as Error).message.replace(ITS_WORDS, '')))
  }
}

function inOurWords(fault: string): string {
  const [, tag] = UNKNOWN_TAG.exec(fault) ?? []
  if (tag === undefined) return `is not taken: ${fault}`
  const [what, instead] = TAGS.get(tag) ?? []
  return what === undefined
    ? `has the tag ${tag}: send its value without it`
    : `has the tag ${tag}, of ${what}: send ${instead}`
}

function uuidBytes(content: unknown): Uint8Array {
  if (content instanceof Uint8Array && content.length === UUID_BYTES) return content
  throw new Malformed(`has the tag 37, of a UUID, with something else than ${UUID_BYTES} bytes`)
}

class Checked extends Tokenizer {
  override next() {
    const start = this.pos()
    const token = super.next()
    const head = this.data[start] ?? 0
    if (token.type === Type.string) token.value = textAt(this.data, start, this.pos())
    else if (head === FLOAT32) token.value = shortestFloat(token.value)
    return token
  }
}

function textAt(data: Uint8Array, start: number, end: number): string {
  const minor = (data[start] ?? 0) & 0x1f
  const lengthBytes = minor < LENGTH_AT ? 0 : 2 ** (minor - LENGTH_AT)
  const text = Buffer.from(data.buffer, data.byteOffset + start + 1 + lengthBytes, end - start - 1 - lengthBytes)
  if (!isUtf8(text)) throw new Malformed(`has a text at byte ${start} that is not UTF-8`)
  return text.toString('utf8')
}
