/**
 * Owns a group: the run of log entries that the workers are given at a time, made of whole batches of the log, and what
 * they report of it.
 */

import type { Batch } from '../log/entry.ts'
import { readEntry } from '../log/entry.ts'
import type { DeviceProgress, NewDeadLetter, Progress } from '../log/log.ts'
import type { Position } from '../log/position.ts'
import { INGEST_ENTRIES_PER_WRITE_MAX } from '../platform/limits.ts'
import type { Source } from './source.ts'
import type { GroupOutcome } from './worker-messages.ts'

/** Bytes of entries handed out as one group (always at least one batch of the log). */
const INGEST_GROUP_BYTES_MAX = 2 * 1024 * 1024

/** Batches of the log that wait to become a group. Offsets within are dense. */
export class GroupBuilder {
  readonly #entriesMax: number
  #batches: Batch[] = []
  #count = 0
  #byteLength = 0
  #isAccounted = false
  /** A batch did not fit. */
  #refused = false

  constructor(workers: number) {
    this.#entriesMax = INGEST_ENTRIES_PER_WRITE_MAX * workers
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** The next batch did not fit, or a usual one would not: there is nothing to wait for. */
  get isFull(): boolean {
    return this.#refused || this.#count >= this.#entriesMax / 2 || this.#byteLength >= INGEST_GROUP_BYTES_MAX / 2
  }

  /** False if the batch must wait for the next group. An empty one takes any batch. */
  add({ batch, isAccounted }: Source): boolean {
    const last = this.#batches.at(-1)
    if (last !== undefined) {
      const dense = batch.firstOffset === last.firstOffset + last.count && isAccounted === this.#isAccounted
      const fits =
        this.#count + batch.count <= this.#entriesMax && this.#byteLength + batch.bytes.length <= INGEST_GROUP_BYTES_MAX
      if (!dense || !fits) {
        this.#refused = true
        return false
      }
    }
    this.#isAccounted = isAccounted
    this.#batches.push(batch)
    this.#count += batch.count
    this.#byteLength += batch.bytes.length
    return true
  }

  /** Makes a group of what was added; `workers` will report on it. Undefined if there is nothing. */
  seal(sequence: number, workers: number): Group | undefined {
    const [first] = this.#batches
    const last = this.#batches.at(-1)
    if (first === undefined || last === undefined) return undefined
    const bytes = new SharedArrayBuffer(this.#byteLength)
    const view = Buffer.from(bytes)
    let at = 0
    for (const batch of this.#batches) {
      view.set(batch.bytes, at)
      at += batch.bytes.length
    }
    const parts = { sequence, bytes, firstOffset: first.firstOffset, count: this.#count, next: last.next }
    const group = new Group({ ...parts, isAccounted: this.#isAccounted }, workers)
    this.#batches = []
    this.#count = 0
    this.#byteLength = 0
    this.#refused = false
    return group
  }
}

/** What a group is made of; what is reported of it comes later. */
type GroupParts = Pick<Group, 'sequence' | 'bytes' | 'firstOffset' | 'count' | 'next' | 'isAccounted'>

export class Group {
  readonly sequence: number
  readonly bytes: SharedArrayBuffer
  readonly firstOffset: number
  readonly count: number
  /** The log's position after it. */
  readonly next: Position
  /** The books have it already. */
  readonly isAccounted: boolean
  /** Workers that have not reported yet. */
  #missing: number
  #stored = 0
  #readings = 0
  readonly #deadLetters: NewDeadLetter[] = []
  readonly #devices: DeviceProgress[] = []

  constructor(parts: GroupParts, workers: number) {
    this.sequence = parts.sequence
    this.bytes = parts.bytes
    this.firstOffset = parts.firstOffset
    this.count = parts.count
    this.next = parts.next
    this.isAccounted = parts.isAccounted
    this.#missing = workers
  }

  get isDone(): boolean {
    return this.#missing === 0
  }

  /** Takes one worker's report on its share. */
  settle(outcome: GroupOutcome): void {
    this.#missing--
    this.#stored += outcome.stored
    this.#readings += outcome.readings
    for (const progress of outcome.devices) this.#devices.push(progress)
    const view = Buffer.from(this.bytes)
    for (const { at, ...setAside } of outcome.setAside) {
      const { device, stream, receivedAt, payload } = readEntry(view, at, setAside.offset)
      this.#deadLetters.push({ ...setAside, device, stream, receivedAt, payload: Buffer.from(payload) })
    }
  }

  progress(): Progress {
    const deadLetters = this.#deadLetters.sort((a, b) => a.offset - b.offset)
    return { next: this.next, stored: this.#stored, readings: this.#readings, deadLetters, devices: this.#devices }
  }
}

/** The progress of consecutive groups as one, for one durable step instead of several. */
export function joinProgress(all: readonly Progress[]): Progress | undefined {
  const last = all.at(-1)
  if (last === undefined) return undefined
  return {
    next: last.next,
    stored: all.reduce((sum, { stored }) => sum + stored, 0),
    readings: all.reduce((sum, { readings }) => sum + readings, 0),
    deadLetters: all.flatMap(({ deadLetters }) => deadLetters),
    // A device may be in it several times; whoever keeps the books adds up.
    devices: all.flatMap(({ devices }) => devices ?? []),
  }
}
