/**
 * Owns the dead letters of a local log: kept in the order they were set aside, found by what a person asks for, removed by
 * a replay, a purge, or for room.
 *
 * Always true, in every snapshot: `last = held + replayed + purged + expired`, since these counts change in the transaction
 * that changes the letters; a sequence is never given twice.
 * Bound: `max` letters and `maxBytes`. When full, the oldest of the device that has most bytes of them go and are counted as expired;
 * the ledger's counts stay.
 */

import type { RootDatabase } from 'lmdb'
import type { Clock } from '../../platform/clock.ts'
import { DEAD_LETTER_LOOKS_MAX, LOG_COMMIT_BYTES_MAX } from '../../platform/limits.ts'
import type {
  DeadLetter,
  DeadLetterCounts,
  DeadLetterFilter,
  DeadLetterLookBack,
  DeadLetterQuery,
  NewDeadLetter,
} from '../log.ts'
import { DeadLetterCodes } from './dead-letter-codes.ts'
import { DeadLetterShares, type Share } from './dead-letter-shares.ts'
import type { Environment } from './environment.ts'
import { readLetter, writeLetter } from './letter.ts'

/** What a dead letter is counted as beside its payload, names and reason: keys of its record, and the page it is on. */
const DEAD_LETTER_OVERHEAD_BYTES = 256

export interface DeadLetterBounds {
  readonly max: number
  readonly maxBytes: number
}

interface KeptCounts extends DeadLetterCounts {
  /** The newest sequence ever given; 0 for none. */
  readonly last: number
  /** `last` and `held` when the shares were last brought up to date: others now mean that a version without shares was here since. */
  readonly shared?: { readonly last: number; readonly held: number }
}

/** A part of the dead letters that was looked through. */
export interface Look {
  readonly found: readonly DeadLetter[]
  /** The last sequence looked at: the next look starts after it. */
  readonly next: number
}

type Removal = 'replayed' | 'purged' | 'expired'

const COUNTS = 'dead-letters'
const EMPTY: KeptCounts = {
  last: 0,
  held: 0,
  heldBytes: 0,
  replayed: 0,
  purged: 0,
  expired: 0,
  shared: { last: 0, held: 0 },
}

/** Of the one shard: a place is a number. */
type FromNumber = Omit<DeadLetterQuery, 'after'> & { readonly after: number }
type BackFromNumber = Omit<DeadLetterLookBack, 'before'> & { readonly before: number }

interface LookedBack {
  readonly found: readonly DeadLetter[]
  readonly next?: number
}

export class DeadLetters {
  readonly #root: RootDatabase
  readonly #durable: Environment['durable']
  readonly #letters: Environment['deadLetters']
  readonly #meta: Environment['meta']
  readonly #bounds: DeadLetterBounds
  readonly #clock: Clock
  readonly #shares: DeadLetterShares
  readonly codes: DeadLetterCodes

  constructor(environment: Environment, bounds: DeadLetterBounds, clock: Clock) {
    const { root, deadLetters, meta, durable } = environment
    this.#shares = new DeadLetterShares(environment)
    this.codes = new DeadLetterCodes(environment)
    this.#root = root
    this.#durable = durable
    this.#letters = deadLetters
    this.#meta = meta
    this.#bounds = bounds
    this.#clock = clock
  }

  counts(): DeadLetterCounts {
    const { last: _last, shared: _shared, ...counts } = this.#kept()
    return counts
  }

  last(): number {
    return this.#kept().last
  }

  get(sequence: number): DeadLetter | undefined {
    const bytes = this.#letters.get(sequence)
    return bytes && readLetter(sequence, bytes)
  }

  find({ after, limit, ...filter }: FromNumber): DeadLetter[] {
    const found: DeadLetter[] = []
    for (const letter of this.#from(filter, after)) {
      if (matches(letter, filter)) found.push(letter)
      if (found.length >= limit) break
    }
    return found
  }

