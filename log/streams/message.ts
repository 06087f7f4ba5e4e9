/**
 * Owns the value of a record of the `log` stream: an entry as every log has it (`log/entry.ts`), and behind it what only a log that several processes
 * append to needs. Whoever reads the stream for himself finds the entry at its beginning, and its length first.
 *
 *   entry · u32 who appended it · f64 epoch · f64 dead letter · nothing more, or why it is to be set aside (MessagePack)   (little-endian)
 *
 * The epoch is that of the device's connection; the dead letter, a number of its shard, is that which was put through again. 0: none.
 */

import { pack, unpack } from 'msgpackr'
import { type Entry, entryBytes, entryEnd, type NewEntry, readEntry, writeEntry } from '../entry.ts'
import type { SetAsideReason } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'

export const TRAILER_BYTES = 20

export interface Beside {
  /** A number that stands for the process that appended it. */
  readonly writer: number
  readonly epoch?: number | undefined
  readonly letter?: number | undefined
  readonly setAside?: SetAsideReason | undefined
}

export interface Message extends Beside {
  readonly entry: Entry
}

export function messageBytes(entry: NewEntry, { writer, epoch = 0, letter = 0, setAside }: Beside): Buffer {
  const why = setAside && pack(setAside)
  const bytes = Buffer.allocUnsafe(entryBytes(entry) + TRAILER_BYTES + (why?.length ?? 0))
  const at = writeEntry(bytes, 0, entry)
  bytes.writeUInt32LE(writer, at)
  bytes.writeDoubleLE(epoch, at + 4)
  bytes.writeDoubleLE(letter, at + 12)
  why?.copy(bytes, at + TRAILER_BYTES)
  return bytes
}

/** Where the entry of a message ends. Throws `log-corrupt` if it is not whole. */
export function entryEndOf(message: Buffer): number {
  const end = message.length === 0 ? 0 : entryEnd(message, 0)
  if (end === 0 || message.length < end + TRAILER_BYTES)
    throw new LogError('log-corrupt', 'a message of the log is cut')
  return end
}

export const writerOf = (message: Buffer, end: number): number => message.readUInt32LE(end)

export function readMessage(message: Buffer, offset: Offset): Message {
  const end = entryEndOf(message)
  const why = message.length > end + TRAILER_BYTES ? unpack(message.subarray(end + TRAILER_BYTES)) : undefined
  return {
    entry: readEntry(message, 0, offset),
    writer: writerOf(message, end),
    epoch: message.readDoubleLE(end + 4),
    letter: message.readDoubleLE(end + 12),
    setAside: why as SetAsideReason | undefined,
  }
}
