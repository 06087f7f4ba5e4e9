/**
 * Owns the bytes of one dead letter (`FORMAT.md`):
 *
 *   0xc1 · u32 CRC-32 of all that follows, little-endian · MessagePack
 *
 * Always true: bytes that the disk gave back changed become a letter all the same, with the code `log-damaged` and those
 * bytes as its payload, so that one of them keeps no other from being listed, replayed or purged.
 */

import { crc32 } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import type { DeadLetter, NewDeadLetter } from '../log.ts'
import type { Offset } from '../position.ts'

/** No MessagePack begins with it: an earlier version wrote letters without a checksum. */
const CHECKED = 0xc1
const HEADER_BYTES = 5

export function writeLetter(letter: NewDeadLetter, setAsideAt: number): Buffer {
  const { isReplay: _, ...kept } = letter
  const packed = pack({ ...kept, setAsideAt })
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + packed.length)
  bytes[0] = CHECKED
  bytes.writeUInt32LE(crc32(packed), 1)
  packed.copy(bytes, HEADER_BYTES)
  return bytes
}

/** The letter under this sequence; its payload is a view of `bytes`. */
export function readLetter(sequence: number, bytes: Buffer): DeadLetter {
  const isChecked = bytes[0] === CHECKED && bytes.length > HEADER_BYTES
  const packed = isChecked ? bytes.subarray(HEADER_BYTES) : bytes
  if (isChecked && bytes.readUInt32LE(1) !== crc32(packed)) return damaged(sequence, bytes)
  try {
    const letter = unpack(packed)
    if (letter?.payload instanceof Uint8Array) return { ...letter, sequence }
  } catch {
    // What msgpackr throws of bytes that are none of its own says nothing to a person.
  }
  return damaged(sequence, bytes)
}

function damaged(sequence: number, payload: Buffer): DeadLetter {
  const reason = 'the disk gave this dead letter back changed; its payload is what is left of the record'
  return {
    sequence,
    offset: 0 as Offset,
    device: '',
    stream: '',
    receivedAt: 0,
    setAsideAt: 0,
    code: 'log-damaged',
    reason,
    payload,
  }
}
