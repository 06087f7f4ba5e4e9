/**
 * Owns the past of one subscription as the log has it: from a place on, as far as the live tail has come for its group.
 *
 *   at a place --read a piece--> frames to send --sent--> at a later place ... --where the group is--> done
 *
 * Always true: it reads no further than the group's readings were published, so at `done` the app has had all before that and
 * nothing after it. What another gateway process has sent already lies ahead of this one's tail: it is waited for.
 * What ingest has set aside undecoded is left out, though it could be decoded now: its replay is sent, if it comes. The log is asked that
 * of each piece when it is its turn, since an app may take its time between two.
 * Who is so slow that more than `LIVE_BEHIND_MESSAGES_MAX` messages lie before it gets, of what is left, the last reading of each
 * series, and is told how many it stands for.
 * A subscription with a rate is given the entries of all shards in the order of receipt (`ByReceipt`): of another order its windows would
 * not be those that it had live.
 * Bound: one batch of one shard is held, with a rate one of each, and the frames of one piece. Losing: what retention removed, told by a `gap`.
 */

import assert from 'node:assert/strict'
import { type Entry, entriesBefore, readEntry } from '../../log/entry.ts'
import type { Shard } from '../../log/log.ts'
import type { Offset, Position } from '../../log/position.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import type { LogStretch, PlacedReading, ReceivedPage } from '../../schemas/history.ts'
import type { Access } from '../access.ts'
import type { Frame } from '../server/server.ts'
import { ByReceipt } from './by-receipt.ts'
import { type Cursor, formatCursor, parseCursor, type StorePlace, WHOLE } from './cursor.ts'
import type { Feed, FeedTarget } from './feed.ts'
import type { Feeds } from './feeds.ts'
import { gapFrame } from './frames.ts'
import type { Group } from './groups.ts'
import { Message } from './message.ts'
import type { Past, PastStep } from './past.ts'
import type { StoreReads } from './store-reads.ts'
import { isTelemetry, type Piece, piecesOf, readingsOf } from './telemetry.ts'

/** Messages behind the live stream beyond which a slow app is not sent each of them, but the last reading of each series. */
const LIVE_BEHIND_MESSAGES_MAX = 100_000
/** How far the times of readings may lie around the times at which what was lost was received, for the store to be asked for them. */
const LIVE_LOST_AROUND_MS = 60_000

export interface LogPastDependencies {
  readonly log: {
    readonly id: string
    readonly shards: readonly Pick<Shard, 'read' | 'first' | 'checkpoint' | 'undecoded'>[]
  }
  readonly decoder: Pick<Decoder, 'decode'>
  readonly feeds: Feeds
  readonly tail: LiveEdge
  readonly store: StoreReads
  readonly logger: Logger
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
  /** Encoded without receipt: readings that were sent before, and are not to be sent again. */
  readonly seen?: ReadonlySet<string>
  /** Who asks: by it the store takes its turns. */
  readonly access: Access
  /** Why something may be missing. */
  readonly reason: 'retention' | 'slow'
  /** Of a store that keeps no places: what it has, by the readings' time, of what a gap was told for. Once. */
  readonly fill?: ((group: Group, lost: StorePlace, rest: Cursor) => Past) | undefined
}

export class LogPast implements Past {
  readonly #group: Group
  readonly #options: LogPastOptions
  readonly #dependencies: LogPastDependencies
  readonly #target: FeedTarget
  #feed: Feed
  /** It has fallen too far behind for every reading. */
  #isMerging = false
  readonly #dropped = new AbortController()
  /** What the store has is decoded, also for who wants messages undecoded. */
  #storeFeed: Feed
  /** Ready to be sent. */
  readonly #frames: Frame[] = []
  /** After all that was read, and after all that was given to be sent. */
  #place: Cursor
  #sent: Cursor
  /** Where the store is asked for what was lost, once the frames are sent: readings of these times may have been received in it. */
  #lost: StorePlace | undefined
  /** The shard whose turn it is. */
  #turn = 0
  /** Of a subscription with a rate, where there are several shards. */
  readonly #byReceipt: ByReceipt | undefined
  /** Of the batch that is being handled. */
  #pieces: { readonly shard: number; readonly rest: Iterator<Piece> } | undefined

  constructor(group: Group, options: LogPastOptions, dependencies: LogPastDependencies) {
    this.#group = group
    this.#options = options
    this.#dependencies = dependencies
    this.#place = options.from
    this.#sent = options.from
    const { name, fields, fieldsKey, maxDelayMs, encoding, wanted } = group
    if (wanted.rate !== undefined && options.from.position.length > 1) this.#byReceipt = new ByReceipt()
    const { since, seen } = options
    this.#target = {
      name,
      fields,
      fieldsKey,
      maxDelayMs,
      encoding,
      ...(since !== undefined && { since }),
      ...(seen && { seen }),
    }
    this.#feed = dependencies.feeds.of(this.#target, wanted, this.#publish)
    this.#storeFeed = wanted.isRaw
      ? dependencies.feeds.of(this.#target, { ...wanted, isRaw: false }, this.#publish)
      : this.#feed
  }

