/**
 * Owns the decoding of one worker's share of a group: which entries are its own, what they decode to, and what is set
 * aside and why. Nothing is lost: every own entry is either in `batch` or in `setAside`.
 */

import assert from 'node:assert/strict'
import { DAMAGED, deviceHash, eachEntry, readEntry } from '../log/entry.ts'
import type { DeviceProgress } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import type { Decoder } from '../schemas/decoder.ts'
import { Rejection } from '../schemas/reading.ts'
import type { StoreBatch, StoreEntry, WriteOutcome } from './store.ts'
import type { SetAside } from './worker-messages.ts'

export interface Share {
  readonly batch: StoreBatch
  /** Beside `batch.entries`: whose each entry is, where it starts in the group's bytes, and its offset. */
  readonly devices: readonly string[]
  readonly starts: readonly number[]
  readonly offsets: readonly Offset[]
  readonly setAside: readonly SetAside[]
}

/** Of its commit any byte may be wrong, also one that would still be decoded. Replaying it is for a person to decide. */
const LOG_DAMAGED = new Rejection(
  'log-damaged',
  "the disk gave this message's commit back changed: it may be whole, or not; if it looks right, it can be replayed",
)

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
  firstOffset: Offset,
  checkpoint: string,
  decoder: Decoder,
  partition: Partition,
): Share {
  const { index, workers } = partition
  const entries: StoreEntry[] = []
  const devices: string[] = []
  const starts: number[] = []
  const offsets: Offset[] = []
  const setAside: SetAside[] = []
  eachEntry(bytes, firstOffset, (at, offset) => {
    if (workers > 1 && deviceHash(bytes, at) % workers !== index) return
    const entry = readEntry(bytes, at, offset)
    const decoded = (entry.flags & DAMAGED) === 0 ? decoder.decode(entry) : LOG_DAMAGED
    if (decoded instanceof Rejection) {
      setAside.push({ at, offset, code: decoded.code, reason: decoded.reason })
      return
    }
    const stream = decoder.registry.stream(entry.stream)
    assert(stream, `decoded ${entry.stream}, which the registry does not know`)
    entries.push({ stream, readings: decoded })
    devices.push(entry.device)
    starts.push(at)
    offsets.push(offset)
  })
  return { batch: { entries, checkpoint }, devices, starts, offsets, setAside }
}

/** The whole outcome of a share, once its batch is written. */
export function settleShare(share: Share, { rejected }: WriteOutcome) {
  const { entries } = share.batch
  const setAside = [...share.setAside]
  const refused = new Set<number>()
  for (const { index, reason } of rejected) {
    const at = share.starts[index]
    const offset = share.offsets[index]
    assert(at !== undefined && offset !== undefined, `the store rejected entry ${index} of ${entries.length}`)
    setAside.push({ at, offset, code: 'store-rejected', reason, decoded: true })
    refused.add(index)
  }
  const devices = byDevice(share, refused)
  const readings = devices.reduce((sum, device) => sum + device.readings, 0)
  return { stored: entries.length - rejected.length, readings, setAside, devices }
}

/** What is stored of each device: all entries but the `refused`. */
function byDevice({ batch, devices }: Share, refused: ReadonlySet<number>): DeviceProgress[] {
  const all = new Map<string, { device: string; stored: number; readings: number }>()
  for (const [index, { readings }] of batch.entries.entries()) {
    if (refused.size > 0 && refused.has(index)) continue
    const device = devices[index] ?? ''
    const progress = all.get(device)
    if (progress === undefined) all.set(device, { device, stored: 1, readings: readings.length })
    else {
      progress.stored++
      progress.readings += readings.length
    }
  }
  return [...all.values()]
}
