/**
 * Owns the decoding of one worker's share of a group: which entries are its own, what they decode to, and what is set
 * aside and why. Nothing is lost: every own entry is either in `batch` or in `setAside`.
 */

import assert from 'node:assert/strict'
import { deviceHash, entryEnd, readEntry } from '../log/entry.ts'
import { Rejection } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'
import type { StoreBatch, StoreEntry, WriteOutcome } from './store.ts'
import type { SetAside } from './worker-messages.ts'

export interface Share {
  readonly batch: StoreBatch
  /** Beside `batch.entries`: where each entry starts in the group's bytes, and its offset. */
  readonly starts: readonly number[]
  readonly offsets: readonly number[]
  readonly setAside: readonly SetAside[]
}

export interface Partition {
  readonly index: number
  readonly workers: number
}

/**
 * Decodes the entries of the devices that are this worker's. A device is always the same worker's, which writes its
 * groups one after another: so of two values with the same series and time the newer is written last. `checkpoint` is the
 * log's position after the group.
 */
export function decodeShare(
  bytes: Buffer,
  firstOffset: number,
  checkpoint: string,
  registry: Registry,
  partition: Partition,
): Share {
  const { index, workers } = partition
  const entries: StoreEntry[] = []
  const starts: number[] = []
  const offsets: number[] = []
  const setAside: SetAside[] = []
  let at = 0
  for (let offset = firstOffset; at < bytes.length; offset++) {
    const end = entryEnd(bytes, at)
    if (workers === 1 || deviceHash(bytes, at) % workers === index) {
      const entry = readEntry(bytes, at, offset)
      const decoded = registry.decode(entry)
      const stream = registry.stream(entry.stream)
      if (decoded instanceof Rejection) setAside.push({ at, offset, code: decoded.code, reason: decoded.reason })
      else {
        assert(stream, `the registry decoded ${entry.stream}, which it does not know`)
        entries.push({ stream, readings: decoded })
        starts.push(at)
        offsets.push(offset)
      }
    }
    at = end
  }
  return { batch: { entries, checkpoint }, starts, offsets, setAside }
}

/** The whole outcome of a share, once its batch is written. */
export function settleShare(share: Share, { rejected }: WriteOutcome) {
  const { entries } = share.batch
  const setAside = [...share.setAside]
  let readings = 0
  for (const entry of entries) readings += entry.readings.length
  for (const { index, reason } of rejected) {
    const at = share.starts[index]
    const offset = share.offsets[index]
    assert(at !== undefined && offset !== undefined, `the store rejected entry ${index} of ${entries.length}`)
    setAside.push({ at, offset, code: 'store-rejected', reason })
    readings -= entries[index]?.readings.length ?? 0
  }
  return { stored: entries.length - rejected.length, readings, setAside }
}
