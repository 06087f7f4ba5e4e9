/**
 * Owns what is kept of each device beside its books: its counts, when the first and the newest of its messages were received, and how
 * many came in which hour, of the last `HOURS_KEPT` hours and the one that goes on.
 *
 * Always true: all of it changes in the transaction that moves the checkpoint, so the hours add up to the counts, for as long as they
 * reach back: a message is in them once. One that is replayed and stored is stored in its hour, and set aside no more; one that is set aside
 * again changes nothing there. An hour is that of the receipt (UTC); what is received earlier than another and accounted later still counts in its own.
 * Bound: a record of `RECORD_BYTES` for each device that was ever stored or set aside, and one of `HOURS_BYTES` once an hour of it is
 * over: that one is written once an hour, for the hour that goes on stands in the first.
 */

import type { DeviceHour, DeviceReceipts } from '../log.ts'
import { type Environment, peek } from './environment.ts'

export const HOUR_MS = 3_600_000
const HOURS_KEPT = 48

/**
 * Four float64 as in the first version; superseded may be missing. Then, which an earlier version leaves out: received first and last,
 * superseded last (float64, 0 for never), the hour that goes on as a number of hours since 1970, what of it is stored and set aside (uint32),
 * and when the newest was received that is stored (float64).
 */
const RECORD_BYTES = 76
const SUPERSEDED_AT = 24
const RECEIVED_FIRST_AT = 32
const RECEIVED_LAST_AT = 40
const SUPERSEDED_LAST_AT = 48
const HOUR_AT = 56
const STORED_LAST_AT = 68
const SLOT_BYTES = 12
const HOURS_BYTES = HOURS_KEPT * SLOT_BYTES

/** Messages of one hour, a number of hours since 1970-01-01T00:00Z. */
export interface Hour {
  readonly hour: number
  stored: number
  setAside: number
  /** Of what is added: so many that were set aside are stored. */
  replayed?: number
}

/** Of one reader and one device; what it becomes, or what is added. */
export interface OfDevice {
  stored: number
  deadLettered: number
  readings: number
  superseded: number
  /** Times of receipt, milliseconds; 0 where they are not known. */
  firstReceivedAt: number
  lastReceivedAt: number
  lastStoredAt: number
  readonly hours: Hour[]
}

export const nothingOf = (): OfDevice => ({
  stored: 0,
  deadLettered: 0,
  readings: 0,
  superseded: 0,
  firstReceivedAt: 0,
  lastReceivedAt: 0,
  lastStoredAt: 0,
  hours: [],
})

export const hourOf = (receivedAt: number): number => Math.max(0, Math.floor(receivedAt / HOUR_MS))

/** Adds messages received from `first` to `last`, within one hour, to what is added. Of `stored`, `replayed` were received before. */
export function addReceipts(
  more: OfDevice,
  first: number,
  last: number,
  stored: number,
  setAside: number,
  replayed = 0,
): void {
  if (more.firstReceivedAt === 0 || first < more.firstReceivedAt) more.firstReceivedAt = first
  if (last > more.lastReceivedAt) more.lastReceivedAt = last
  if (stored > 0 && last > more.lastStoredAt) more.lastStoredAt = last
  const hour = hourOf(last)
  const known = more.hours.find((each) => each.hour === hour)
  if (known === undefined) more.hours.push({ hour, stored: stored - replayed, setAside, replayed })
  else {
    known.stored += stored - replayed
    known.setAside += setAside
    known.replayed = (known.replayed ?? 0) + replayed
  }
}

/** What was set aside in a version that kept no hours cannot be moved. */
function sumOf(kept: Hour, more: Hour): Hour {
  const setAside = kept.setAside + more.setAside
  const moved = Math.min(more.replayed ?? 0, setAside)
  return { hour: more.hour, stored: kept.stored + more.stored + moved, setAside: setAside - moved }
}

const nothingIn = (hour: number): Hour => ({ hour, stored: 0, setAside: 0 })

export class DeviceRecords {
  readonly #environment: Environment
  /** Within a transaction lmdb copies a value at once, so one buffer serves for all. */
  readonly #record = Buffer.alloc(RECORD_BYTES)

  constructor(environment: Environment) {
    this.#environment = environment
  }

