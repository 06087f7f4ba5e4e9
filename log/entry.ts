/**
 * Owns the bytes of one entry and of entries back to back, as they stand in the log and as they cross threads
 * (`FORMAT.md`); the offset of the first is kept beside them.
 *
 *   u32 length of what follows · u8 flags · u8 device length · u8 stream length · u8 framing
 *   f64 received at (ms) · device · stream · payload                                        (all little-endian)
 *
 * Bound: a payload is at most `PAYLOAD_BYTES_MAX`; names are ASCII and at most 64 characters.
 */

import assert from 'node:assert/strict'
import { TelltaleError } from '../platform/errors.ts'
import { DEVICE_ID_CHARS_MAX, PAYLOAD_BYTES_MAX, STREAM_NAME_CHARS_MAX } from '../platform/limits.ts'
import type { Offset } from './position.ts'

/** A message that was set aside before and is now appended again. Its receive time is that of the first time. */
export const REPLAYED = 1
/** Its readings were decoded the first time already, so live apps have had them. */
export const DELIVERED_LIVE = 2
/** Its commit fails its checksum: these bytes are not what was appended, or not all of them. Never written. */
export const DAMAGED = 4
/** It came late: a newer connection of its device has sent others before it, which must not be replaced by it. A log that several append to sets it on reading. */
export const STALE = 16
/** This process appended it. Likewise. */
export const OWN = 32
/** It was set aside when it was appended: its dead letter was committed with it, and whoever accounts for it makes none. */
export const SET_ASIDE = 8

export interface NewEntry {
  readonly device: string
  readonly stream: string
  /** When the broker received it, milliseconds since 1970-01-01T00:00Z. */
  readonly receivedAt: number
  /** 0, or of the bits below. */
  readonly flags: number
  readonly payload: Uint8Array
  /** What its sender said of its payload, a number that the log hands on; 0 or left out: nothing. */
  readonly framing?: number
  /** Which connection of its device it came by: the epoch of that update of its presence (`presence.ts`); 0 or left out: nothing is known. */
  readonly epoch?: number
}

/** Messages of one device and stream that were received together. Their payloads lie in one piece of memory, in their order. */
export interface NewRun {
  readonly device: string
  readonly stream: string
  /** When the broker received them, milliseconds since 1970-01-01T00:00Z. */
  readonly receivedAt: number
  /** As of an entry, of all of them. */
  readonly framing?: number
  readonly epoch?: number
  /** Copied when it is appended. */
  readonly bytes: Buffer
  /** Of each payload where it starts in `bytes`, and where it ends. */
  readonly spans: readonly number[]
  /** Of all payloads. */
  readonly payloadBytes: number
}

export interface Entry extends NewEntry {
  readonly offset: Offset
  /** A view of the batch's bytes. */
  readonly payload: Buffer
}

/** Entries of one shard, one after another, as one piece of memory. */
export interface Batch {
  /** Offset of the first entry; the others follow densely. */
  readonly firstOffset: Offset
  readonly count: number
  /** They never change, so keeping them is safe; another follower may have the same memory, so nobody writes to it. */
  readonly bytes: Buffer
  /** Where to read on. */
  readonly next: Offset
  /** Entries that retention removed between the offset asked for and this batch. */
  readonly missed: number
}

const HEADER_BYTES = 16
const LENGTH_BYTES = 4
const NOTHING = new Uint8Array()

export function entryBytes(entry: NewEntry): number {
  return HEADER_BYTES + entry.device.length + entry.stream.length + entry.payload.byteLength
}

export function runCount(run: NewRun): number {
  return run.spans.length / 2
}

export function runBytes(run: NewRun): number {
  return runCount(run) * (HEADER_BYTES + run.device.length + run.stream.length) + run.payloadBytes
}

/** Writes `entry` at `at` and returns the position after it. The caller has checked that `entryBytes` fit. */
export function writeEntry(target: Buffer, at: number, entry: NewEntry): number {
  const { device, stream, payload } = entry
  assert(device.length <= DEVICE_ID_CHARS_MAX && stream.length <= STREAM_NAME_CHARS_MAX)
  assert(payload.byteLength <= PAYLOAD_BYTES_MAX)
  target.writeUInt32LE(entryBytes(entry) - LENGTH_BYTES, at)
  target[at + 4] = entry.flags
  target[at + 5] = device.length
  target[at + 6] = stream.length
  target[at + 7] = entry.framing ?? 0
  target.writeDoubleLE(entry.receivedAt, at + 8)
  let position = at + HEADER_BYTES
  position += target.write(device, position, 'latin1')
  position += target.write(stream, position, 'latin1')
  target.set(payload, position)
  return position + payload.byteLength
}

/** Writes the entries of `run` at `at`, likewise. */
export function writeRun(target: Buffer, at: number, run: NewRun): number {
  const { device, stream, receivedAt, framing = 0, bytes, spans } = run
  const headBytes = HEADER_BYTES + device.length + stream.length
  let position = at
  for (let index = 0; index < spans.length; index += 2) {
    const [start, end] = [spans[index] as number, spans[index + 1] as number]
    assert(end - start <= PAYLOAD_BYTES_MAX)
    // Of the entries of a run nothing differs but lengths and payloads.
    if (index === 0) writeEntry(target, position, { device, stream, receivedAt, flags: 0, payload: NOTHING, framing })
    else target.copyWithin(position, at, at + headBytes)
    target.writeUInt32LE(headBytes + end - start - LENGTH_BYTES, position)
    position += headBytes
    bytes.copy(target, position, start, end)
    position += end - start
  }
  return position
}

