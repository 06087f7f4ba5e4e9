/**
 * Owns the bytes of Protobuf below its schemas (protobuf.dev, "Encoding"): varints, tags, lengths, and what is skipped.
 *
 * Always true: nothing is read beyond the end of what holds it, and nothing is made for a length before its bytes are there.
 * Bounds: a varint has at most ten bytes, of a tag or a length five; groups, of which proto3 has none, are skipped to `GROUPS_MAX` levels.
 */

import { Malformed } from './malformed.ts'

export const WIRE = { varint: 0, fixed64: 1, length: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

export const TWO_32 = 2 ** 32
const VARINT_BYTES_MAX = 10
/** Of a tag, and of a length. */
const U32_BYTES_MAX = 5
const GROUPS_MAX = 32

export class WireReader {
  readonly bytes: Buffer
  at: number
  /** Of the last varint: its 32 lower bits, and its 32 upper ones. */
  low = 0
  high = 0
  /** Of the last tag. */
  number = 0
  wireType = 0

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  /** Reads a tag: which field comes, and how. */
  tag(end: number): void {
    const start = this.at
    this.varint(end, 'a field', U32_BYTES_MAX)
    if (this.high !== 0 || this.low < 8) throw new Malformed(`has no field at byte ${start}`)
    this.number = this.low >>> 3
    this.wireType = this.low & 7
  }

  varint(end: number, what: string, bytesMax = VARINT_BYTES_MAX): void {
    const { bytes } = this
    const start = this.at
    let low = 0
    let high = 0
    for (let index = 0; index < bytesMax; index++) {
      if (this.at >= end) throw new Malformed(`ends inside ${what}, which begins at byte ${start}`)
      const byte = bytes[this.at++] as number
      const bits = byte & 0x7f
      if (index < 4) low |= bits << (7 * index)
      else if (index === 4) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (7 * index - 32)
      if (byte < 0x80) {
        if (index === VARINT_BYTES_MAX - 1 && byte > 1) break
        this.low = low >>> 0
        this.high = high >>> 0
        return
      }
    }
    throw new Malformed(`has a number of more than ${bytesMax === VARINT_BYTES_MAX ? 64 : 32} bits at byte ${start}`)
  }

  /** Where the next `count` bytes start; they are passed. */
  take(count: number, end: number, what: string): number {
    const at = this.at
    if (count > end - at) throw new Malformed(`ends inside ${what}: ${count} bytes are needed, ${end - at} are left`)
    this.at += count
    return at
  }

  /** Where what follows its length ends. */
  lengthEnd(end: number, what: string): number {
    this.varint(end, what, U32_BYTES_MAX)
    const length = this.high * TWO_32 + this.low
    if (length > end - this.at) {
      throw new Malformed(`ends inside ${what}: ${length} bytes are needed, ${end - this.at} are left`)
    }
    return this.at + length
  }

  /** Passes the field whose tag was read. */
  skip(end: number, groups = 0): void {
    const what = `field ${this.number}`
    switch (this.wireType) {
      case WIRE.varint:
        this.varint(end, what)
        break
      case WIRE.fixed64:
        this.take(8, end, what)
        break
      case WIRE.fixed32:
        this.take(4, end, what)
        break
      case WIRE.length:
        this.at = this.lengthEnd(end, what)
        break
      case WIRE.groupStart:
        this.#skipGroup(this.number, end, groups)
        break
      default:
        throw new Malformed(
          `has a field at byte ${this.at} that ${this.wireType === WIRE.groupEnd ? 'ends a group that did not begin' : 'is written in no known way'}`,
        )
    }
  }

  #skipGroup(number: number, end: number, groups: number): void {
    if (groups === GROUPS_MAX) throw new Malformed(`nests groups deeper than ${GROUPS_MAX} levels`)
    for (;;) {
      this.tag(end)
      if (this.wireType !== WIRE.groupEnd) this.skip(end, groups + 1)
      else if (this.number === number) return
      else throw new Malformed(`has the end of group ${this.number} inside group ${number}`)
    }
  }
}
