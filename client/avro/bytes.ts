/**
 * Owns reading Avro's binary encoding (Avro specification 1.12, "Binary Encoding") from a piece of a frame, value by value.
 * Always true: nothing is read beyond the piece, and no number that is not exact: it throws a `RangeError` instead.
 */

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const LONG_BYTES_MAX = 10

export class Bytes {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** So many bytes as they are. */
  take(length: number): Uint8Array {
    const at = this.#move(length)
    return this.#bytes.subarray(at, at + length)
  }

  uint8(): number {
    return this.#view.getUint8(this.#move(1))
  }

  uint16(): number {
    return this.#view.getUint16(this.#move(2), true)
  }

  uint32(): number {
    return this.#view.getUint32(this.#move(4), true)
  }

  float(): number {
    return this.#view.getFloat32(this.#move(4), true)
  }

  double(): number {
    return this.#view.getFloat64(this.#move(8), true)
  }

  boolean(): boolean {
    const byte = this.uint8()
    if (byte > 1) throw new RangeError(`a boolean is the byte ${byte}`)
    return byte === 1
  }

  int(): number {
    const value = this.long()
    if (value !== (value | 0)) throw new RangeError(`${value} is beyond 32 bits`)
    return value
  }

  /** A zigzag varint. */
  long(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < LONG_BYTES_MAX; count++) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte >= 0x80) continue
      const decoded = value % 2 === 0 ? value / 2 : -(value + 1) / 2
      if (!Number.isSafeInteger(decoded)) break
      return decoded
    }
    throw new RangeError('an integer is beyond 2^53')
  }

  string(): string {
    return UTF8.decode(this.take(this.long()))
  }

  #move(length: number): number {
    if (length < 0 || length > this.left) throw new RangeError(`${length} bytes are claimed, and ${this.left} are left`)
    const at = this.#at
    this.#at += length
    return at
  }
}