/** Flags the entry that starts at `at` as set aside. */
export function flagSetAside(bytes: Buffer, at: number): void {
  bytes[at + 4] = (bytes[at + 4] ?? 0) | SET_ASIDE
}

/** The number of entries in these bytes, found by walking their lengths. */
export function countEntries(bytes: Buffer): number {
  let count = 0
  for (let at = 0; at < bytes.length; count++) at = entryEnd(bytes, at)
  return count
}

/** The position in `bytes` of the entry `skip` entries after the first. */
export function skipEntries(bytes: Buffer, skip: number): number {
  let at = 0
  for (let index = 0; index < skip; index++) at = entryEnd(bytes, at)
  return at
}

/** Calls back with where each entry starts, and its offset. Throws `log-corrupt` if one is not whole. */
export function eachEntry(bytes: Buffer, firstOffset: Offset, visit: (at: number, offset: Offset) => void): void {
  let at = 0
  for (let offset: number = firstOffset; at < bytes.length; offset++) {
    const end = entryEnd(bytes, at)
    visit(at, offset as Offset)
    at = end
  }
}

/** The entries of a batch. Payloads are views of its bytes. Throws `log-corrupt` if one is not whole. */
export function readEntries({ bytes, firstOffset }: Pick<Batch, 'bytes' | 'firstOffset'>): Entry[] {
  const entries: Entry[] = []
  eachEntry(bytes, firstOffset, (at, offset) => entries.push(readEntry(bytes, at, offset)))
  return entries
}

/** The entries of a batch before `end`, which lies within it. */
export function entriesBefore(batch: Batch, end: Offset): Batch {
  const count = end - batch.firstOffset
  assert(count >= 0 && count <= batch.count, `offset ${end} lies outside of the batch`)
  return { ...batch, count, bytes: batch.bytes.subarray(0, skipEntries(batch.bytes, count)), next: end }
}

/** The entry that starts at `at`. Its payload is a view of `bytes`. Throws `log-corrupt` if it is not whole. */
export function readEntry(bytes: Buffer, at: number, offset: Offset): Entry {
  const end = entryEnd(bytes, at)
  const deviceAt = at + HEADER_BYTES
  const streamAt = deviceAt + (bytes[at + 5] ?? 0)
  const payloadAt = streamAt + (bytes[at + 6] ?? 0)
  if (payloadAt > end) throw corrupt(at)
  const entry = {
    offset,
    device: bytes.toString('latin1', deviceAt, streamAt),
    stream: bytes.toString('latin1', streamAt, payloadAt),
    receivedAt: bytes.readDoubleLE(at + 8),
    flags: bytes[at + 4] ?? 0,
    payload: bytes.subarray(payloadAt, end),
  }
  const framing = bytes[at + 7] ?? 0
  return framing === 0 ? entry : { ...entry, framing }
}

/** Of FNV-1a, 32 bits. */
const HASH_BASIS = 0x811c9dc5
const HASH_PRIME = 0x01000193

/** A number that is the same for all entries of a device (FNV-1a, 32 bits), without making a string of its id, which is ASCII. */
export function deviceHash(bytes: Buffer, at: number): number {
  const end = at + HEADER_BYTES + (bytes[at + 5] ?? 0)
  let hash = HASH_BASIS
  for (let index = at + HEADER_BYTES; index < end; index++) {
    hash = Math.imul(hash ^ (bytes[index] ?? 0), HASH_PRIME)
  }
  return hash >>> 0
}

/** Which of so many shards has the messages of a device. The same for ever, as the number of shards: a log would be read wrongly else. */
export function shardOf(device: string, shards: number): number {
  let hash = HASH_BASIS
  for (let index = 0; index < device.length; index++) hash = Math.imul(hash ^ device.charCodeAt(index), HASH_PRIME)
  return (hash >>> 0) % shards
}

/** How many entries from `from` on are of the device whose id these bytes are, and how many of them are `SET_ASIDE`. */
export function countOfDevice(bytes: Buffer, from: number, device: Buffer): { count: number; setAside: number } {
  let count = 0
  let setAside = 0
  for (let at = from; at < bytes.length; at = entryEnd(bytes, at)) {
    if (bytes[at + 5] !== device.length) continue
    const idAt = at + HEADER_BYTES
    if (bytes.compare(device, 0, device.length, idAt, idAt + device.length) !== 0) continue
    count++
    if (((bytes[at + 4] ?? 0) & SET_ASIDE) !== 0) setAside++
  }
  return { count, setAside }
}

/** The entries of a batch that are of this device. Likewise. */
export function entriesOfDevice({ bytes, firstOffset }: Pick<Batch, 'bytes' | 'firstOffset'>, device: string): Entry[] {
  const entries: Entry[] = []
  const id = Buffer.from(device, 'latin1')
  let at = 0
  for (let offset: number = firstOffset; at < bytes.length; offset++) {
    const idAt = at + HEADER_BYTES
    if (bytes[at + 5] === id.length && bytes.compare(id, 0, id.length, idAt, idAt + id.length) === 0)
      entries.push(readEntry(bytes, at, offset as Offset))
    at = entryEnd(bytes, at)
  }
  return entries
}

/** Where the entry that starts at `at` ends. */
export function entryEnd(bytes: Buffer, at: number): number {
  if (at + HEADER_BYTES > bytes.length) throw corrupt(at)
  const end = at + LENGTH_BYTES + bytes.readUInt32LE(at)
  if (end > bytes.length || end < at + HEADER_BYTES) throw corrupt(at)
  return end
}

function corrupt(at: number): TelltaleError {
  return new TelltaleError('log-corrupt', `log entries are damaged at byte ${at}`)
}
