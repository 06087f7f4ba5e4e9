/**
 * Owns the journal: what was seen of each device beside its messages, and of the platform as far as it concerns them all. It is what
 * answers why a device has no data, so it is kept where the messages are, and outlives the process that saw it.
 *
 * Always true: nobody waits for it. What is noted is readable, in any process, after `JOURNAL_INTERVAL_MS` at most. Losing: what was
 * noted in that time before a kill -9, and while the log has no room.
 */

/** At most so long after it was noted an event is on disk, while the disk keeps up. */
export const JOURNAL_INTERVAL_MS = 250

export type JournalKind =
  /** Let in. */
  | 'connected'
  /** A connection that was let in has ended; the code says why. */
  | 'disconnected'
  /** Its messages come over a bridge from another broker, which knows of its connection. */
  | 'bridged'
  /** Not let in. */
  | 'refused'
  /** A message was acknowledged and dropped. */
  | 'dropped'
  /** Read from more slowly, for it sends more than it may. */
  | 'slowed'
  /** Of the platform: something began to be so, or is over. The code says what. */
  | 'began'
  | 'ended'

export interface NewJournalEvent {
  readonly kind: JournalKind
  /** What a program can tell it by: of a closed list for each kind. */
  readonly code: string
  /** In words. */
  readonly text: string
  /** The address that it came from. */
  readonly from?: string
}

/** One event, or equal ones in a row. Times in milliseconds. */
export interface JournalEvent extends NewJournalEvent {
  readonly firstAt: number
  /** When it was last. */
  readonly at: number
  readonly count: number
}

export interface JournalOf {
  /** The newest, in the order they happened. */
  readonly events: readonly JournalEvent[]
  /** All that ever happened, by kind and code: the last of each, when the first was, and how many there were. */
  readonly totals: readonly JournalEvent[]
}

/** What concerns all devices. */
export type PlatformCondition =
  | 'broker-up'
  | 'ingest-up'
  | 'gateway-up'
  | 'bridge-up'
  | 'bridge-away'
  | 'store-away'
  | 'log-full'

export interface Journal {
  /** Of a device that was let in, or of one that has only been named by who was not: `isNamed`. */
  note(device: string, event: NewJournalEvent, how?: { readonly isNamed?: boolean }): void
  notePlatform(event: NewJournalEvent & { readonly code: PlatformCondition }): void
  of(device: string): JournalOf | undefined
  ofPlatform(): JournalOf | undefined
  /** Names that only showed up where somebody was not let in. */
  named(): Iterable<string>
}
