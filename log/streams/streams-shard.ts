/**
 * Owns one shard of a log on streams: its messages, which the engine has, and its ledger, which the replica has.
 *
 * Always true: what is read is durable; a reader's progress counts only from where the reader really is, whoever else believes to be it. Who follows
 * at the end has what one loop reads for all of this process (`Tail`). Entries that this process appended are flagged `OWN` for who follows.
 */

import { LOG_READ_BYTES_MAX, LOG_READ_ENTRIES_MAX, PAYLOAD_BYTES_MAX } from '../../platform/limits.ts'
import { type Batch, DAMAGED, entryBytes, OWN, SET_ASIDE, writeEntry } from '../entry.ts'
import { type EntryTimes, INGEST_READER, type Ledger, type NewDeadLetter, type Progress, type Shard } from '../log.ts'
import { LogError } from '../log-error.ts'
import type { Offset } from '../position.ts'
import type { Books } from './books.ts'
import { entryEndOf, readMessage, TRAILER_BYTES, writerOf } from './message.ts'
import type { Reachability } from './reachability.ts'
import type { Replica } from './replica.ts'
import type { ReadLimits, Stream, StreamRecord } from './streams.ts'
import { Tail } from './tail.ts'

const NOT_WAITING: ReadLimits = { bytesMax: LOG_READ_BYTES_MAX, recordsMax: LOG_READ_ENTRIES_MAX, waitMs: 0 }

export interface StreamsShardDependencies {
  readonly stream: Stream
  readonly books: Books
  readonly replica: Replica
  readonly reachability: Reachability
  /** The number that stands for this process in what it appends. */
  readonly writer: number
  /** Bytes of dead letters kept of this shard. */
  readonly deadLetterBytesMax: number
}

export class StreamsShard implements Shard {
  readonly #deps: StreamsShardDependencies
  readonly #tail: Tail

