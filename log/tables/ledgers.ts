/**
 * Owns the ledgers of a local log's readers: checkpoint and counts, of the installation and of each device, changed in
 * one transaction with the dead letters.
 *
 * Always true: for the reader named, `next = stored + deadLettered`, because `advance` refuses (by assertion: it would
 * be our mistake) a progress whose counts do not add up to the entries it passes, or whose devices do not add up to its
 * counts. A checkpoint never goes back. What was set aside when it was appended counts as dead-lettered at once, and not as pending: how
 * much of that lies past the checkpoint of ingest is kept beside the ledger, and changes with it.
 * Bound: what `DeviceRecords` keeps of each device that was ever stored or set aside. Bringing one up to date takes 3 to 4 us, once
 * for each device that a progress names.
 */

import assert from 'node:assert/strict'
import type { Clock } from '../../platform/clock.ts'
import { INGEST_READER, type Ledger, type NewDeadLetter, type Progress } from '../log.ts'
import { LogError } from '../log-error.ts'
import { CheckpointTimes } from './checkpoint-times.ts'
import type { DeadLetters } from './dead-letters.ts'
import { addReceipts, DeviceRecords, nothingOf, type OfDevice } from './device-records.ts'
import type { Environment } from './environment.ts'
import type { Notices } from './notices.ts'
import { Undecoded } from './undecoded.ts'

/** Of one reader. */
interface Kept {
  /** Offset of the next entry to read. */
  readonly next: number
  readonly stored: number
  readonly deadLettered: number
  readonly readings: number
  /** Not in the record of an earlier version. */
  readonly superseded?: number
}

/** Entries past the checkpoint of ingest that were set aside when they were appended. */
interface Ahead {
  readonly count: number
  /** The checkpoint it was counted at. Another now means that a version was here that knows nothing of it. */
  readonly from: number
}

const AHEAD = 'set-aside-ahead'

const NOTHING_KEPT: Kept = { next: 0, stored: 0, deadLettered: 0, readings: 0 }

export type Advance = Omit<Progress, 'from' | 'next'> & { readonly from?: number; readonly next: number }

export class Ledgers {
  readonly #environment: Environment
  readonly #deadLetters: DeadLetters
  readonly #notices: Notices
  readonly records: DeviceRecords
  readonly undecoded: Undecoded
  readonly times: CheckpointTimes
  readonly #clock: Clock
  /** Where the log ends. */
  readonly #end: () => number

  /** Where this process found and left each reader's checkpoint: nobody else may move it. */
  readonly #left = new Map<string, number>()

  constructor(
    environment: Environment,
    deadLetters: DeadLetters,
    notices: Notices,
    { clock, end }: { readonly clock: Clock; readonly end: () => number },
  ) {
    this.records = new DeviceRecords(environment)
    this.undecoded = new Undecoded(environment)
    this.times = new CheckpointTimes(environment)
    this.#clock = clock
    this.#end = end
    this.#environment = environment
    this.#deadLetters = deadLetters
    this.#notices = notices
  }

