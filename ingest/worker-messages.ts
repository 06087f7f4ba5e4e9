/** Owns what the coordinator and its worker threads say to one another. Nothing decoded is among it, but for answers of history. */

import type { DeviceProgress, NewNotice } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import type { Unkept } from '../maps/unkept-columns.ts'
import type { HistoryPage, HistoryQuery, ReceivedPage, ReceivedQuery, Selection } from '../schemas/history.ts'
import type { Reading } from '../schemas/reading.ts'
import type { SchemaFiles } from '../schemas/schema-files.ts'
import type { Retry, SupersededReadings } from './store.ts'
import type { StoreOptions } from './stores.ts'

export interface WorkerSetup {
  /** This worker takes the entries of devices whose hash, divided by `shards`, is `index` modulo `workers`. */
  readonly index: number
  readonly workers: number
  /** Of the log. */
  readonly shards: number
  readonly store: StoreOptions
  /** As they are in force when the thread is made. */
  readonly schemas: SchemaFiles
  /** No reading's time is before it, milliseconds; undefined: as by default. */
  readonly readingTimeMinMs?: number | undefined
  /** The directory of what is learnt of columns. */
  readonly learnt?: string | undefined
}

/** A question of history, for the worker that has the embedded store open. */
export type HistoryQuestion =
  | { readonly about: 'readings'; readonly query: HistoryQuery }
  | { readonly about: 'latest'; readonly selections: readonly Selection[]; readonly limit: number }
  | { readonly about: 'received'; readonly query: ReceivedQuery }

export type ToWorker =
  | {
      /** Entries of one shard of the log. The memory is shared, so every worker reads the same bytes and none copies them. */
      readonly kind: 'group'
      readonly sequence: number
      readonly bytes: SharedArrayBuffer
      readonly shard: number
      readonly firstOffset: Offset
      /** The text of the log's position after the group. */
      readonly checkpoint: string
      /** The store may hold some of it already. */
      readonly isRepeat: boolean
      /** What the store holds was written from another log, or from a state of this one that is no more. */
      readonly isOtherLog: boolean
    }
  | { readonly kind: 'question'; readonly id: number; readonly question: HistoryQuestion }
  /** The next piece of a page. */
  | { readonly kind: 'more'; readonly id: number }
  /** Nobody wants the rest of a page, or the page. */
  | { readonly kind: 'leave'; readonly id: number }
  /** Others are in force: of all groups that come after this. */
  | { readonly kind: 'schemas'; readonly files: SchemaFiles }
  /** Give up what is not written, close the store, end the thread. */
  | { readonly kind: 'stop' }

/** An entry of a group that cannot be stored. */
export interface SetAside {
  /** Where it starts in the group's bytes. */
  readonly at: number
  readonly offset: Offset
  readonly code: string
  readonly reason: string
  /** Its readings could be decoded: it is the store that refused one. */
  readonly decoded?: boolean
}

/** What became of a worker's share of a group: every one of its entries is stored or set aside, now or before. */
export interface GroupOutcome {
  readonly sequence: number
  readonly stored: number
  readonly readings: number
  readonly setAside: readonly SetAside[]
  /** Of messages that were set aside when they were appended. */
  readonly setAsideBefore: number
  /** What devices should know of messages that were taken. */
  readonly remarks: readonly NewNotice[]
  /** `stored`, `readings`, `setAsideBefore` and what is superseded by device. */
  readonly devices: readonly DeviceProgress[]
  readonly superseded: readonly SupersededReadings[]
  /** Time from the first attempt until the store had it, milliseconds; 0 if there was nothing to write. */
  readonly writeMs: number
}

/** A write failed and will be tried again after `waitMs`. */
export interface StoreTrouble {
  readonly code: string
  readonly message: string
  readonly retry: Retry
  readonly waitMs: number
}

/** To `readings` the page's head, and then a piece whenever one is asked for, undefined after the last; to the others all. */
export type HistoryAnswer = Omit<HistoryPage, 'pieces'> | ReceivedPage | readonly Reading[] | undefined

export type FromWorker =
  /** It is open; an embedded store says up to which position of the log it holds the points. */
  | { readonly kind: 'ready'; readonly checkpoint: string | undefined }
  /** It could not start. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'done'; readonly outcome: GroupOutcome }
  | { readonly kind: 'trouble'; readonly trouble: StoreTrouble }
  | { readonly kind: 'unkept'; readonly unkept: Unkept }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: HistoryAnswer }
  | { readonly kind: 'no-answer'; readonly id: number; readonly code: string; readonly message: string }
