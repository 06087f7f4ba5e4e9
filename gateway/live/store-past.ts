/**
 * Owns the past of one subscription as the store has it: what was read since a time, oldest first; what is not in the store yet
 * comes from the log behind it.
 *
 *   a page of the store --sent--> ... --the last page--> rest: a `LogPast`
 *
 * Always true: of a store that keeps places, everything before the place at which the log is read on is in the pages, and nothing of what
 * is behind it. Of another it is everything that was stored when the first page was asked for, and what of the rest is among
 * them is not sent again, as long as it is one of the newest `LIVE_SEEN_READINGS_MAX`.
 * A cursor that is given meanwhile begins all of it again. Bound: a page is held.
 */

import { INGEST_READER } from '../../log/log.ts'
import type { Offset, Position } from '../../log/position.ts'
import type { Clock } from '../../platform/clock.ts'
import type { HistoryKey } from '../../schemas/history.ts'
import type { Reading } from '../../schemas/reading.ts'
import type { Access } from '../access.ts'
import type { Frame } from '../server/server.ts'
import { type Cursor, WHOLE } from './cursor.ts'
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

export class StorePast implements Past {
  readonly #group: Group
  readonly #since: number
  readonly #access: Access
  readonly #dependencies: StorePastDependencies
  readonly #dropped = new AbortController()
  readonly #frames: Frame[] = []
  readonly #seen = new Set<string>()
  /** Where the log goes on, once the store has said so. */
  #rest: Position | undefined
  #after: HistoryKey | undefined
  #isLast = false

  constructor(group: Group, since: number, access: Access, dependencies: StorePastDependencies) {
    this.#group = group
    this.#since = since
    this.#access = access
    this.#dependencies = dependencies
  }

  for(group: Group): Past {
    return new StorePast(group, this.#since, this.#access, this.#dependencies)
  }

  next(): PastStep {
    const frame = this.#frames.shift()
    if (frame !== undefined) return { frame }
    if (this.#isLast && this.#rest !== undefined) return { rest: this.#logPast(this.#rest) }
    return this.#read()
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
      to: clock.now() + AHEAD_MS,
      ...(this.#after && { after: this.#after }),
    }
    const upTo = this.#rest ?? (store.keepsPlaces ? tail.place.position : await this.#stored())
    const asked = store.keepsPlaces ? { ...query, upTo: { log: log.id, position: upTo } } : query
    const page = await store.page(asked, this.#access, this.#dropped.signal)
    this.#rest ??= (page.upTo as readonly Offset[] | undefined) ?? upTo
    const place = { position: this.#rest, part: WHOLE, receivedAt: this.#since, again: this.#since }
    const feed = feeds.of(this.#target(), { ...wanted, isRaw: false }, (frame) => this.#frames.push(frame))
    for (const reading of page.readings) {
      feed.take(messageOf(reading, place, feeds.tagsOf))
      if (!store.keepsPlaces) this.#remember(reading)
    }
    feed.finish(place)
    this.#after = page.next
    this.#isLast = !page.truncated
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
    const { name, fields, fieldsKey, maxDelayMs } = this.#group
    return { name, fields, fieldsKey, maxDelayMs }
  }

  #logPast(position: Position): Past {
    const from = { position, part: WHOLE, receivedAt: this.#since }
    const seen = this.#seen.size === 0 ? {} : { seen: this.#seen }
    const options = { from, since: this.#since, reason: 'retention', access: this.#access, ...seen } as const
    return new LogPast(this.#group, options, this.#dependencies)
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