  for(group: Group): Past {
    const { within, ...from } = this.#sent
    const { fill } = this.#options
    if (typeof within === 'object' && fill !== undefined) return fill(group, within, from)
    return new LogPast(group, { ...this.#options, from }, this.#dependencies)
  }

  next(): PastStep {
    const frame = this.#frames.shift()
    if (frame !== undefined) return this.#send(frame)
    const { fill } = this.#options
    if (this.#lost !== undefined && fill !== undefined) return { rest: fill(this.#group, this.#lost, this.#place) }
    if (this.#pieces !== undefined) return this.#takePiece(this.#pieces)
    const { position, part } = this.#place
    const target = placeOf(this.#group, this.#dependencies.tail).position
    this.#mergeIfFarBehind(target)
    let isAhead = part.readings > 0
    for (const shard of this.#shardsInTurn()) {
      const { [shard]: end } = target
      const { [shard]: offset } = position
      assert(end !== undefined && offset !== undefined, `the tail has no shard ${shard}`)
      if (offset < end && this.#byReceipt?.has(shard) !== true) return this.#read(shard, end)
      if (offset > end) isAhead = true
    }
    if (part.readings === 0 && this.#byReceipt?.isEmpty === false) return this.#takeByReceipt(this.#byReceipt)
    if (isAhead) return this.#dependencies.tail.moved()
    this.#feed.finish(this.#place)
    const last = this.#frames.shift()
    return last === undefined ? 'done' : this.#send(last)
  }

  drop(): void {
    this.#dropped.abort()
    this.#feed.drop()
  }

  /**
   * A place has one part only: the message that is partly sent comes to its end before another shard is read, also where the tail has yet
   * to come to it. Else the shard that was read last is the last.
   */
  #shardsInTurn(): number[] {
    const { position, part } = this.#place
    const shards = [...position.keys()]
    return part.readings > 0 ? [part.shard] : [...shards.slice(this.#turn), ...shards.slice(0, this.#turn)]
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
    this.#storeFeed = this.#feed
  }

  #send(frame: Frame): PastStep {
    if (frame.cursor !== undefined) this.#sent = parseCursor(this.#dependencies.log, frame.cursor)
    return { frame }
  }

  async #read(shard: number, end: Offset): Promise<void> {
    const { log } = this.#dependencies
    const { [shard]: from } = this.#place.position
    assert(from !== undefined)
    this.#turn = shard + 1
    const batch = await log.shards[shard]?.read(from)
    if (batch === undefined) return
    if (batch.missed > 0) {
      const until = batch.firstOffset < end ? batch.firstOffset : end
      if (this.#dependencies.store.keepsPlaces) return this.#askStore(shard, until)
      const next = batch.count === 0 ? undefined : readEntry(batch.bytes, 0, batch.firstOffset).receivedAt
      if (next !== undefined && !this.#isMerging && this.#options.fill !== undefined) {
        const since = Math.max(0, this.#place.receivedAt - LIVE_LOST_AROUND_MS)
        this.#lost = { since, to: next + LIVE_LOST_AROUND_MS }
      }
      this.#tellGap(shard, until)
      return
    }
    const part = batch.next <= end ? batch : entriesBefore(batch, end)
    // The message that is partly sent comes to its end first.
    if (this.#byReceipt === undefined || this.#place.part.readings > 0) this.#pieces = { shard, rest: piecesOf(part) }
    else this.#byReceipt.add(shard, piecesOf(part))
  }

  async #takePiece({ shard, rest }: { readonly shard: number; readonly rest: Iterator<Piece> }): Promise<void> {
    const { done, value } = rest.next()
    if (done) {
      this.#pieces = undefined
      return
    }
    const { entries, next } = value
    const [first] = entries
    const undecoded = first && (await this.#dependencies.log.shards[shard]?.undecoded(first.offset, next))
    if (this.#dropped.signal.aborted) return
    for (const entry of entries) if (undecoded?.has(entry.offset) !== true) this.#take(shard, entry)
    this.#moveTo(shard, next)
    this.#feed.flush(this.#place)
  }

  async #takeByReceipt(byReceipt: ByReceipt): Promise<void> {
    const undecoded = new Map<number, ReadonlySet<Offset>>()
    for (const { shard, first, next } of byReceipt.stretches()) {
      const ofShard = await this.#dependencies.log.shards[shard]?.undecoded(first, next)
      if (ofShard !== undefined) undecoded.set(shard, ofShard)
    }
    if (this.#dropped.signal.aborted) return
    for (const { shard, entry, next } of byReceipt.take()) {
      if (undecoded.get(shard)?.has(entry.offset) !== true) this.#take(shard, entry)
      this.#moveTo(shard, next)
    }
    this.#feed.flush(this.#place)
  }

  #take(shard: number, entry: Entry): void {
    const { part, position, receivedAt } = this.#place
    if (!isTelemetry(entry) || !this.#group.wants(entry.device, entry.stream)) return
    const readings = readingsOf(entry, this.#dependencies.decoder)
    if (readings === undefined) return
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
    assert(part.readings === 0 || part.shard === shard, 'what is partly sent comes first')
    this.#place = { position: position.with(shard, offset), part: WHOLE, receivedAt }
  }

  /** Takes from the store, a page of it, what the log has lost of a shard before `until`; what the store lacks too is told. */
  async #askStore(shard: number, until: Offset): Promise<void> {
    const { log, store, logger } = this.#dependencies
    const { access } = this.#options
    const { position, part } = this.#place
    const { selections } = this.#group.wanted
    const query = { selections, log: log.id, from: { position, part }, before: position.with(shard, until) }
    let page: ReceivedPage
    try {
      page = await store.received(query, access, this.#dropped.signal)
    } catch (error) {
      if (!this.#dropped.signal.aborted) {
        logger.warn({ err: error }, 'the store could not be asked for what the log has lost: an app is told of a gap')
        this.#tellGap(shard, until)
      }
      return
    }
    const lacking = [...page.lacking]
    const tellLacking = (before: number) => {
      while (lacking[0] !== undefined && lacking[0].next <= before) {
        const { first, next } = lacking.shift() as LogStretch
        this.#storeFeed.flush(this.#place)
        this.#moveTo(shard, Math.max(first, this.#place.position[shard] ?? first) as Offset)
        this.#tellGap(shard, next as Offset)
      }
    }
    for (const message of messagesOf(page.readings)) {
      tellLacking(message.offset)
      this.#takeStored(shard, message)
    }
    if (page.truncated) {
      this.#storeFeed.flush(this.#place)
      return
    }
    tellLacking(until)
    this.#moveTo(shard, until)
    this.#storeFeed.flush(this.#place)
  }

  /** The readings of one message that the store has still; they are sent decoded, whatever was asked for. */
  #takeStored(shard: number, { offset, readings }: StoredMessage): void {
    const [first] = readings
    assert(first !== undefined)
    const { device, stream, received = 0 } = first.reading
    const receivedAt = Math.max(this.#place.receivedAt, received)
    const placeBefore = (index: number): Cursor => ({
      position: this.#place.position.with(shard, offset as Offset),
      part: index === 0 ? WHOLE : { shard, readings: index },
      receivedAt,
    })
    const entry = { offset: offset as Offset, device, stream, receivedAt: received, flags: 0, payload: NOTHING }
    const before = (index: number) => placeBefore(readings[index]?.index ?? 0)
    this.#storeFeed.take(
      new Message(
        entry,
        readings.map(({ reading }) => reading),
        { before },
        this.#dependencies.feeds.tagsOf,
      ),
    )
    // Behind the last of its readings that the store has: others of it may follow on the next page.
    this.#place = placeBefore((readings.at(-1)?.index ?? 0) + 1)
  }

  /** Goes on at `offset` of the shard, and says that what is before it is missing. */
  #tellGap(shard: number, offset: Offset): void {
    const { log } = this.#dependencies
    this.#feed.finish(this.#place)
    const missed = offset - (this.#place.position[shard] ?? offset)
    const after = formatCursor(log, this.#place)
    this.#moveTo(shard, offset)
    const before = formatCursor(log, { ...this.#place, ...(this.#lost && { within: this.#lost }) })
    this.#frames.push(gapFrame(this.#group.name, { after, before, reason: this.#options.reason, missed }))
  }
}

interface StoredMessage {
  readonly offset: number
  readonly readings: readonly PlacedReading[]
}

/** The readings of one message stand together. */
function messagesOf(readings: readonly PlacedReading[]): StoredMessage[] {
  const messages: { offset: number; readings: PlacedReading[] }[] = []
  for (const reading of readings) {
    const last = messages.at(-1)
    if (last?.offset === reading.offset) last.readings.push(reading)
    else messages.push({ offset: reading.offset, readings: [reading] })
  }
  return messages
}

const NOTHING = Buffer.alloc(0)

/** The place after all that was published to the group. */
export function placeOf(group: Group, tail: LiveEdge): Cursor {
  return group.feed.pendingSince ?? tail.place
}
