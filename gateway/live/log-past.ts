/**
 * Owns the past of one subscription as the log has it: from a place on, as far as the live tail has come for its group.
 *
 *   at a place --read a piece--> frames to send --sent--> at a later place ... --where the group is--> done
 *
 * Always true: it reads no further than the group's readings were published, so at `done` the app has had all before that and
 * nothing after it. What another gateway process has sent already lies ahead of this one's tail: it is waited for.
 * Who is so slow that more than `LIVE_BEHIND_MESSAGES_MAX` messages lie before it gets, of what is left, the last reading of each
 * series, and is told how many it stands for.
 * Bound: one batch of one shard is held, and the frames of one piece of it. Losing: what retention removed, told by a `gap`.
 */

import assert from 'node:assert/strict'
import { type Entry, entriesBefore } from '../../log/entry.ts'
import type { Shard } from '../../log/log.ts'
import type { Offset, Position } from '../../log/position.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { Rejection } from '../../schemas/reading.ts'
import type { Frame } from '../server/server.ts'
import { type Cursor, formatCursor, parseCursor, WHOLE } from './cursor.ts'
import type { Feed, FeedTarget } from './feed.ts'
import type { Feeds } from './feeds.ts'
import { gapFrame } from './frames.ts'
import type { Group } from './groups.ts'
import { Message } from './message.ts'
import type { Past, PastStep } from './past.ts'
import { isTelemetry, type Piece, piecesOf } from './telemetry.ts'

/** Messages behind the live stream beyond which a slow app is not sent each of them, but the last reading of each series. */
const LIVE_BEHIND_MESSAGES_MAX = 100_000

export interface LogPastDependencies {
  readonly log: { readonly id: string; readonly shards: readonly Pick<Shard, 'read'>[] }
  readonly decoder: Pick<Decoder, 'decode'>
  readonly feeds: Feeds
  readonly tail: LiveEdge
}

/** How far the live tail has come. */
export interface LiveEdge {
  /** The place after all that was taken in. */
  readonly place: Cursor
  /** Resolves when that has changed, or what was published of it. */
  moved(): Promise<void>
}

export interface LogPastOptions {
  readonly from: Cursor
  /** Readings of an earlier time are left out, milliseconds. */
  readonly since?: number
  /** Why something may be missing. */
  readonly reason: 'retention' | 'slow'
}

export class LogPast implements Past {
  readonly #group: Group
  readonly #options: LogPastOptions
  readonly #dependencies: LogPastDependencies
  readonly #target: FeedTarget
  #feed: Feed
  /** It has fallen too far behind for every reading. */
  #isMerging = false
  /** Ready to be sent. */
  readonly #frames: Frame[] = []
  /** After all that was read, and after all that was given to be sent. */
  #place: Cursor
  #sent: Cursor
  /** Of the batch that is being handled. */
  #pieces: { readonly shard: number; readonly rest: Iterator<Piece> } | undefined

  constructor(group: Group, options: LogPastOptions, dependencies: LogPastDependencies) {
    this.#group = group
    this.#options = options
    this.#dependencies = dependencies
    this.#place = options.from
    this.#sent = options.from
    const { name, fields, fieldsKey, maxDelayMs, wanted } = group
    const { since } = options
    this.#target = { name, fields, fieldsKey, maxDelayMs, ...(since !== undefined && { since }) }
    this.#feed = dependencies.feeds.of(this.#target, wanted, this.#publish)
  }

