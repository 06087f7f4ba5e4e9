/**
 * Owns the last reading of each series, and when each device was last heard: what `start: "latest"` and `/v1/devices`
 * answer from.
 *
 * Last means: the latest by its own time, so a message overtaken on the way does not win; but a time ahead of its receipt counts as
 * the receipt, so one from a clock that runs ahead hides nothing that is received after it. Parts of a reading that is gathered are put
 * together within their window, and never beyond: what is answered is the reading that the store has, or will have. Every message is decoded for it;
 * to keep payloads until somebody asks would save 0.6 us a message, and a series would be lost behind a malformed one.
 *
 * Bound: `LATEST_SERIES_MAX` devices and series together, `LATEST_BYTES_MAX` by estimate, and
 * `LATEST_SERIES_PER_DEVICE_MAX`. When full, the device not heard of for longest (nearly: the first found that was quiet
 * since the last look) is dropped and counted; the store still has its readings.
 */

import assert from 'node:assert/strict'
import { type Entry, REPLAYED } from '../log/entry.ts'
import { LATEST_SERIES_MAX, LATEST_SERIES_PER_DEVICE_MAX } from '../platform/limits.ts'
import type { Selection } from '../schemas/history.ts'
import { seriesKey } from '../schemas/point.ts'
import type { Part, Reading, Stream } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'
import { ClockOffset } from './devices/clock-offset.ts'
import { Pace } from './devices/pace.ts'

/** Bytes in the table of last readings, estimated; the device unheard of for longest is dropped and counted. */
const LATEST_BYTES_MAX = 256 * 1024 * 1024

/** The last reading of one series. */
export interface LatestSlot {
  reading: Reading
  /** When the platform had it, milliseconds; undefined of one of a store that does not know. */
  received: number | undefined
  /** Its time, or its receipt if that is earlier; of the store's readings that are ahead of the clock, none. */
  at: number
  /** `sequence` of its newest change. */
  touched: number
  bytes: number
  /** The store told of it. */
  isStored: boolean
}

/** How a device sent something, and when it did so last. */
export interface Format {
  readonly framing: string
  /** The schema and its version, of a payload that names one. */
  readonly schema?: string
  readonly lastAt: number
}

/** How a device sends a stream. */
export interface Sent {
  readonly pace: Pace
  /** The newest last. */
  formats: readonly Format[]
}

/** What is known of one device. */
interface DeviceState {
  /** When a message of it last arrived, milliseconds; undefined if only the store has told of it. */
  heardAt: number | undefined
  /** `sequence` of its newest change, and as it was when the dropping of the oldest last looked here. */
  touched: number
  looked: number
  readonly clock: ClockOffset
  /** By stream name. */
  readonly sent: Map<string, Sent>
  /** By stream name; of a stream with tags, by series key. */
  readonly slots: Map<string, LatestSlot>
}

const DEVICE_BYTES = 500
/** Of one in a list. */
const NUMBER_BYTES = 8
/** An estimate of what a slot takes beside long strings and lists, and what is known of its stream. */
const SLOT_BYTES = 800
const SECOND_CHANCES_MAX = 16
/** How a device sends is looked at so often, for each stream; so many ways are kept. */
const FORMAT_INTERVAL_MS = 60_000
const FORMATS_MAX = 4

export interface LatestBounds {
  readonly seriesMax: number
  readonly bytesMax: number
}

export class Latest {
  readonly #registry: Pick<Registry, 'stream'>
  readonly #bounds: LatestBounds
  readonly #devices = new Map<string, DeviceState>()
  /** By stream name: the stream as it was last, and whether it has tags. */
  readonly #tagged = new Map<string, { readonly stream: Stream; readonly tagged: boolean }>()
  #sequence = 0
  #series = 0
  #bytes = 0
  #dropped = 0

  constructor(
    registry: Pick<Registry, 'stream'>,
    bounds: LatestBounds = { seriesMax: LATEST_SERIES_MAX, bytesMax: LATEST_BYTES_MAX },
  ) {
    this.#registry = registry
    this.#bounds = bounds
  }

  /** Rises with each change; a change after this moment has a higher number. */
  get sequence(): number {
    return this.#sequence
  }

