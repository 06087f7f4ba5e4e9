/**
 * Owns the interface of a point store: readings go in a batch at a time, history comes out; and that of a kind of store.
 *
 * Always true: `write` resolves only when every reading of the batch is durable in the store or named in the outcome as
 * rejected; it may be repeated, whole or in part, without changing what the store holds (a reading is identified by its
 * series and time, and of two with the same identity the one with the higher offset stays). What the store's world does
 * wrong is a `StoreError`, which says how to go on; nobody else classifies.
 */

import type { Clock } from '../platform/clock.ts'
import { TelltaleError } from '../platform/errors.ts'
import type { Settings } from '../platform/settings.ts'
import type { History, LogStretch } from '../schemas/history.ts'
import type { Reading, Stream } from '../schemas/reading.ts'

/** The readings of one log entry, all of one stream. */
export interface StoreEntry {
  readonly stream: Stream
  readonly readings: readonly Reading[]
  /** When the platform received it, milliseconds; of one that was set aside and replayed the first time. */
  readonly receivedAt: number
  /** In its shard of the log. */
  readonly offset: number
}

/** The stretch of the log that a batch is made of; of its entries, those without a reading or of another writer's are not in the batch. */
export interface BatchSource extends LogStretch {
  /** The log's position after it, as text. */
  readonly checkpoint: string
}

/** A run of entries in log order. A store with several writers gets each device's entries from one writer only. */
export interface StoreBatch {
  readonly entries: readonly StoreEntry[]
  /** An embedded store keeps it in the transaction of the rows. Without it, the rows are of no known place. */
  readonly source?: BatchSource
  /** The store may hold some of it already, from before a crash: what it replaces in the store is not to be counted. */
  readonly isRepeat?: boolean
  /** What the store holds was written from another log, or from a state of this one that is no more: places in it mean nothing. */
  readonly isOtherLog?: boolean
}

/** An entry of which the store refused at least one reading; its other readings are written. */
export interface RejectedEntry {
  /** Index in the batch's `entries`. */
  readonly index: number
  /** How many of its readings were refused. */
  readonly refused: number
  /** What the store said of the first of them. */
  readonly reason: string
}

/** Readings of one device and stream that others with their series and time, and other values, have replaced. */
export interface SupersededReadings {
  readonly device: string
  readonly stream: string
  readonly count: number
  /** The time of the newest of them, as a reading has it. */
  readonly ts: number
}

export interface WriteOutcome {
  readonly rejected: readonly RejectedEntry[]
  /** As far as the store knows: a kind of store says where it does not. */
  readonly superseded: readonly SupersededReadings[]
}

/** Adds up superseded readings by device and stream. */
export class Superseded {
  readonly #all = new Map<string, { device: string; stream: string; count: number; ts: number }>()

  /** The reading has replaced another, or has been: they have all that is kept of it in common. */
  add({ device, stream, ts }: Reading): void {
    const key = `${stream} ${device}`
    const known = this.#all.get(key)
    if (known === undefined) this.#all.set(key, { device, stream, count: 1, ts })
    else {
      known.count++
      if (ts > known.ts) known.ts = ts
    }
  }

  get list(): readonly SupersededReadings[] {
    return [...this.#all.values()]
  }
}

/**
 * How to go on after a failed write; nothing is ever dropped for it.
 * `soon`: the store is away or busy: try again with a growing, jittered wait, or after `retryAfterMs`.
 * `slowly`: a person must change something (credentials, bucket): say it loudly, keep trying at a slow pace.
 */
export type Retry = 'soon' | 'slowly'

/**
 * Codes: `store-unavailable` (network, 5xx, time-out), `store-busy` (429), `store-refused` (401, 403, 404: credentials or
 * names), `store-failed` (the embedded store's disk), `store-lost` (its file is gone: only a new start helps), `store-stopped`
 * (the wait was interrupted by `stop`).
 */
export class StoreError extends TelltaleError {
  readonly retry: Retry
  /** The store asked for this wait, milliseconds. */
  readonly retryAfterMs: number | undefined
  /** A part of the batch was done before the attempt failed, and will not be tried again: the wait need not grow. */
  progressed = false

  constructor(
    code: 'store-unavailable' | 'store-busy' | 'store-refused' | 'store-failed' | 'store-lost' | 'store-stopped',
    message: string,
    options: { retry: Retry; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(code, message, options)
    this.retry = options.retry
    this.retryAfterMs = options.retryAfterMs
  }
}

export interface PointStore {
  /** For log lines and metrics. */
  readonly name: string
  /** Opens what must be open before the first write. A remote store that is away is no error here. */
  start(): Promise<void>
  /** One attempt. Rejects with a `StoreError`. One call at a time. An abort ends it soon, with nothing half-told. */
  write(batch: StoreBatch, signal: AbortSignal): Promise<WriteOutcome>
  readonly history: History
  /**
   * These are in force from now on, in history and for batches that come after. No write is in flight. Rejects with a `StoreError`
   * for streams that it cannot keep: their entries are rejected, and all others are written.
   */
  useStreams(streams: readonly Stream[]): Promise<void>
  /** The `checkpoint` of the newest batch, of a store that keeps one; undefined before the first. */
  checkpoint?(): Promise<string | undefined>
  /** Idempotent; no write is in flight. */
  stop(): Promise<void>
}

export interface StoreDependencies {
  readonly streams: readonly Stream[]
  readonly clock?: Clock
}

/** Sizes of writes that suit a kind of store: what a write costs beside its entries is to be small beside what they cost. */
export interface StoreWrites {
  /** Entries of one write; more wait for the next. Half as many do not wait for others. */
  readonly entriesMax: number
  /** A write begins so long after the one before, milliseconds, if fewer entries wait. */
  readonly intervalMs: number
}

/** A row of the table of stores (`stores.ts`): what is known of a kind of store before one is open. */
export interface StoreKind<Options extends { readonly kind: string }> {
  /** It lives in one thread: history is asked of the worker that writes (`Ingest.history`). It keeps its batches' checkpoint. */
  readonly isEmbedded: boolean
  /** How many threads may write to it at once; one, if it is embedded. */
  readonly writersMax: number
  readonly writes: StoreWrites
  optionsFrom(settings: Settings): Options
  /** What it is and where, for a person to read. */
  describe(settings: Settings): string
  create(options: Options, deps: StoreDependencies): Promise<PointStore>
}