  counts(reader: string, device: string): Pick<OfDevice, 'stored' | 'deadLettered' | 'readings' | 'superseded'> {
    return countsIn(this.#environment.deviceLedgers.get(`${reader}/${device}`))
  }

  /** Undefined of a device of which nothing was ever stored or set aside. */
  receipts(reader: string, device: string): Omit<DeviceReceipts, 'deadLetters'> | undefined {
    const key = `${reader}/${device}`
    const { deviceLedgers, deviceHours } = this.#environment
    const record = deviceLedgers.get(key)
    if (record === undefined) return undefined
    const times = timesIn(record)
    const current = currentHour(record)
    const hours: DeviceHour[] = []
    const kept = deviceHours.get(key)
    // Each hour has its slot, so that from the one after the current they are in order.
    for (let back = HOURS_KEPT - 1; kept !== undefined && back >= 0; back--) {
      const at = ((current.hour + HOURS_KEPT - back) % HOURS_KEPT) * SLOT_BYTES
      if (kept.readUInt32LE(at) > current.hour - HOURS_KEPT) addHour(hours, readHour(kept, at))
    }
    addHour(hours, current)
    const { firstReceivedAt, lastReceivedAt, lastStoredAt, supersededAt } = times
    const { stored, deadLettered, readings, superseded } = countsIn(record)
    return {
      stored,
      deadLettered,
      readings,
      superseded,
      firstReceivedAt: firstReceivedAt || undefined,
      lastReceivedAt: lastReceivedAt || undefined,
      lastStoredAt: lastStoredAt || undefined,
      supersededAt: supersededAt || undefined,
      hours,
    }
  }

  /** Only within a transaction. */
  add(reader: string, device: string, more: OfDevice, now: number): void {
    const key = `${reader}/${device}`
    const { deviceLedgers } = this.#environment
    const bytes = this.#record
    bytes.fill(0)
    peek(deviceLedgers, key)?.copy(bytes)
    add64(bytes, 0, more.stored)
    add64(bytes, 8, more.deadLettered)
    add64(bytes, 16, more.readings)
    if (more.superseded > 0) {
      add64(bytes, SUPERSEDED_AT, more.superseded)
      bytes.writeDoubleLE(now, SUPERSEDED_LAST_AT)
    }
    if (more.firstReceivedAt > 0) this.#addReceipts(key, more)
    deviceLedgers.put(key, bytes)
  }

  #addReceipts(key: string, more: OfDevice): void {
    const bytes = this.#record
    const first = bytes.readDoubleLE(RECEIVED_FIRST_AT)
    if (first === 0 || more.firstReceivedAt < first) bytes.writeDoubleLE(more.firstReceivedAt, RECEIVED_FIRST_AT)
    if (more.lastReceivedAt > bytes.readDoubleLE(RECEIVED_LAST_AT))
      bytes.writeDoubleLE(more.lastReceivedAt, RECEIVED_LAST_AT)
    if (more.lastStoredAt > bytes.readDoubleLE(STORED_LAST_AT)) bytes.writeDoubleLE(more.lastStoredAt, STORED_LAST_AT)
    const over: Hour[] = []
    for (const hour of more.hours) {
      const current = readHour(bytes, HOUR_AT)
      if (hour.hour > current.hour) {
        if (current.stored + current.setAside > 0) over.push(current)
        writeHour(bytes, HOUR_AT, sumOf(nothingIn(hour.hour), hour))
      } else if (hour.hour === current.hour) writeHour(bytes, HOUR_AT, sumOf(current, hour))
      else if (hour.hour > current.hour - HOURS_KEPT) over.push(hour)
    }
    if (over.length > 0) this.#addHours(key, over)
  }

  /** Those that are over. Of one slot the later hour stays. */
  #addHours(key: string, over: readonly Hour[]): void {
    const { deviceHours } = this.#environment
    const bytes = Buffer.alloc(HOURS_BYTES)
    peek(deviceHours, key)?.copy(bytes)
    for (const hour of over) {
      const at = (hour.hour % HOURS_KEPT) * SLOT_BYTES
      const kept = readHour(bytes, at)
      if (kept.hour > hour.hour) continue
      writeHour(bytes, at, sumOf(kept.hour === hour.hour ? kept : nothingIn(hour.hour), hour))
    }
    deviceHours.put(key, bytes)
  }
}

function addHour(hours: DeviceHour[], { hour, stored, setAside }: Hour): void {
  if (stored + setAside > 0) hours.push({ from: hour * HOUR_MS, stored, setAside })
}

function countsIn(record: Buffer | undefined) {
  if (record === undefined) return { stored: 0, deadLettered: 0, readings: 0, superseded: 0 }
  const superseded = record.length > SUPERSEDED_AT ? record.readDoubleLE(SUPERSEDED_AT) : 0
  const [stored, deadLettered, readings] = [record.readDoubleLE(0), record.readDoubleLE(8), record.readDoubleLE(16)]
  return { stored, deadLettered, readings, superseded }
}

function timesIn(record: Buffer) {
  const at = (place: number) => (record.length >= RECORD_BYTES ? record.readDoubleLE(place) : 0)
  return {
    firstReceivedAt: at(RECEIVED_FIRST_AT),
    lastReceivedAt: at(RECEIVED_LAST_AT),
    lastStoredAt: at(STORED_LAST_AT),
    supersededAt: at(SUPERSEDED_LAST_AT),
  }
}

function currentHour(record: Buffer): Hour {
  return record.length >= RECORD_BYTES ? readHour(record, HOUR_AT) : { hour: 0, stored: 0, setAside: 0 }
}

function readHour(bytes: Buffer, at: number): Hour {
  return { hour: bytes.readUInt32LE(at), stored: bytes.readUInt32LE(at + 4), setAside: bytes.readUInt32LE(at + 8) }
}

function writeHour(bytes: Buffer, at: number, { hour, stored, setAside }: Hour): void {
  bytes.writeUInt32LE(hour, at)
  bytes.writeUInt32LE(stored, at + 4)
  bytes.writeUInt32LE(setAside, at + 8)
}

function add64(bytes: Buffer, at: number, more: number): void {
  bytes.writeDoubleLE(bytes.readDoubleLE(at) + more, at)
}
