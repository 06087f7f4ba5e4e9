/**
 * Owns the decoding of one worker's share of a group: which entries are its own, what they decode to, and what is set
 * aside and why. Nothing is lost: every own entry is in `batch`, in `setAside`, or was set aside before.
 */

import assert from 'node:assert/strict'
import { DAMAGED, deviceHash, type Entry, eachEntry, REPLAYED, readEntry, SET_ASIDE } from '../log/entry.ts'
import type { DeviceProgress, NewNotice } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import { GATHERED } from '../schemas/content-type.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import { Rejection } from '../schemas/reading.ts'
import type { RejectedEntry, StoreBatch, StoreEntry, SupersededReadings, WriteOutcome } from './store.ts'
import type { SetAside, ToWorker } from './worker-messages.ts'

export interface Share {
  readonly batch: StoreBatch
  /** Beside `batch.entries`: whose each entry is, where it starts in the group's bytes, and its offset. */
  readonly devices: readonly string[]
  readonly starts: readonly number[]
  readonly offsets: readonly Offset[]
  /** Which of `batch.entries` were set aside before, by index. */
  readonly replays: ReadonlySet<number>
  readonly setAside: readonly SetAside[]
  /** Messages that were set aside when they were appended: their dead letters are there, and they are not decoded. */
  readonly setAsideBefore: readonly Pick<Entry, 'device' | 'receivedAt'>[]
  /** What devices should know of messages that were taken: one a device. */
  readonly remarks: readonly NewNotice[]
}

/** Of its commit any byte may be wrong, also one that would still be decoded. Replaying it is for a person to decide. */
const LOG_DAMAGED = new Rejection(
  'log-damaged',
  "the disk gave this message's commit back changed: it may be whole, or not; if it looks right, it can be replayed",
)

export interface Partition {
  readonly index: number
  readonly workers: number
  /** Of the log. */
  readonly shards: number
}

/**
 * Decodes the entries of the devices that are this worker's. A device is always the same worker's, which writes its
 * groups one after another: so of two values with the same series and time the newer is written last.
 * A shard's devices have hashes alike modulo the number of shards: what is left of the hash divides them.
 */
export function decodeShare(
  group: Extract<ToWorker, { kind: 'group' }>,
  schemas: Pick<CurrentSchemas, 'decode' | 'remark' | 'registry'>,
  { index, workers, shards }: Partition,
): Share {
  const { shard, firstOffset, checkpoint, isRepeat, isOtherLog } = group
  const bytes = Buffer.from(group.bytes)
  let next = firstOffset
  const entries: StoreEntry[] = []
  const devices: string[] = []
  const starts: number[] = []
  const offsets: Offset[] = []
  const replays = new Set<number>()
  const setAside: SetAside[] = []
  const setAsideBefore: Pick<Entry, 'device' | 'receivedAt'>[] = []
  const remarks = new Map<string, NewNotice>()
  eachEntry(bytes, firstOffset, (at, offset) => {
    next = (offset + 1) as Offset
    if (workers > 1 && Math.floor(deviceHash(bytes, at) / shards) % workers !== index) return
    const entry = readEntry(bytes, at, offset)
    if ((entry.flags & SET_ASIDE) !== 0) {
      setAsideBefore.push({ device: entry.device, receivedAt: entry.receivedAt })
      return
    }
    const decoded = (entry.flags & DAMAGED) === 0 ? schemas.decode(entry) : LOG_DAMAGED
    if (decoded instanceof Rejection) {
      // Of what was gathered live apps have had each message.
      const isDelivered = entry.framing === GATHERED && { decoded: true }
      setAside.push({ at, offset, code: decoded.code, reason: decoded.reason, ...isDelivered })
      return
    }
    const stream = schemas.registry.stream(entry.stream)
    assert(stream, `decoded ${entry.stream}, which the registry does not know`)
    const remark = schemas.remark(entry)
    if (remark !== undefined) remarks.set(entry.device, { device: entry.device, stream: entry.stream, ...remark })
    if ((entry.flags & REPLAYED) !== 0) replays.add(entries.length)
    entries.push({ stream, readings: decoded, receivedAt: entry.receivedAt, offset })
    devices.push(entry.device)
    starts.push(at)
    offsets.push(offset)
  })
  return {
    batch: { entries, source: { shard, first: firstOffset, next, checkpoint }, isRepeat, isOtherLog },
    devices,
    starts,
    offsets,
    replays,
    setAside,
    setAsideBefore,
    remarks: [...remarks.values()],
  }
}