  get series(): number {
    return this.#series
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Series dropped because the table was full. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes in a message and its readings; of one that is set aside, that its device was heard, whatever its stream. One that is replayed came before, at no pace. */
  take(entry: Entry, readings: readonly Reading[] | undefined): void {
    const device = this.#device(entry.device)
    device.heardAt = Math.max(device.heardAt ?? 0, entry.receivedAt)
    device.touched = ++this.#sequence
    const stream = this.#registry.stream(entry.stream)
    if (stream === undefined) {
      this.#makeRoom()
      return
    }
    const newest = readings === undefined || readings.length === 0 ? undefined : newestOf(readings)
    const isReplay = (entry.flags & REPLAYED) !== 0
    const { pace } = this.#sent(device, entry.stream)
    if (isReplay) pace.heardAt = Math.max(pace.heardAt, entry.receivedAt)
    else pace.take(entry.receivedAt, newest)
    if (readings !== undefined) {
      if (!isReplay && newest !== undefined && device.clock.isDue(entry.receivedAt))
        device.clock.take(entry.receivedAt, newest)
      for (const reading of readings) {
        const given = reading.part === undefined || entry.flags === 0 ? reading : alone(reading)
        this.#put(device, given, entry.receivedAt, Math.min(reading.ts, entry.receivedAt), stream)
      }
    }
    this.#makeRoom()
  }

  /** Whether it is to be told how this message was sent. */
  wantsFormat({ device, stream, receivedAt }: Entry): boolean {
    const sent = this.#devices.get(device)?.sent.get(stream)
    return sent !== undefined && receivedAt >= (sent.formats.at(-1)?.lastAt ?? 0) + FORMAT_INTERVAL_MS
  }

  takeFormat({ device, stream, receivedAt }: Entry, { framing, schema }: Readonly<Record<string, unknown>>): void {
    const sent = this.#devices.get(device)?.sent.get(stream)
    if (sent === undefined) return
    const others = sent.formats.filter((each) => each.framing !== framing || each.schema !== schema)
    const named = typeof schema === 'string' && { schema }
    sent.formats = [...others, { framing: String(framing), ...named, lastAt: receivedAt }].slice(-FORMATS_MAX)
  }

  /** How the device sends what it sends, by stream. */
  sentBy(device: string): ReadonlyMap<string, Sent> {
    return this.#devices.get(device)?.sent ?? NOTHING_SENT
  }

  /** Of which anything came, or the store told; sorted. */
  streamsOf(device: string): string[] {
    const known = this.#devices.get(device)
    if (known === undefined) return []
    const streams = [...known.sent.keys()]
    for (const { reading } of known.slots.values()) if (!streams.includes(reading.stream)) streams.push(reading.stream)
    return streams.sort()
  }

  /** Takes in a reading that the store has at `now`, unless a newer one is known. */
  seed(reading: Reading, now: number): void {
    const stream = this.#registry.stream(reading.stream)
    if (stream === undefined) return
    const device = this.#device(reading.device)
    // When the store's was received nobody knows.
    const known = device.slots.get(this.#keyOf(reading, stream))
    if (known?.reading.part !== undefined && isWithin(reading.ts, known)) {
      this.#putBefore(device, reading, known)
      return
    }
    if (known !== undefined && reading.ts < known.reading.ts) return
    device.touched = ++this.#sequence
    this.#put(device, reading, reading.received, reading.ts > now ? Number.NEGATIVE_INFINITY : reading.ts, stream, true)
    this.#makeRoom()
  }

  /** The store has the reading of which parts have come: what came before the first of them, too. */
  #putBefore(device: DeviceState, { ts, values }: Reading, known: LatestSlot): void {
    device.touched = ++this.#sequence
    const { reading } = known
    this.#replace(known, { ...reading, ts: Math.min(ts, reading.ts), values: { ...values, ...reading.values } })
    this.#makeRoom()
  }

  has(device: string): boolean {
    return this.#devices.has(device)
  }

  devices(): Iterable<string> {
    return this.#devices.keys()
  }

  heardAt(device: string): number | undefined {
    return this.#devices.get(device)?.heardAt
  }

  /** By how much its clock is off, milliseconds; undefined while too little is known. */
  clockOffsetMs(device: string): number | undefined {
    return this.#devices.get(device)?.clock.ms
  }

  /** The last reading of each stream of one device (of several series of a stream, the latest). */
  lastOf(device: string): Reading[] {
    const last = new Map<string, LatestSlot>()
    for (const slot of this.#devices.get(device)?.slots.values() ?? []) {
      const known = last.get(slot.reading.stream)
      if (known === undefined || !isBefore(slot.at, slot.reading, known)) last.set(slot.reading.stream, slot)
    }
    return [...last.values()].map(({ reading }) => reading)
  }

  /** The series that changed after `sequence` and that any of the `selections` selects, each to be read when it is its turn. */
  changed(selections: readonly Selection[], sequence: number): LatestSlot[] {
    const found = new Set<LatestSlot>()
    for (const { device, stream } of selections) {
      const own = device === undefined ? undefined : this.#devices.get(device)
      const devices = device === undefined ? this.#devices.values() : own ? [own] : []
      for (const { touched, slots } of devices) {
        if (touched <= sequence) continue
        for (const slot of slots.values()) {
          if (slot.touched > sequence && (stream === undefined || stream === slot.reading.stream)) found.add(slot)
        }
      }
    }
    return [...found]
  }

  /** Keeps `reading` if it is no older than the one known, or adds it to that if they are parts of one. */
  #put(
    device: DeviceState,
    reading: Reading,
    received: number | undefined,
    at: number,
    stream: Stream,
    isStored = false,
  ): void {
    const key = this.#keyOf(reading, stream)
    const known = device.slots.get(key)
    if (known !== undefined && isOfOne(reading, known)) {
      known.isStored = false
      this.#replace(known, { ...reading, ts: known.reading.ts, values: { ...known.reading.values, ...reading.values } })
      return
    }
    if (known !== undefined && isBefore(at, reading, known)) return
    if (known !== undefined) {
      known.received = received
      known.at = at
      known.isStored = isStored
      this.#replace(known, reading)
      return
    }
    if (device.slots.size >= LATEST_SERIES_PER_DEVICE_MAX) this.#dropOldestSlot(device)
    const bytes = SLOT_BYTES + textBytes(reading)
    this.#bytes += bytes
    device.slots.set(key, { reading, received, at, touched: this.#sequence, bytes, isStored })
    this.#series++
  }

  #replace(slot: LatestSlot, reading: Reading): void {
    const bytes = SLOT_BYTES + textBytes(reading)
    this.#bytes += bytes - slot.bytes
    slot.reading = reading
    slot.touched = this.#sequence
    slot.bytes = bytes
  }

  #keyOf(reading: Reading, stream: Stream): string {
    return this.#isTagged(stream) ? seriesKey(reading, stream) : stream.name
  }

