/**
 * Owns the interface of the durable, ordered log that is the spine of the platform. The broker appends; ingest and
 * gateway read. One implementation per backend (`local/` on LMDB, which is one shard); all pass `test/log/contract.ts`.
 *
 * Always true: an entry is readable only when it is durable; order is promised within a shard, so by device; a shard's
 * offsets are dense, so that `accepted = stored + dead-lettered + pending` can be checked at any instant.
 */

import type { Part } from '../platform/lifecycle.ts'
import type { Commands } from './commands.ts'
import type { DeadLetterPlace } from './dead-letter-place.ts'
import type { Batch, NewEntry, NewRun } from './entry.ts'
import type { Journal } from './journal.ts'
import type { LogError } from './log-error.ts'
import type { Members } from './members.ts'
import type { Offset } from './position.ts'
import type { Presence } from './presence.ts'
import type { Roles } from './roles.ts'

/** A message that was accepted and then set aside. */
export interface NewDeadLetter {
  readonly offset: Offset
  readonly device: string
  readonly stream: string
  /** When the broker received it, milliseconds since 1970-01-01T00:00Z. */
  readonly receivedAt: number
  readonly code: string
  readonly reason: string
  readonly payload: Uint8Array
  /** As its entry has it. */
  readonly framing?: number
  /** Its readings could be decoded, so live apps have had them: a replay must not send them again. */
  readonly decoded?: boolean
  /** It was set aside before, and counted as received then. Not kept. */
  readonly isReplay?: true
}

export interface DeadLetter extends NewDeadLetter {
  /** Its number: never given twice, rises with each dead letter of its shard, and says which shard that is; of a log with one shard from 1, by one. */
  readonly sequence: number
  /** When it was set aside, milliseconds. */
  readonly setAsideAt: number
}

/** Which dead letters are meant: those that fit all that is given. */
export interface DeadLetterFilter {
  readonly sequences?: readonly number[]
  readonly device?: string
  readonly stream?: string
  readonly code?: string
  /** Received at this time or later, and before that time; milliseconds. */
  readonly since?: number
  readonly until?: number
  /** Of any of these: of this device if one is named, and of this stream if one is. */
  readonly within?: readonly { readonly device?: string; readonly stream?: string }[]
}

export interface DeadLetterQuery extends DeadLetterFilter {
  /** Only those after this place. */
  readonly after?: DeadLetterPlace
  readonly limit: number
}

export interface DeadLetterLookBack extends Omit<DeadLetterFilter, 'sequences'> {
  /** Only those before this place. */
  readonly before?: DeadLetterPlace
  /** At least 1. */
  readonly limit: number
}

/** What one look through a part of the dead letters found. */
export interface DeadLetterLook {
  readonly found: readonly DeadLetter[]
  /** Where the next look begins; undefined when there are no more. */
  readonly next?: DeadLetterPlace
}

/** Dead letters of one device that are kept, with one code. */
export interface KeptOfCode {
  readonly device: string
  readonly code: string
  readonly count: number
  /** When the newest of these was set aside, milliseconds. */
  readonly lastAt: number
}

export interface KeptByCode {
  readonly kept: readonly KeptOfCode[]
  /** The device after which the next look goes on; undefined when there are no more. */
  readonly next?: string
}

/** What became of all that was ever set aside: `deadLettered = held + replayed + purged + expired`. */
export interface DeadLetterCounts {
  /** Kept, and the bytes they are counted as. */
  readonly held: number
  readonly heldBytes: number
  /** Appended to the log again: each is a new accepted message. */
  readonly replayed: number
  /** Removed by a person. */
  readonly purged: number
  /** Removed because the dead letters were full: the oldest of the device that has most. */
  readonly expired: number
}

/** What a device is to be told though no message of it was set aside. */
export interface NewNotice {
  readonly device: string
  readonly stream: string
  readonly code: string
  readonly message: string
}

export interface Notice extends NewNotice {
  /** When it was committed, milliseconds. */
  readonly at: number
}

/** What a reader has stored of one device. */
export interface DeviceProgress {
  readonly device: string
  /** Messages. */
  readonly stored: number
  readonly readings: number
  readonly superseded?: number
  readonly setAsideBefore?: number
  /** Of `stored`, those that were set aside before, and counted as received then. */
  readonly replayed?: number
  /** When the first and the last of these messages were received, milliseconds, within one hour of the clock (UTC): a device has several where they are of several. */
  readonly firstReceivedAt?: number
  readonly lastReceivedAt?: number
}

