/**
 * Owns the reading of MessagePack (the specification of msgpack.org, as of 2017) as far as JSON has words for what it says: nil,
 * booleans, numbers, text, arrays, and maps by text; and bytes, which some columns are.
 *
 * Always true: no byte is left over, every number is the one that was written, every text is UTF-8, no name stands twice in one map.
 * Its own reader, for those at hand trust their input: `@msgpack/msgpack` 3.1.3 makes an array as long as its header says, so that 6 kB
 * of headers inside one another take 1 GiB, replaces what is no UTF-8, and lets the second of two equal names win.
 * Bounds: a header that claims more items than bytes are left is refused before anything is made for it; `DEPTH_MAX` levels.
 */

import { isUtf8 } from 'node:buffer'
import { Malformed } from './malformed.ts'
import { shortestFloat } from './shortest-float.ts'

/** Levels of arrays and maps. A schema has fewer. */
const DEPTH_MAX = 32
/** A name and a value. */
const MAP_ITEM_BYTES_MIN = 2

/** Throws `Malformed`. */
export function readMsgpack(payload: Buffer): unknown {
  const reader = new Reader(payload)
  const value = reader.value(0)
  const left = payload.length - reader.at
  if (left > 0) throw new Malformed(`has ${left} bytes behind its end, from byte ${reader.at} on`)
  return value
}

class Reader {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  value(depth: number): unknown {
    const start = this.at
    const head = this.#uint(1)
    if (head < 0x80) return head
    if (head < 0x90) return this.#map(head & 0x0f, depth, start)
    if (head < 0xa0) return this.#array(head & 0x0f, depth, start)
    if (head < 0xc0) return this.#text(head & 0x1f, start)
    if (head >= 0xe0) return head - 0x100
    switch (head) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return finite(shortestFloat(this.#bytes.readFloatBE(this.#take(4, start))), start)
      case 0xcb:
        return finite(this.#bytes.readDoubleBE(this.#take(8, start)), start)
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(2 ** (head - 0xcc), start)
      case 0xcf:
        return exact(this.#bytes.readBigUInt64BE(this.#take(8, start)), start)
      case 0xd0:
        return this.#bytes.readInt8(this.#take(1, start))
      case 0xd1:
        return this.#bytes.readInt16BE(this.#take(2, start))
      case 0xd2:
        return this.#bytes.readInt32BE(this.#take(4, start))
      case 0xd3:
        return exact(this.#bytes.readBigInt64BE(this.#take(8, start)), start)
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(2 ** (head - 0xd9), start), start)
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 ** (head - 0xdb), start), depth, start)
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 ** (head - 0xdd), start), depth, start)
      case 0xc4:
      case 0xc5:
      case 0xc6: {
        const length = this.#uint(2 ** (head - 0xc4), start)
        const at = this.#take(length, start)
        return this.#bytes.subarray(at, this.at)
      }
      case 0xc1:
        throw new Malformed(`has the byte c1 at byte ${start}, which begins nothing`)
      default:
        throw new Malformed(`has an extension at byte ${start}; JSON has no words for it`)
    }
  }

  #array(count: number, depth: number, start: number): unknown[] {
    this.#open(count, 1, depth, start)
    const items: unknown[] = []
    for (let index = 0; index < count; index++) items.push(this.value(depth + 1))
    return items
  }

  #map(count: number, depth: number, start: number): object {
    this.#open(count, MAP_ITEM_BYTES_MIN, depth, start)
    const map: Record<string, unknown> = {}
    for (let index = 0; index < count; index++) {
      const nameAt = this.at
      const name = this.value(depth + 1)
      if (typeof name !== 'string') throw new Malformed(`has a name at byte ${nameAt} that is no text`)
      if (Object.hasOwn(map, name)) throw new Malformed(`has the name ${JSON.stringify(name)} twice, at byte ${nameAt}`)
      const value = this.value(depth + 1)
      // An own property even if it is `__proto__`.
      if (name === '__proto__') Object.defineProperty(map, name, { value, enumerable: true })
      else map[name] = value
    }
    return map
  }

  #open(count: number, itemBytesMin: number, depth: number, start: number): void {
    const left = this.#bytes.length - this.at
    if (count * itemBytesMin > left) {
      throw new Malformed(`claims ${count} items at byte ${start}, and ${left} bytes are left`)
    }
    if (depth === DEPTH_MAX) throw new Malformed(`nests deeper than ${DEPTH_MAX} levels at byte ${start}`)
  }

  #text(length: number, start: number): string {
    const at = this.#take(length, start)
    const text = this.#bytes.subarray(at, this.at)
    if (!isUtf8(text)) throw new Malformed(`has a text at byte ${start} that is not UTF-8`)
    return text.toString('utf8')
  }

  #uint(bytes: number, start = this.at): number {
    return this.#bytes.readUIntBE(this.#take(bytes, start), bytes)
  }

  /** Where the next `count` bytes start; they are passed. `start`: where the value starts that they belong to. */
  #take(count: number, start: number): number {
    const at = this.at
    if (count > this.#bytes.length - at) {
      throw new Malformed(
        `ends inside what begins at byte ${start}: ${count} bytes are needed, ${this.#bytes.length - at} are left`,
      )
    }
    this.at += count
    return at
  }
}

function finite(value: number, start: number): number {
  if (!Number.isFinite(value)) throw new Malformed(`has the number ${value} at byte ${start}; a finite one is right`)
  return value
}

function exact(value: bigint, start: number): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new Malformed(`has the number ${value} at byte ${start}, beyond 2^53`)
  return number
}