  constructor(deps: StreamsShardDependencies) {
    const { stream, reachability } = deps
    this.#deps = deps
    this.#tail = new Tail({
      end: () => stream.end(),
      read: async (from, limits) => this.#batch(from, await stream.read(from, limits), true),
      reachability,
    })
  }

  async first(): Promise<Offset> {
    return (await this.#deps.stream.first()) as Offset
  }

  async end(): Promise<Offset> {
    return (await this.#deps.stream.end()) as Offset
  }

  async at(time: number): Promise<Offset> {
    return (await this.#deps.stream.at(time)) as Offset
  }

  async read(from: Offset): Promise<Batch | undefined> {
    return this.#batch(from, await this.#deps.stream.read(from, NOT_WAITING), false)
  }

  follow(from: Offset, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#tail.follow(from, signal)
  }

  /** As the books have it now: of what another process has just passed as well. */
  async checkpoint(reader: string): Promise<Offset | undefined> {
    const { books, replica } = this.#deps
    await books.catchUp()
    return replica.ledgers.checkpoint(reader) as Offset | undefined
  }

  async advance(reader: string, { deadLetters, ...progress }: Progress): Promise<void> {
    const { books, replica, deadLetterBytesMax: bytesMax } = this.#deps
    const from = progress.from ?? replica.ledgers.next(reader)
    const beside = reader === INGEST_READER ? await this.#beside(from, { deadLetters, ...progress }) : NOTHING_BESIDE
    const letters = deadLetters.map((letter) => books.tell({ kind: 'letter', letter }))
    const lettersBefore = beside.letters.map((letter) => books.tell({ kind: 'letter', letter }))
    const { replayed } = beside
    const isSo = await books.ask({ kind: 'pass', reader, from, progress, letters, lettersBefore, replayed, bytesMax })
    if (isSo === true) return
    throw new LogError(
      'log-passed',
      `${reader} was not at ${from} any more, so what it did up to ${progress.next} is not counted: another process has gone on with it`,
    )
  }

  async undecoded(from: Offset, before: Offset): Promise<ReadonlySet<Offset>> {
    return this.#refreshed().ledgers.undecoded.within(from, before)
  }

  async timesOf(offset: Offset): Promise<EntryTimes> {
    const [record] = await this.#deps.stream.read(offset, { ...NOT_WAITING, recordsMax: 1 })
    const { ledgers } = this.#refreshed()
    const isKept = record !== undefined && record.offset === offset
    const committed = isKept ? { at: record.at } : { unknown: 'the log does not hold it any more' }
    return { committed, accounted: offset < ledgers.next(INGEST_READER) ? ledgers.times.of(offset) : undefined }
  }

  async ledger(reader: string): Promise<Ledger> {
    const { ledgers } = this.#refreshed()
    // Of one instant; where the stream ends is asked after it, so what was passed is in it.
    const passed = ledgers.ledger(reader, ledgers.next(reader))
    const accepted = await this.#deps.stream.end()
    const pending = accepted - passed.accepted
    return { ...passed, accepted, pending, balanced: accepted === passed.stored + passed.deadLettered + pending }
  }

  close(): void {
    this.#tail.close()
  }

  #refreshed(): Replica {
    this.#deps.replica.environment.root.resetReadTxn()
    return this.#deps.replica
  }

  /** What of the messages that are passed stands in the log only: why they were to be set aside, and which dead letters they were. */
  async #beside(from: number, progress: Progress): Promise<Beside> {
    const isBefore = (progress.setAsideBefore ?? 0) > 0
    const isReplayed = progress.deadLetters.some((letter) => letter.isReplay)
    if (!isBefore && !isReplayed && !progress.devices?.some(({ replayed = 0 }) => replayed > 0)) return NOTHING_BESIDE
    const letters: NewDeadLetter[] = []
    const replayed: number[] = []
    for (let at = from; at < progress.next; ) {
      const records = await this.#deps.stream.read(at, NOT_WAITING)
      if (records.length === 0) break
      for (const { offset, value } of records) {
        at = offset + 1
        if (offset >= progress.next || !isWhole(value)) continue
        const { entry, letter = 0, setAside } = readMessage(value, offset as Offset)
        if (letter > 0) replayed.push(letter)
        if ((entry.flags & SET_ASIDE) === 0 || setAside === undefined) continue
        const { device, stream, receivedAt, payload, framing = 0 } = entry
        letters.push({ offset: entry.offset, device, stream, receivedAt, payload, framing, ...setAside })
      }
    }
    return { letters, replayed }
  }

  #batch(from: Offset, records: readonly StreamRecord[], flagsOwn: boolean): Batch | undefined {
    const [first] = records
    if (first === undefined) return undefined
    const values = records.map((record) => (isWhole(record.value) ? record.value : damaged(record)))
    const ends = values.map((value) => entryEndOf(value))
    const bytes = Buffer.allocUnsafeSlow(ends.reduce((sum, end) => sum + end, 0))
    let at = 0
    for (const [index, value] of values.entries()) {
      const end = ends[index] as number
      value.copy(bytes, at, 0, end)
      if (flagsOwn && writerOf(value, end) === this.#deps.writer) bytes[at + 4] = (bytes[at + 4] ?? 0) | OWN
      at += end
    }
    const next = (first.offset + records.length) as Offset
    return { firstOffset: first.offset as Offset, count: records.length, bytes, next, missed: first.offset - from }
  }
}

interface Beside {
  readonly letters: readonly NewDeadLetter[]
  readonly replayed: readonly number[]
}

const NOTHING_BESIDE: Beside = { letters: [], replayed: [] }

function isWhole(value: Buffer): boolean {
  try {
    entryEndOf(value)
    return true
  } catch {
    return false
  }
}

/** What somebody else has put into the stream, or a disk has changed: a message that is set aside as that. */
function damaged({ at, value }: StreamRecord): Buffer {
  const payload = value.subarray(0, PAYLOAD_BYTES_MAX)
  const entry = { device: '', stream: '', receivedAt: at, flags: DAMAGED, payload }
  const bytes = Buffer.alloc(entryBytes(entry) + TRAILER_BYTES)
  writeEntry(bytes, 0, entry)
  return bytes
}
