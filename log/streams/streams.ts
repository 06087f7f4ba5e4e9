/**
 * Owns what an engine of streams (Kafka, RabbitMQ) has to do to carry a log: two streams a shard, each an ordered row of records that
 * are numbered densely from 0, kept on several machines, and read by any number of processes.
 *
 *   log     a record a message, so that a record's offset is the message's; nobody rewrites it
 *   books   what readers have done with them, and what is known of devices: the replica folds it (`replica.ts`)
 *
 * An engine promises order, density and durability, and nothing across two streams. What an append came to may be unknown (its answer was
 * lost): it rejects then, and its records may be there, or come to be there later, in whole or from the first up to one of them.
 */

/** Which of a shard's streams. */
export const STREAM_KINDS = ['log', 'books'] as const
export type StreamKind = (typeof STREAM_KINDS)[number]

export interface NewRecord {
  /** Whose it is: strangers that read the stream find it by that. ASCII. */
  readonly key: string
  /** At most `RECORD_BYTES_MAX`. */
  readonly value: Uint8Array
}

export interface StreamRecord {
  readonly offset: number
  /** When the process that appended it did so, milliseconds by its clock. */
  readonly at: number
  /** A view of memory that nobody writes to. */
  readonly value: Buffer
}

export interface ReadLimits {
  /** Of their values; one record is given however large it is. */
  readonly bytesMax: number
  readonly recordsMax: number
  /** How long to wait, at the end of the stream, for a record to come; 0: not at all. */
  readonly waitMs: number
  readonly signal?: AbortSignal
}

/** One stream of one shard. All reject with a `LogError` `log-unreachable` while the engine does not answer. */
export interface Stream {
  /**
   * Appends records one behind the other; resolves when they are durable on as many machines as the engine was set up for. One at a time:
   * of two that overlap the second throws. After one that was rejected the next may be of the same records: they are there twice then, at worst.
   */
  append(records: readonly NewRecord[]): Promise<void>
  /**
   * The records from `from` on; none if there are none yet. If the first ones are removed, those that are left: the first offset says so.
   * Rejects with `bad-position` past the end.
   */
  read(from: number, limits: ReadLimits): Promise<readonly StreamRecord[]>
  /** The oldest that is kept, and the offset that the next one will get. */
  first(): Promise<number>
  end(): Promise<number>
  /** A place before every record that was appended at `time` or later, and not long before the first of them. */
  at(time: number): Promise<number>
  /** Those before `offset` may be removed; an engine that can does it. */
  removeBefore(offset: number): Promise<void>
}

/** What the streams of one kind take on the engine's disks, bytes of one copy. */
export interface StreamSizes {
  readonly bytes: number
}

/** An engine's streams for one log. */
export interface Streams {
  /** Where they are, for a person: without a password. */
  readonly where: string
  /** How many shards there are: known once started. */
  readonly shards: number
  /**
   * Connects, and looks at how the streams are set up. Rejects with a `LogError`: `log-unreachable`; `log-missing` if there are none (`telltale log init` makes
   * them); `log-unsafe` if they could lose what was acknowledged, with what to change.
   */
  start(): Promise<void>
  stop(): Promise<void>
  stream(kind: StreamKind, shard: number): Stream
  sizeOf(kind: StreamKind): Promise<StreamSizes>
}

/** What `telltale log init` makes. */
export interface NewStreams {
  readonly shards: number
  /** Machines that each record is kept on. */
  readonly copies: number
}

/** A record's value, bytes: the largest payload, its entry and what goes with it. */
export const RECORD_BYTES_MAX = 512 * 1024