  for(group: Group): Past {
    return new LogPast(group, { ...this.#options, from: this.#sent }, this.#dependencies)
  }

  next(): PastStep {
    const frame = this.#frames.shift()
    if (frame !== undefined) return this.#send(frame)
    if (this.#pieces !== undefined) return this.#takePiece(this.#pieces)
    const { position, part } = this.#place
    const target = placeOf(this.#group, this.#dependencies.tail).position
    this.#mergeIfFarBehind(target)
    let isAhead = part.readings > 0
    for (const [shard, offset] of position.entries()) {
      const { [shard]: end } = target
      assert(end !== undefined, `the tail has no shard ${shard}`)
      if (offset < end) return this.#read(shard, end)
      if (offset > end) isAhead = true
    }
    if (isAhead) return this.#dependencies.tail.moved()
    this.#feed.finish(this.#place)
    const last = this.#frames.shift()
    return last === undefined ? 'done' : this.#send(last)
  }

  drop(): void {
    this.#feed.drop()
  }

  readonly #publish = (frame: Frame): void => {
    this.#frames.push(frame)
  }

  /** An app that is slow, and ever further behind, is sent only the last reading of each series of what it still lacks. */
  #mergeIfFarBehind(target: Position): void {
    const { wanted } = this.#group
    if (this.#isMerging || this.#options.reason !== 'slow' || wanted.isRaw) return
    const messages = this.#place.position.reduce((sum, offset, shard) => sum + (target[shard] ?? offset) - offset, 0)
    if (messages <= LIVE_BEHIND_MESSAGES_MAX) return
    this.#isMerging = true
    this.#feed.finish(this.#place)
    this.#feed = this.#dependencies.feeds.merging(this.#target, wanted, this.#publish)
  }

  #send(frame: Frame): PastStep {
    if (frame.cursor !== undefined) this.#sent = parseCursor(this.#dependencies.log, frame.cursor)
    return { frame }
  }

  async #read(shard: number, end: Offset): Promise<void> {
    const { log } = this.#dependencies
    const { [shard]: from } = this.#place.position
    assert(from !== undefined)
    const batch = await log.shards[shard]?.read(from)
    if (batch === undefined) return
    if (batch.missed > 0) this.#tellGap(shard, batch.firstOffset < end ? batch.firstOffset : end, batch.missed)
    if (batch.firstOffset >= end) return
    const part = batch.next <= end ? batch : entriesBefore(batch, end)
    this.#pieces = { shard, rest: piecesOf(part) }
  }

  #takePiece({ shard, rest }: { readonly shard: number; readonly rest: Iterator<Piece> }): PastStep {
    const { done, value } = rest.next()
    if (done) {
      this.#pieces = undefined
      return this.next()
    }
    for (const entry of value.entries) this.#take(shard, entry)
    this.#moveTo(shard, value.next)
    this.#feed.flush(this.#place)
    return this.next()
  }

  #take(shard: number, entry: Entry): void {
    const { part, position, receivedAt } = this.#place
    if (!isTelemetry(entry) || !this.#group.wants(entry.device, entry.stream)) return
    const readings = this.#dependencies.decoder.decode(entry)
    if (readings instanceof Rejection) return
    const isPartly = part.readings > 0 && part.shard === shard && position[shard] === entry.offset
    const before = (index: number): Cursor => ({
      position: position.with(shard, entry.offset),
      part: { shard, readings: index },
      receivedAt: Math.max(receivedAt, entry.receivedAt),
    })
    const skip = isPartly ? part.readings : 0
    this.#feed.take(new Message(entry, readings, { skip, before }, this.#dependencies.feeds.tagsOf))
    if (entry.receivedAt > receivedAt) this.#place = { ...this.#place, receivedAt: entry.receivedAt }
  }

  #moveTo(shard: number, offset: Offset): void {
    const { position, part, receivedAt } = this.#place
    // Of another shard an entry may still be partly sent.
    const rest = part.shard === shard ? WHOLE : part
    this.#place = { position: position.with(shard, offset), part: rest, receivedAt }
  }

  #tellGap(shard: number, offset: Offset, missed: number): void {
    const { log } = this.#dependencies
    this.#feed.finish(this.#place)
    const after = formatCursor(log, this.#place)
    this.#moveTo(shard, offset)
    const before = formatCursor(log, this.#place)
    this.#frames.push(gapFrame(this.#group.name, { after, before, reason: this.#options.reason, missed }))
  }
}

/** The place after all that was published to the group. */
export function placeOf(group: Group, tail: LiveEdge): Cursor {
  return group.feed.pendingSince ?? tail.place
}
