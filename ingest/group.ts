/**
 * Owns a group: the entries of one shard that the workers are given at a time, made of whole batches of the log, and what
 * they report of it.
 */

import assert from 'node:assert/strict'
import type { Batch } from '../log/entry.ts'
import { REPLAYED, readEntry } from '../log/entry.ts'
import type { DeviceProgress, NewDeadLetter, NewNotice, Progress } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import { LOG_READ_ENTRIES_MAX } from '../platform/limits.ts'
import type { Source } from './source.ts'
import type { SupersededReadings } from './store.ts'
import type { GroupOutcome } from './worker-messages.ts'

/** Bytes of entries handed out as one group (always at least one batch of the log). */
const INGEST_GROUP_BYTES_MAX = 2 * 1024 * 1024

/** Batches of one shard that wait to become a group, each beginning where the one before it ends. */
export class GroupBuilder {
  readonly #shard: number
  readonly #entriesMax: number
  /** When it last became a group, by `performance.now`. */
  sealedAt = Number.NEGATIVE_INFINITY
  #batches: Batch[] = []
  #count = 0
  #byteLength = 0
  #isAccounted = false
  /** A batch did not fit. */
  #refused = false

  /** A group has at most `entriesMax` entries; a batch of the log must have no more. */
  constructor(shard: number, entriesMax: number) {
    this.#shard = shard
    assert(entriesMax >= LOG_READ_ENTRIES_MAX, 'a batch of the log must fit one group')
    this.#entriesMax = entriesMax
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** The next batch did not fit, or a usual one would not: there is nothing to wait for. */
  get isFull(): boolean {
    return this.#refused || this.#count >= this.#entriesMax / 2 || this.#byteLength >= INGEST_GROUP_BYTES_MAX / 2
  }

  /** False if the batch must wait for the next group. An empty one takes any batch. */
  add({ shard, batch, isAccounted }: Source): boolean {
    assert(shard === this.#shard, 'a group is of one shard')
    const last = this.#batches.at(-1)
    if (last !== undefined) {
      const follows = batch.firstOffset === last.next && isAccounted === this.#isAccounted
      const fits =
        this.#count + batch.count <= this.#entriesMax && this.#byteLength + batch.bytes.length <= INGEST_GROUP_BYTES_MAX
      if (!follows || !fits) {
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

  /**
   * Makes a group of what was added; `workers` will report on it. `checkpointAt` is given its shard and its end. Undefined
   * if there is nothing.
   */
  seal(sequence: number, workers: number, checkpointAt: (shard: number, next: Offset) => string): Group | undefined {
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
    const { firstOffset } = first
    const { next } = last
    const checkpoint = checkpointAt(this.#shard, next)
    const place = { shard: this.#shard, firstOffset, count: this.#count, next, checkpoint }
    const group = new Group({ sequence, bytes, ...place, isAccounted: this.#isAccounted }, workers)
    this.#batches = []
    this.#count = 0
    this.#byteLength = 0
    this.#refused = false
    this.sealedAt = performance.now()
    return group
  }
}

/** What a group is made of; what is reported of it comes later. */
type GroupParts = Pick<
  Group,
  'sequence' | 'bytes' | 'shard' | 'firstOffset' | 'count' | 'next' | 'checkpoint' | 'isAccounted'
>

export class Group {
  readonly sequence: number
  readonly bytes: SharedArrayBuffer
  readonly shard: number
  readonly firstOffset: Offset
  readonly count: number
  /** Where its shard goes on after it. */
  readonly next: Offset
  /** The text of the log's position after it: what an embedded store holds once it has written it. */
  readonly checkpoint: string
  /** The ledger has it already. */
  readonly isAccounted: boolean
  /** Workers that have not reported yet. */
  #missing: number
  #stored = 0
  #readings = 0
  #superseded = 0
  #setAsideBefore = 0
  readonly #deadLetters: NewDeadLetter[] = []
  readonly #devices: DeviceProgress[] = []
  readonly #notices: NewNotice[] = []

  constructor(parts: GroupParts, workers: number) {
    this.sequence = parts.sequence
    this.bytes = parts.bytes
    this.shard = parts.shard
    this.firstOffset = parts.firstOffset
    this.count = parts.count
    this.next = parts.next
    this.checkpoint = parts.checkpoint
    this.isAccounted = parts.isAccounted
    this.#missing = workers
  }

  get isDone(): boolean {
    return this.#missing === 0
  }

  /** One worker has no report on its share: it was not given it. */
  skip(): void {
    this.#missing--
  }

  /** Takes one worker's report on its share. */
  settle(outcome: GroupOutcome): void {
    this.#missing--
    this.#stored += outcome.stored
    this.#readings += outcome.readings
    this.#setAsideBefore += outcome.setAsideBefore
    for (const progress of outcome.devices) this.#devices.push(progress)
    for (const one of outcome.superseded) {
      this.#superseded += one.count
      this.#notices.push(noticeOf(one))
    }
    for (const remark of outcome.remarks) this.#notices.push(remark)
    const view = Buffer.from(this.bytes)
    for (const { at, ...setAside } of outcome.setAside) {
      const { flags, payload, ...entry } = readEntry(view, at, setAside.offset)
      const isReplay = (flags & REPLAYED) !== 0 && { isReplay: true as const }
      this.#deadLetters.push({ ...setAside, ...entry, ...isReplay, payload: Buffer.from(payload) })
    }
  }

  progress(): ShardProgress {
    const deadLetters = this.#deadLetters.sort((a, b) => a.offset - b.offset)
    const counts = { stored: this.#stored, readings: this.#readings, superseded: this.#superseded }
    const { shard, next } = this
    const setAsideBefore = this.#setAsideBefore
    return { shard, next, ...counts, setAsideBefore, deadLetters, devices: this.#devices, notices: this.#notices }
  }
}

function noticeOf({ device, stream, count, ts }: SupersededReadings): NewNotice {
  const time = new Date(ts).toISOString()
  const what = count === 1 ? `a reading of ${time} was` : `${count} readings, the newest of ${time}, were`
  const message = `${what} replaced by later ones with the same time and other values: give each a time of its own`
  return { device, stream, code: 'superseded', message }
}

export interface ShardProgress extends Progress {
  readonly shard: number
}

/** The progress of consecutive groups of one shard as one, for one durable step instead of several. */
export function joinProgress(all: readonly ShardProgress[]): ShardProgress | undefined {
  const last = all.at(-1)
  if (last === undefined) return undefined
  return {
    shard: last.shard,
    next: last.next,
    stored: all.reduce((sum, { stored }) => sum + stored, 0),
    readings: all.reduce((sum, { readings }) => sum + readings, 0),
    superseded: all.reduce((sum, { superseded = 0 }) => sum + superseded, 0),
    setAsideBefore: all.reduce((sum, { setAsideBefore = 0 }) => sum + setAsideBefore, 0),
    deadLetters: all.flatMap(({ deadLetters }) => deadLetters),
    notices: all.flatMap(({ notices }) => notices ?? []),
    // A device may be in it several times; whoever keeps the ledger adds up.
    devices: all.flatMap(({ devices }) => devices ?? []),
  }
}
