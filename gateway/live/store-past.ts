/**
 * Owns the past of one subscription as the store has it: what was read since a time, oldest first; what is not in the store yet
 * comes from the log behind it. Also what a store that keeps no places has of what the log has lost (`Lost`).
 *
 *   a page of the store --sent--> ... --the last page--> rest: a `LogPast`
 *
 * Always true: of a store that keeps places, everything before the place at which the log is read on is in the pages, and nothing of what
 * is behind it. Of another it is everything that was stored when the first page was asked for, and what of the rest is among
 * them is not sent again, as long as it is one of the newest `LIVE_SEEN_READINGS_MAX` and this connection was sent it.
 * Each cursor has the key of the reading before it and the place where the log is read on, so any process goes on from it. What was
 * lost is sent as well as the store knows it (`byTime`), and the log as it is.
 * Bound: a page is held.
 */

import assert from 'node:assert/strict'
import { INGEST_READER } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import type { Clock } from '../../platform/clock.ts'
import type { HistoryKey } from '../../schemas/history.ts'
import { type Reading, valueIn } from '../../schemas/reading.ts'
import type { Access } from '../access.ts'
import type { Frame } from '../server/server.ts'
import { type Cursor, parseCursor, type StorePlace, WHOLE } from './cursor.ts'
import type { FeedTarget } from './feed.ts'
import { encodeReading } from './frames.ts'
import type { Group } from './groups.ts'
import { LogPast, type LogPastDependencies } from './log-past.ts'
import { Message } from './message.ts'
import type { Past, PastStep } from './past.ts'

/** Readings remembered, newest first, so that the log's are not sent again, where the store does not know places. */
const LIVE_SEEN_READINGS_MAX = 200_000
/** How far ahead of now a reading's time may be (`bad-timestamp`). */
const AHEAD_MS = 2 * 86_400_000

export interface StorePastDependencies extends LogPastDependencies {
  readonly clock: Clock
}

export interface StorePastOptions {
  readonly from: StorePlace
  /** Where the log is read on, if that was decided before, as it is of what the log has lost. */
  readonly rest?: Omit<Cursor, 'within'>
  readonly access: Access
}

export class StorePast implements Past {
  readonly #group: Group
  readonly #options: StorePastOptions
  readonly #since: number
  readonly #dependencies: StorePastDependencies
  readonly #dropped = new AbortController()
  readonly #frames: Frame[] = []
  readonly #seen = new Set<string>()
  /** Where the log goes on, once the store has said so. */
  #rest: Omit<Cursor, 'within'> | undefined
  /** Behind all that was read. */
  #after: HistoryKey | undefined
  /** Behind all that was given to be sent. */
  #sent: string | undefined
  #isLast = false

  constructor(group: Group, options: StorePastOptions, dependencies: StorePastDependencies) {
    this.#group = group
    this.#options = options
    this.#since = options.from.since
    this.#rest = options.rest
    this.#after = options.from.after
    this.#dependencies = dependencies
  }