  /** Offset of the reader's next entry; undefined if it never advanced. */
  checkpoint(reader: string): number | undefined {
    const next = this.#kept(reader)?.next
    if (!this.#left.has(reader)) this.#left.set(reader, next ?? NOTHING_KEPT.next)
    return next
  }

  /**
   * Resolves with how many dead letters had to go for the new ones. Rejects with `log-locked` when another process has
   * moved the reader's checkpoint.
   */
  async advance(reader: string, progress: Advance): Promise<number> {
    const devices = byDevice(progress)
    let expired = 0
    await this.#environment.root.transaction(() => {
      const next = this.next(reader)
      const left = progress.from ?? this.#left.get(reader) ?? next
      if (next !== left) throw new LogError('log-locked', movedBy(reader, next, left))
      expired = this.pass(reader, progress, devices)
    })
    this.#left.set(reader, progress.next)
    return expired
  }

  /** Where the reader is, 0 if it never advanced; this process need not be it. */
  next(reader: string): number {
    return (this.#kept(reader) ?? NOTHING_KEPT).next
  }

  /** Only within a transaction. Returns how many dead letters had to go. */
  pass(reader: string, progress: Advance, devices = byDevice(progress)): number {
    const kept = this.#kept(reader) ?? NOTHING_KEPT
    const passed = progress.next - kept.next
    assert(passed >= 0, `the checkpoint of ${reader} would go back from ${kept.next} to ${progress.next}`)
    const { setAsideBefore = 0 } = progress
    const accounted = progress.stored + progress.deadLetters.length + setAsideBefore
    assert.equal(accounted, passed, `${reader} passes ${passed} entries and ledgers for ${accounted}`)
    const expired = this.#deadLetters.setAside(progress.deadLetters)
    if (progress.notices !== undefined) this.#notices.add(progress.notices)
    const now = this.#clock.now()
    for (const [device, more] of devices) this.records.add(reader, device, more, now)
    if (reader === INGEST_READER) {
      this.undecoded.add(kept.next, progress.next, progress.deadLetters)
      this.times.add(kept.next, progress.next, now)
      this.#moveAhead(kept.next, progress.next, -setAsideBefore)
    }
    this.#environment.ledgers.put(reader, {
      next: progress.next,
      stored: kept.stored + progress.stored,
      deadLettered: kept.deadLettered + progress.deadLetters.length + setAsideBefore,
      readings: kept.readings + progress.readings,
      superseded: (kept.superseded ?? 0) + (progress.superseded ?? 0),
    } satisfies Kept)
    return expired
  }

  /** Sets aside entries that are being appended, only within the transaction that does. Returns how many old letters had to go. */
  setAside(letters: readonly NewDeadLetter[]): number {
    const { next } = this.#kept(INGEST_READER) ?? NOTHING_KEPT
    this.#moveAhead(next, next, letters.length)
    return this.#deadLetters.setAside(letters)
  }

  /** The ledger against `accepted`, the log's end in the same snapshot. */
  ledger(reader: string, accepted: number): Ledger {
    const kept = this.#kept(reader) ?? NOTHING_KEPT
    const { stored, readings, superseded = 0 } = kept
    const ahead = reader === INGEST_READER ? Math.min(this.#ahead(kept.next), accepted - kept.next) : 0
    const deadLettered = kept.deadLettered + ahead
    const pending = accepted - kept.next - ahead
    const balanced = accepted === stored + deadLettered + pending
    return { accepted, stored, deadLettered, pending, balanced, readings, superseded }
  }

  #ahead(next: number): number {
    const ahead = this.#environment.meta.get(AHEAD) as Ahead | undefined
    return ahead?.from === next ? ahead.count : 0
  }

  /** Only within a transaction. */
  #moveAhead(from: number, to: number, by: number): void {
    const { meta } = this.#environment
    if (by === 0 && meta.get(AHEAD) === undefined) return
    const all = this.#ahead(from) + by
    // What the disk gave back changed passes as that, and is not subtracted: where nothing is left it is forgotten.
    const count = by > 0 ? all : Math.max(0, Math.min(all, this.#end() - to))
    if (count === 0) meta.remove(AHEAD)
    else meta.put(AHEAD, { count, from: to } satisfies Ahead)
  }

  #kept(reader: string): Kept | undefined {
    return this.#environment.ledgers.get(reader) as Kept | undefined
  }
}

function movedBy(reader: string, next: number, left: number): string {
  return (
    `the checkpoint of ${reader} is at ${next}, and this process left it at ${left}: another process is the same reader ` +
    'of this log; one of the two has to stop'
  )
}

function byDevice(progress: Advance): Map<string, OfDevice> {
  const { devices, deadLetters, stored, readings, superseded = 0, setAsideBefore = 0 } = progress
  const all = new Map<string, OfDevice>()
  if (devices === undefined) return all
  const of = (device: string) => {
    const known = all.get(device) ?? nothingOf()
    all.set(device, known)
    return known
  }
  let storedOfAll = 0
  let readingsOfAll = 0
  let supersededOfAll = 0
  let setAsideOfAll = 0
  for (const part of devices) {
    const more = of(part.device)
    const before = part.setAsideBefore ?? 0
    more.stored += part.stored
    more.readings += part.readings
    more.superseded += part.superseded ?? 0
    more.deadLettered += before
    const { firstReceivedAt: first, lastReceivedAt: last } = part
    if (first !== undefined && last !== undefined) addReceipts(more, first, last, part.stored, before, part.replayed)
    setAsideOfAll += before
    storedOfAll += part.stored
    readingsOfAll += part.readings
    supersededOfAll += part.superseded ?? 0
  }
  const ofAll = [storedOfAll, readingsOfAll, supersededOfAll, setAsideOfAll]
  assert.deepEqual(
    ofAll,
    [stored, readings, superseded, setAsideBefore],
    'the devices of a progress add up to its counts',
  )
  for (const { device, receivedAt, isReplay } of deadLetters) {
    const more = of(device)
    more.deadLettered++
    if (!isReplay) addReceipts(more, receivedAt, receivedAt, 0, 1)
  }
  return all
}
