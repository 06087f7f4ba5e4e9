/**
 * Owns finding a commit in the log and what is made of a damaged one.
 *
 * Always true: what a commit holds is handed on as it was appended, or flagged `DAMAGED`, entry by entry, so that offsets stay
 * dense and whoever reads on can set it aside; nothing of it is taken for a message. If its bytes still fall into as many
 * entries as it had, those are handed on; else its bytes are, as the payloads of entries without a device. How many it had is
 * known from where the next commit begins; of the newest commit only its header says it, and if its bytes do not agree, it is an
 * error, for the end of the log is not known either.
 */

import { TelltaleError } from '../../platform/errors.ts'
import { PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { DAMAGED, type Entry, entryBytes, type NewEntry, readEntries, writeEntry } from '../entry.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'
import { type Environment, peek } from '../tables/environment.ts'
import { COMMIT_HEADER_BYTES, type Commit, countIn, openCommit } from './commit.ts'

/** Nothing a broker lets in has another name, nor a larger payload. */
const NAME = /^[\w.:-]{1,64}$/

const isTime = (ms: number) => !Number.isNaN(new Date(ms).getTime())

/** The commit under this key; undefined if there is none. Its entries may be a view, good until the next read of the log. */
export function commitAt(environment: Environment, offset: number): Commit | undefined {
  const value = peek(environment.commits, offset)
  return value && (openCommit(value) ?? salvage(environment, offset, Buffer.from(value)))
}

function salvage({ commits }: Environment, offset: number, value: Buffer): Commit {
  const [next] = commits.getKeys({ start: offset + 1, limit: 1 })
  const count = next === undefined ? countIn(value) : next - offset
  const entries = asAppended(value.subarray(COMMIT_HEADER_BYTES), count) ?? (next && asBytes(value, count))
  if (entries) return { count, newestAt: 0, entries: written(entries), isDamaged: true }
  throw new LogError(
    'log-corrupt',
    `the newest commit of the log, at offset ${offset}, is damaged, so that nobody knows where the log ends: ` +
      'restore it from a copy, or move its folder away to begin a new one',
  )
}

/** The entries, if the bytes still fall into `count` of them. */
function asAppended(bytes: Buffer, count: number): NewEntry[] | undefined {
  let entries: Entry[]
  try {
    entries = readEntries({ bytes, firstOffset: 0 as Offset })
  } catch (error) {
    if (error instanceof TelltaleError) return undefined
    throw error
  }
  if (entries.length !== count) return undefined
  const isPossible = ({ device, stream, receivedAt, payload }: Entry) =>
    NAME.test(device) && NAME.test(stream) && isTime(receivedAt) && payload.length <= PAYLOAD_BYTES_MAX
  return entries.every(isPossible) ? entries : undefined
}

/** As many entries, without names, whose payloads are the bytes of the whole commit, as far as they find room. */
function asBytes(value: Buffer, count: number): NewEntry[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = value.subarray(index * PAYLOAD_BYTES_MAX, (index + 1) * PAYLOAD_BYTES_MAX)
    return { device: '', stream: '', receivedAt: 0, flags: 0, payload }
  })
}

function written(entries: readonly NewEntry[]): Buffer {
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), 0))
  let at = 0
  for (const entry of entries) at = writeEntry(bytes, at, { ...entry, flags: DAMAGED })
  return bytes
}