  #device(id: string): DeviceState {
    let device = this.#devices.get(id)
    if (device === undefined) {
      // Its first message is no reason to keep it over those that have gone on.
      device = {
        heardAt: undefined,
        touched: 0,
        looked: this.#sequence + 1,
        clock: new ClockOffset(),
        sent: new Map(),
        slots: new Map(),
      }
      this.#devices.set(id, device)
      this.#bytes += DEVICE_BYTES
      this.#series++
    }
    return device
  }

  /** The registry bounds how many. */
  #sent({ sent }: DeviceState, stream: string): Sent {
    let known = sent.get(stream)
    if (known === undefined) {
      known = { pace: new Pace(), formats: [] }
      sent.set(stream, known)
    }
    return known
  }

  #dropOldestSlot(device: DeviceState): void {
    for (const [key, slot] of device.slots) {
      device.slots.delete(key)
      this.#forget(slot)
      return
    }
  }

  #forget(slot: LatestSlot): void {
    this.#bytes -= slot.bytes
    this.#series--
    this.#dropped++
  }

  /**
   * Second chance: the map's first device is dropped, unless it was heard since the last look; then it goes to the end.
   * After `SECOND_CHANCES_MAX` of those the next is dropped all the same, so that no message waits for long.
   */
  #makeRoom(): void {
    let chances = SECOND_CHANCES_MAX
    while (this.#series > this.#bounds.seriesMax || this.#bytes > this.#bounds.bytesMax) {
      const first = this.#devices.entries().next().value
      assert(first, 'a full table has devices')
      const [id, device] = first
      this.#devices.delete(id)
      if (device.touched > device.looked && chances-- > 0) {
        device.looked = device.touched
        this.#devices.set(id, device)
        continue
      }
      for (const slot of device.slots.values()) this.#forget(slot)
      this.#bytes -= DEVICE_BYTES
      this.#series--
    }
  }

  #isTagged(stream: Stream): boolean {
    const known = this.#tagged.get(stream.name)
    if (known?.stream === stream) return known.tagged
    const tagged = stream.columns.some((column) => column.tag)
    this.#tagged.set(stream.name, { stream, tagged })
    if (known !== undefined) this.#rename(stream)
    return tagged
  }

  /** A version has come with which the series of a stream may have other keys. */
  #rename(stream: Stream): void {
    for (const { slots } of this.#devices.values()) {
      for (const [key, slot] of [...slots]) {
        if (slot.reading.stream !== stream.name) continue
        slots.delete(key)
        slots.set(this.#keyOf(slot.reading, stream), slot)
      }
    }
  }
}

/** Whether a part is of the reading that is known: of the same map's window; of one that the store has only its time tells. */
function isOfOne({ part, ts }: Reading, known: LatestSlot): boolean {
  if (part === undefined) return false
  const other = known.reading.part
  if (!known.isStored && (other?.by !== part.by || other.windowMs !== part.windowMs)) return false
  return windowOf(ts, part) === windowOf(known.reading.ts, part)
}

/** Whether a reading of this time is the one of which a part is known. */
function isWithin(ts: number, { reading }: LatestSlot): boolean {
  return reading.part !== undefined && windowOf(ts, reading.part) === windowOf(reading.ts, reading.part)
}

/** What is replayed is gathered with nothing. */
function alone({ part: _part, ...reading }: Reading): Reading {
  return reading
}

const windowOf = (ts: number, { windowMs }: Part) => Math.floor(ts / windowMs)

const NOTHING_SENT: ReadonlyMap<string, Sent> = new Map()

/** Of two that were received at once, both ahead, the later by its own time is the last. */
function isBefore(at: number, reading: Reading, known: LatestSlot): boolean {
  return at < known.at || (at === known.at && reading.ts < known.reading.ts)
}

function newestOf(readings: readonly Reading[]): number {
  let newest = Number.NEGATIVE_INFINITY
  for (const { ts } of readings) if (ts > newest) newest = ts
  return newest
}

function textBytes(reading: Reading): number {
  let bytes = 0
  for (const value of Object.values(reading.values)) {
    if (typeof value === 'string') bytes += value.length
    else if (typeof value === 'object') bytes += value.length * NUMBER_BYTES
  }
  return bytes
}