/** The whole outcome of a share, once its batch is written. */
export function settleShare(share: Share, { rejected, superseded }: WriteOutcome) {
  const { entries } = share.batch
  const setAside = [...share.setAside]
  const refused = new Map<number, number>()
  // A message without a reading has nothing to refuse: its value is in the reading of another, as what is gathered, or it was left out.
  const lost = rejected.filter(({ index }) => entries[index]?.readings.length !== 0)
  for (const rejection of lost) {
    const { index } = rejection
    const at = share.starts[index]
    const offset = share.offsets[index]
    assert(at !== undefined && offset !== undefined, `the store rejected entry ${index} of ${entries.length}`)
    const reason = reasonOf(rejection, entries[index]?.readings.length ?? 0)
    setAside.push({ at, offset, code: 'store-rejected', reason, decoded: true })
    refused.set(index, rejection.refused)
  }
  const devices = byDevice(share, refused, superseded)
  const readings = devices.reduce((sum, device) => sum + device.readings, 0)
  const { remarks } = share
  const setAsideBefore = share.setAsideBefore.length
  const stored = entries.length - lost.length
  return { stored, readings, setAside, setAsideBefore, remarks, devices, superseded }
}

/** What became of a message is told by what became of its readings: of several, a store may take some. */
function reasonOf({ refused, reason }: RejectedEntry, readings: number): string {
  if (readings === 1) return reason
  const taken = readings - refused
  if (taken === 0) return `none of its ${readings} readings is stored: ${reason}`
  return `${refused} of its ${readings} readings ${refused === 1 ? 'is' : 'are'} not stored, the other ${taken === 1 ? 'is' : `${taken} are`}: ${reason}`
}

/** Of one device. */
type Row = { -readonly [Name in keyof DeviceProgress]: DeviceProgress[Name] } & {
  superseded: number
  firstReceivedAt: number
  lastReceivedAt: number
}

const HOUR_MS = 3_600_000

/**
 * What is stored of each device: messages without a refused reading, and all readings but those. A device whose messages were received in
 * several hours has a row for each.
 */
function byDevice(
  { batch, devices, replays, setAsideBefore }: Share,
  refused: ReadonlyMap<number, number>,
  superseded: readonly SupersededReadings[],
): DeviceProgress[] {
  const rows: Row[] = []
  const all = new Map<string, Row>()
  const of = (device: string, receivedAt: number): Row => {
    let row = all.get(device)
    const isOther = row !== undefined && Math.floor(row.lastReceivedAt / HOUR_MS) !== Math.floor(receivedAt / HOUR_MS)
    if (row === undefined || isOther) {
      row = { device, stored: 0, readings: 0, superseded: 0, firstReceivedAt: receivedAt, lastReceivedAt: receivedAt }
      all.set(device, row)
      rows.push(row)
    } else if (receivedAt > row.lastReceivedAt) row.lastReceivedAt = receivedAt
    else if (receivedAt < row.firstReceivedAt) row.firstReceivedAt = receivedAt
    return row
  }
  for (const [index, { readings, receivedAt }] of batch.entries.entries()) {
    const lost = refused.size > 0 ? refused.get(index) : undefined
    const row = of(devices[index] ?? '', receivedAt)
    row.stored += lost === undefined ? 1 : 0
    if (lost === undefined && replays.has(index)) row.replayed = (row.replayed ?? 0) + 1
    row.readings += readings.length - (lost ?? 0)
  }
  for (const { device, count } of superseded) {
    const row = all.get(device)
    assert(row, `readings of ${device} are superseded, and none of it was written`)
    row.superseded += count
  }
  for (const { device, receivedAt } of setAsideBefore) {
    const row = of(device, receivedAt)
    row.setAsideBefore = (row.setAsideBefore ?? 0) + 1
  }
  return rows
}