  /** Looks through those after `after` up to `upTo`: at most `DEAD_LETTER_LOOKS_MAX`, and about a commit's bytes found. */
  look(filter: DeadLetterFilter, after: number, upTo: number): Look {
    const found: DeadLetter[] = []
    let looked = 0
    let bytes = 0
    for (const letter of this.#from(filter, after)) {
      if (letter.sequence > upTo) break
      if (looked === DEAD_LETTER_LOOKS_MAX || bytes >= LOG_COMMIT_BYTES_MAX) return { found, next: letter.sequence - 1 }
      looked++
      if (!matches(letter, filter)) continue
      found.push(letter)
      bytes += letter.payload.byteLength
    }
    return { found, next: upTo }
  }

  /** Looks at `DEAD_LETTER_LOOKS_MAX` at most, and about a commit's bytes of them. */
  lookBack({ before, limit, ...filter }: BackFromNumber): LookedBack {
    const found: DeadLetter[] = []
    let looked = 0
    let bytes = 0
    for (const letter of this.#back(filter, before)) {
      const isEnough = found.length >= limit || looked === DEAD_LETTER_LOOKS_MAX || bytes >= LOG_COMMIT_BYTES_MAX
      if (isEnough) return { found, next: letter.sequence + 1 }
      looked++
      bytes += letter.payload.byteLength
      if (matches(letter, filter)) found.push(letter)
    }
    return { found }
  }

  /** Only within a transaction. Returns how many old ones had to go. */
  setAside(letters: readonly NewDeadLetter[]): number {
    if (letters.length === 0) return 0
    const setAsideAt = this.#clock.now()
    const kept = this.#kept()
    let { last, held, heldBytes } = kept
    const shares: Share[] = []
    for (const letter of letters) {
      last++
      held++
      const bytes = sizeOf(letter)
      heldBytes += bytes
      this.#letters.put(last, writeLetter(letter, setAsideAt))
      shares.push({ device: letter.device, sequence: last, bytes })
    }
    const shared = isShared(kept) && { shared: { last, held } }
    if (shared) this.#shares.add(shares)
    this.codes.add(letters, setAsideAt)
    this.#meta.put(COUNTS, { ...kept, last, held, heldBytes, ...shared } satisfies KeptCounts)
    return this.#expire()
  }