  for(group: Group): Past {
    return new StorePast(group, this.#sent === undefined ? this.#options : this.#behind(this.#sent), this.#dependencies)
  }

  next(): PastStep {
    const frame = this.#frames.shift()
    if (frame !== undefined) {
      this.#sent = frame.cursor
      return { frame }
    }
    if (this.#isLast && this.#rest !== undefined) return { rest: this.#logPast(this.#rest) }
    return this.#read().catch((error: unknown) => this.#failed(error))
  }

  /** What the log has lost. */
  get #isOfGap(): boolean {
    return this.#options.from.to !== undefined
  }

  drop(): void {
    this.#dropped.abort()
  }

  async #read(): Promise<void> {
    const { log, store, tail, clock, feeds } = this.#dependencies
    const { wanted } = this.#group
    const query = {
      selections: wanted.selections,
      from: this.#since,
      to: this.#options.from.to ?? clock.now() + AHEAD_MS,
      ...(this.#after && { after: this.#after }),
    }
    const upTo = this.#rest?.position ?? (store.keepsPlaces ? tail.place.position : await this.#stored())
    const asked = store.keepsPlaces ? { ...query, upTo: { log: log.id, position: upTo } } : query
    const page = await store.page(asked, this.#options.access, this.#dropped.signal)
    const position = (page.upTo as readonly Offset[] | undefined) ?? upTo
    this.#rest ??= { position, part: WHOLE, receivedAt: this.#since }
    const feed = feeds.of(this.#target(), { ...wanted, isRaw: false }, (frame) => this.#frames.push(frame))
    for (const reading of page.readings) {
      feed.take(messageOf(reading, this.#place(this.#rest), feeds.tagsOf))
      this.#after = this.#keyOf(reading)
      if (!store.keepsPlaces && !this.#isOfGap) this.#remember(reading)
    }
    feed.finish(this.#place(this.#rest))
    this.#isLast = !page.truncated
  }

  /** What was lost is told already. */
  #failed(error: unknown): void {
    if (!this.#isOfGap || this.#dropped.signal.aborted) throw error
    const { logger } = this.#dependencies
    logger.warn({ err: error }, 'the store could not be asked for what the log has lost: an app was told of a gap')
    this.#isLast = true
  }

  /** Behind all that was read of the store. */
  #place(rest: Omit<Cursor, 'within'>): Cursor {
    return { ...rest, within: { ...this.#options.from, ...(this.#after && { after: this.#after }) } }
  }

  #behind(cursor: string): StorePastOptions {
    const { within, ...rest } = parseCursor(this.#dependencies.log, cursor)
    assert(typeof within === 'object', `${cursor} does not lie within the store`)
    return { ...this.#options, from: within, rest }
  }

  #keyOf({ ts, device, stream, values }: Reading): HistoryKey {
    const tags: [string, string][] = []
    for (const name of this.#dependencies.feeds.tagsOf(stream)) {
      const value = valueIn(values, name)
      if (typeof value === 'string' && value !== '') tags.push([name, value])
    }
    return { ts, device, stream, tags: Object.fromEntries(tags) }
  }

  /** Where ingest has come to: all before that is in the store. */
  #stored(): Promise<Offset[]> {
    const { shards } = this.#dependencies.log
    return Promise.all(shards.map(async (shard) => (await shard.checkpoint(INGEST_READER)) ?? (await shard.first())))
  }

  #remember(reading: Reading): void {
    this.#seen.add(encodeReading(reading))
    if (this.#seen.size <= LIVE_SEEN_READINGS_MAX) return
    const [oldest] = this.#seen
    if (oldest !== undefined) this.#seen.delete(oldest)
  }

  #target(): FeedTarget {
    const { name, fields, fieldsKey, maxDelayMs, encoding } = this.#group
    return { name, fields, fieldsKey, maxDelayMs, encoding, byTime: this.#isOfGap }
  }

  #logPast(from: Cursor): Past {
    const { access } = this.#options
    const since = this.#isOfGap ? {} : { since: this.#since }
    const seen = this.#seen.size === 0 ? {} : { seen: this.#seen }
    return new LogPast(this.#group, { from, reason: 'retention', access, ...since, ...seen }, this.#dependencies)
  }
}

/** A reading as a message of its own; without its receipt it is taken for one that was not late. */
function messageOf(reading: Reading, place: Cursor, tagsOf: (stream: string) => ReadonlySet<string>): Message {
  const { device, stream, ts, received } = reading
  const receivedAt = received ?? ts
  const entry = { offset: place.position[0] ?? (0 as Offset), device, stream, receivedAt, flags: 0, payload: NOTHING }
  return new Message(entry, [reading], { before: () => place, received }, tagsOf)
}

const NOTHING = Buffer.alloc(0)