/** What a reader has done with the entries of a shard between its previous checkpoint and `next`. */
export interface Progress {
  /** Where the reader was; if it is not there any more, nothing is saved. Left out: where this process knows it to be. */
  readonly from?: Offset
  readonly next: Offset
  /** Messages whose every reading is in the store. */
  readonly stored: number
  /** Readings in the store: of those messages, and of such as were set aside since the store refused a part of them. */
  readonly readings: number
  /** Of these readings and of earlier ones: those replaced by another of their series and time, with other values. */
  readonly superseded?: number
  /** Messages set aside by this reader. */
  readonly deadLetters: readonly NewDeadLetter[]
  /** What devices are to be told, besides: once in a while, for only the newest are kept. */
  readonly notices?: readonly NewNotice[]
  /** Messages flagged `SET_ASIDE`: `stored + deadLetters.length + setAsideBefore` equals the entries passed. */
  readonly setAsideBefore?: number
  /** `stored`, `readings`, `superseded` and `setAsideBefore` by device: they must add up. A reader that leaves it out keeps no ledgers of devices. */
  readonly devices?: readonly DeviceProgress[]
}

/** Of all messages, of a shard's or of a device's, read in one snapshot. Messages, but for `readings` and `superseded`. */
export interface Ledger {
  readonly accepted: number
  readonly stored: number
  readonly deadLettered: number
  readonly pending: number
  /** `accepted = stored + deadLettered + pending` */
  readonly balanced: boolean
  readonly readings: number
  /** Readings that are in the store no more, as far as it is known: another of their series and time came, with other values. */
  readonly superseded: number
}

export interface DeviceLedger extends Ledger {
  readonly device: string
  /** When the oldest that is pending was received, to some milliseconds; absent if none is. Of one that is put through again, when it came first. */
  readonly pendingSince?: number
}

/** Messages of a device that were received within one hour, and what a reader has done with them. */
export interface DeviceHour {
  /** When it began, milliseconds. */
  readonly from: number
  readonly stored: number
  readonly setAside: number
}

/** When it was set aside, milliseconds; its stream, empty if that is not known; the beginning of its reason, and its framing, as its entry has it. */
export interface NewestOfCode {
  readonly lastAt: number
  readonly stream: string
  readonly reason: string
  readonly framing?: number
}

/**
 * How many messages of a device were ever set aside with this code, and the first time: milliseconds. They may be of several streams. The
 * newest is that of those that are held; of all, where none is.
 */
export interface DeadLettersOfCode extends NewestOfCode {
  readonly code: string
  readonly count: number
  /** Of `count`, those that nobody has replayed or purged. */
  readonly held: number
  readonly firstAt: number
  /** The newest of all, where that was replayed or purged and an older one is held. */
  readonly mended?: NewestOfCode
}

/** What a reader has done with a device's messages, and when they came. What is pending is not in it. Times in milliseconds. */
export interface DeviceReceipts {
  readonly stored: number
  readonly deadLettered: number
  readonly readings: number
  readonly superseded: number
  readonly firstReceivedAt?: number | undefined
  readonly lastReceivedAt?: number | undefined
  /** When the newest was received that is stored. */
  readonly lastStoredAt?: number | undefined
  /** When it was last seen that readings replaced one another. */
  readonly supersededAt?: number | undefined
  /** Of the last 48 hours and the one that goes on, oldest first; those without a message are left out. */
  readonly hours: readonly DeviceHour[]
  /** The newest code last. */
  readonly deadLetters: readonly DeadLettersOfCode[]
}

/** When something was done with an entry, milliseconds; or why that is not known any more, for a person. */
export type EntryTime = { readonly at: number } | { readonly unknown: string }

export interface EntryTimes {
  /** On disk. */
  readonly committed: EntryTime
  /** The checkpoint of ingest passed it: it was stored or set aside by then. Undefined as long as it has not. */
  readonly accounted: EntryTime | undefined
}

/** Why a message is set aside. */
export type SetAsideReason = Pick<NewDeadLetter, 'code' | 'reason'>

/** Takes messages. */
export interface Appends {
  /**
   * Appends one entry. `onDurable` is called once, in the order in which entries of its shard were appended: without an argument when the entry is on disk,
   * with a `LogError` when it was refused. Never throws for the world's faults.
   */
  append(entry: NewEntry, onDurable: (error?: LogError) => void): void
  /** Appends the entries of a run one behind the other, as `append` would; all are on disk, or all were refused. */
  appendRun(run: NewRun, onDurable: (error?: LogError) => void): void
  /**
   * Appends one entry and sets it aside, in one step: both are on disk, or neither. If there is room for the entry and none for a dead letter,
   * `isSetAside` is false: the entry is as any other then, and whoever reads it decides.
   * A log on streams has the reason go with the entry instead: its dead letter is made when ingest passes it, and it is pending until then.
   */
  appendSetAside(
    entry: NewEntry,
    why: SetAsideReason,
    onDurable: (error: LogError | undefined, isSetAside: boolean) => void,
  ): void
}

/** A part of the log with an order of its own. A device's messages are all in one shard. */
export interface Shard {
  /** The oldest retained entry's offset, and the one that the next entry will get. */
  first(): Promise<Offset>
  end(): Promise<Offset>
  /** A place before every entry received at `time` or later, milliseconds, and not long before the first of them. */
  at(time: number): Promise<Offset>