  /** Only within a transaction, for letters read in it. */
  remove(letters: readonly DeadLetter[], as: Removal): void {
    if (letters.length === 0) return
    const kept = this.#kept()
    let bytes = 0
    for (const letter of letters) {
      this.#letters.remove(letter.sequence)
      bytes += sizeOf(letter)
    }
    const held = kept.held - letters.length
    // A damaged letter may count as more than it was set aside with.
    const heldBytes = held === 0 ? 0 : Math.max(0, kept.heldBytes - bytes)
    const shared = isShared(kept) && { shared: { last: kept.last, held } }
    if (shared) this.#shares.remove(letters)
    this.codes.remove(letters, as !== 'expired', (device, code) => this.#newest(device, code))
    this.#meta.put(COUNTS, {
      ...kept,
      held,
      heldBytes,
      ...shared,
      [as]: kept[as] + letters.length,
    } satisfies KeptCounts)
  }

  async purge(filter: DeadLetterFilter): Promise<number> {
    const upTo = this.last()
    let purged = 0
    for (let after = 0; after < upTo; ) {
      const { count, next } = await this.#durable(this.#root.transaction(() => this.purgeNow(filter, after, upTo)))
      purged += count
      after = next
    }
    return purged
  }

  /** Only within a transaction: one look's worth. */
  purgeNow(filter: DeadLetterFilter, after: number, upTo: number): { readonly count: number; readonly next: number } {
    const { found, next } = this.look(filter, after, upTo)
    this.remove(found, 'purged')
    return { count: found.length, next }
  }

  #expire(): number {
    const { held, heldBytes } = this.#kept()
    const { max, maxBytes } = this.#bounds
    let bytes = heldBytes
    const oldest: DeadLetter[] = []
    const isOver = () => held - oldest.length > max || bytes > maxBytes
    // The oldest may be large: none is read that need not go.
    if (!isOver()) return 0
    if (!isShared(this.#kept())) this.#share()
    while (isOver()) {
      const sequence = this.#shares.takeOldestOfLargest()
      if (sequence === undefined) break
      const letter = this.get(sequence)
      if (letter === undefined) continue
      oldest.push(letter)
      bytes -= sizeOf(letter)
    }
    this.remove(oldest, 'expired')
    return oldest.length
  }

  /** As far back as one look goes; of what is found, no letter is read besides. */
  #newest(device: string, code: string): DeadLetter | undefined {
    let looked = 0
    let bytes = 0
    for (const letter of this.#back({ device }, Number.MAX_SAFE_INTEGER)) {
      if (letter.device === device && letter.code === code) return letter
      bytes += letter.payload.byteLength
      if (++looked === DEAD_LETTER_LOOKS_MAX || bytes >= LOG_COMMIT_BYTES_MAX) return undefined
    }
    return undefined
  }

  /** Once, when they are full for the first time after a version that kept no shares. */
  #share(): void {
    this.#shares.clear()
    const shares: Share[] = []
    for (const letter of this.#from({}, 0)) {
      shares.push({ device: letter.device, sequence: letter.sequence, bytes: sizeOf(letter) })
    }
    this.#shares.add(shares)
    const kept = this.#kept()
    this.#meta.put(COUNTS, { ...kept, shared: { last: kept.last, held: kept.held } } satisfies KeptCounts)
  }

  /** Those after `after` in order; only the ones named, if any are. */
  *#from({ sequences }: DeadLetterFilter, after: number): Iterable<DeadLetter> {
    if (sequences === undefined) {
      for (const { key, value } of this.#letters.getRange({ start: after + 1 })) {
        yield readLetter(key, value)
      }
      return
    }
    for (const sequence of [...new Set(sequences)].sort((a, b) => a - b)) {
      const letter = sequence > after ? this.get(sequence) : undefined
      if (letter !== undefined) yield letter
    }
  }

  /** Those before `before`, the newest first; of one device only its own are read, if shares are kept. */
  *#back({ device }: DeadLetterFilter, before: number): Iterable<DeadLetter> {
    if (device === undefined || !isShared(this.#kept())) {
      for (const { key, value } of this.#letters.getRange({ start: before - 1, reverse: true })) {
        yield readLetter(key, value)
      }
      return
    }
    for (const sequence of this.#shares.backOf(device, before)) {
      const letter = this.get(sequence)
      if (letter !== undefined) yield letter
    }
  }

  /** Counted once from the letters themselves, where an earlier version kept no counts. */
  #kept(): KeptCounts {
    const counts = this.#meta.get(COUNTS) as KeptCounts | undefined
    if (counts !== undefined) return counts
    let { last, held, heldBytes } = EMPTY
    for (const letter of this.#from({}, 0)) {
      last = letter.sequence
      held++
      heldBytes += sizeOf(letter)
    }
    const { shared, ...nothing } = EMPTY
    return { ...nothing, last, held, heldBytes, ...(last === 0 && { shared }) }
  }
}

const isShared = ({ last, held, shared }: KeptCounts) => shared?.last === last && shared.held === held

/** What they are counted as. */
export function bytesOfLetters(letters: readonly NewDeadLetter[]): number {
  return letters.reduce((bytes, letter) => bytes + sizeOf(letter), 0)
}

function sizeOf({ payload, device, stream, code, reason }: NewDeadLetter): number {
  return payload.byteLength + device.length + stream.length + code.length + reason.length + DEAD_LETTER_OVERHEAD_BYTES
}

function matches(letter: DeadLetter, { device, stream, code, since, until, within }: DeadLetterFilter): boolean {
  return (
    (within === undefined || within.some((part) => isOf(letter, part))) &&
    (device === undefined || letter.device === device) &&
    (stream === undefined || letter.stream === stream) &&
    (code === undefined || letter.code === code) &&
    (since === undefined || letter.receivedAt >= since) &&
    (until === undefined || letter.receivedAt < until)
  )
}

function isOf(letter: DeadLetter, { device, stream }: { readonly device?: string; readonly stream?: string }): boolean {
  return (device === undefined || letter.device === device) && (stream === undefined || letter.stream === stream)
}