  /** The entries from `from` on, up to the limits of one read; undefined when there are none yet. */
  read(from: Offset): Promise<Batch | undefined>
  /** Every batch from `from` on, then new ones as they become durable, from whichever process, until `signal` aborts. */
  follow(from: Offset, signal: AbortSignal): AsyncIterable<Batch>

  /** Where the named reader continues; undefined if it never saved a checkpoint. */
  checkpoint(reader: string): Promise<Offset | undefined>
  /** Saves the reader's checkpoint, its counts and its dead letters in one transaction; resolves when that is durable. */
  advance(reader: string, progress: Progress): Promise<void>
  /**
   * Of the entries from `from` on and before `before`: those that ingest has set aside without decoding them, so that what they say comes
   * with their replay, or never. Not those of which it is not known any more, nor those that say it themselves (`SET_ASIDE`).
   */
  undecoded(from: Offset, before: Offset): Promise<ReadonlySet<Offset>>
  /** When the entry at `offset` was committed, and accounted for by ingest. Both are kept for the newest entries only. */
  timesOf(offset: Offset): Promise<EntryTimes>
  /** The ledger of this shard as kept for the named reader. */
  ledger(reader: string): Promise<Ledger>
}

/** What was appended, and what readers have done with it. */
export interface Shards {
  /** Part of every position's text; never changes, nor does the number of shards. */
  readonly id: string
  readonly shards: readonly Shard[]
  /** The ledger of all shards as kept for the named reader. */
  ledger(reader: string): Promise<Ledger>
  /**
   * The ledger of one device. What is pending is counted in the log, so this takes a while when much is; it is true of the
   * moment it was asked for. Rejects with `log-busy` when too many ask at once.
   */
  deviceLedger(reader: string, device: string): Promise<DeviceLedger>
  /** When a device's messages came, and what became of them before the reader's checkpoint; undefined while there are none. */
  deviceReceipts(reader: string, device: string): Promise<DeviceReceipts | undefined>
}

/** The messages that were set aside. */
export interface DeadLetterBox {
  /** In the order they were set aside; of several shards, those of one in its order, and all by when that was. */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]>
  deadLetter(sequence: number): Promise<DeadLetter | undefined>
  /** Those that were set aside last, the newest first. Looks at a part of bounded size: what it found may be few, and `next` says that there is more. */
  lookBack(query: DeadLetterLookBack): Promise<DeadLetterLook>
  /** How many are kept of each device by code, in order of device, after this one: of a bounded number of devices. */
  keptByCode(after: string): Promise<KeptByCode>
  /** Calls back soon after new dead letters were committed, from whichever process, until `signal` aborts. */
  followDeadLetters(after: DeadLetterPlace, signal: AbortSignal): AsyncIterable<DeadLetter>
  /** Behind all that there ever were. */
  lastDeadLetter(): Promise<DeadLetterPlace>
  /** The same snapshot as `ledger` would give now. */
  deadLetterCounts(): Promise<DeadLetterCounts>
  /**
   * Appends the dead letters that are there now and fit to the log again, as new entries flagged `REPLAYED`, and takes
   * them out, each in one transaction: however the process ends, it is in one place. Resolves with how many when that is
   * durable. Whichever process appends does it: rejects with `log-busy` when none has gone on with it for
   * `REPLAY_PATIENCE_MS`; the request then stays, and is carried out when one does.
   */
  replay(filter: DeadLetterFilter): Promise<number>
  /** Removes the dead letters that are there now and fit, for good; resolves with how many. The ledger does not change. */
  purge(filter: DeadLetterFilter): Promise<number>
}

/** What devices are to be told besides. */
export interface NoticeBoard {
  /** Those committed from now on, from whichever process, until `signal` aborts. */
  followNotices(signal: AbortSignal): AsyncIterable<Notice>
}

/** What one process does for all that share a log. */
export interface Claims {
  /** Whether this process has the claim of that name now: until it releases it or is gone, no other has. */
  claim(name: string): Promise<boolean>
  /** Gives up a claim that this process has. */
  release(name: string): Promise<void>
}

/** What is kept of the messages. */
export interface Extent {
  /** What they take on disk, and when retention or a refusal keeps it from growing. */
  readonly bytes: number
  readonly bytesMax: number
  /** When the oldest was received, about, milliseconds; undefined while there is none. */
  readonly oldestAt?: number
}

export interface Measured {
  extent(): Promise<Extent>
}

/** A log as whoever runs the process has it. */
export interface Log extends Appends, Shards, DeadLetterBox, NoticeBoard, Claims, Measured, Part {
  /** Rejects when nothing more may be written: the process has to end. */
  readonly failed: Promise<never>
  /** Why nothing can be appended now; undefined while there is room. */
  readonly full: LogError | undefined
  readonly presence: Presence
  readonly commands: Commands
  readonly journal: Journal
  readonly roles: Roles
  readonly members: Members
}

/** The reader whose checkpoint the ledger is kept for. */
export const INGEST_READER = 'ingest'
