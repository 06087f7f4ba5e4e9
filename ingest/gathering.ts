/**
 * Owns the gathering of one value a topic (`gather: 2s` of a map) into one reading a window, between the log and the groups of one
 * shard. Windows are aligned by the time of receipt.
 *
 *   log --> ahead: batches of which a window is open --window over--> its first message carries the reading, the others nothing
 *                                                                       |
 *                                                       groups <--------+
 *
 * What the workers and the store get knows nothing of windows, so neither a worker's death nor a crash can lose what was gathered: a
 * batch is let go only when the windows that begin in it are over, and until then all of it is pending. After a restart the log is read
 * from a window's length before the checkpoint: messages behind it whose window began before it are in that window's reading already.
 *
 * Always true: the messages of a reading are those of one series within one window, in the log's order; a message that cannot be read
 * is let through alone, to be set aside by itself. The reading's time is that of its first message's receipt, so two readings never
 * have one time. A window is over when a message received `GATHER_GRACE_MS` after its end is in the log, or nothing has come for so
 * long; a message that reaches the disk later still is a reading of its own.
 * Bounds: `GATHER_AHEAD_BYTES_MAX`, `GATHER_WINDOWS_MAX`. Full: all windows end early, and what comes later in them is another reading.
 * Of one window `GATHERED_BYTES_MAX`: it ends early likewise, and a message that is larger by itself is a reading of its own.
 */

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Batch, type Entry, entryBytes, readEntries, writeEntry } from '../log/entry.ts'
import type { Shard } from '../log/log.ts'
import type { Offset } from '../log/position.ts'
import { GATHER_MS_MAX } from '../maps/definition.ts'
import type { Maps } from '../maps/maps.ts'
import type { TopicMap } from '../maps/topic-map.ts'
import type { Clock } from '../platform/clock.ts'
import { FOREIGN, GATHERED, MEMBER } from '../schemas/content-type.ts'
import { foreignPayload, NewColumns, readForeign } from '../schemas/foreign.ts'
import { Rejection, type Value, valueIn } from '../schemas/reading.ts'
import type { Source } from './source.ts'

/** How long a message may take from its receipt to the log, to be in its window. */
const GATHER_GRACE_MS = 500
/** Bytes of the log that wait behind windows that are open. */
const GATHER_AHEAD_BYTES_MAX = 32 * 1024 * 1024
const GATHER_WINDOWS_MAX = 100_000
/** What is gathered, as JSON: it must fit one message. */
const GATHERED_BYTES_MAX = 128 * 1024

interface Window {
  readonly key: string
  /** The first is at `first` of `ahead`, as its index in that batch; undefined if it was let go before a restart. */
  readonly ahead: Ahead | undefined
  readonly first: number
  /** Which window it is, and when it is over, milliseconds. */
  readonly index: number
  readonly endsAt: number
  /** Microseconds. */
  readonly micros: number
  readonly values: Record<string, Value>
  bytes: number
  /** Of the first. */
  readonly sender: string
  readonly topic: string
}

/** What a message adds to a reading. */
interface Part {
  readonly sender: string
  readonly topic: string
  readonly map: TopicMap
  readonly gatherMs: number
  readonly values: Readonly<Record<string, Value>>
  readonly bytes: number
}

/** A batch that was read, and what its entries become. */
interface Ahead {
  readonly source: Source
  readonly entries: readonly Entry[]
  /** By index: of a first message what it carries, of another `MEMBER`. */
  readonly changes: Map<number, Window | 'member'>
  /** Windows that begin in it and are open. */
  open: number
}

export interface GatheringDependencies {
  readonly maps: Maps
  readonly clock: Clock
}

export class Gathering {
  readonly #maps: Maps
  readonly #clock: Clock
  readonly #open = new Map<string, Window>()
  readonly #ahead: Ahead[] = []
  #aheadBytes = 0
  /** No window is over before. */
  #earliestEnd = Number.POSITIVE_INFINITY

  constructor({ maps, clock }: GatheringDependencies) {
    this.#maps = maps
    this.#clock = clock
  }

  /** Learns of windows that began before `start`, where the sources begin. */
  async prime(shard: Pick<Shard, 'read' | 'at'>, start: Offset): Promise<void> {
    if (!this.#maps.gathers) return
    const next = await shard.read(start)
    const first = next && readEntries(next)[0]
    let at = await shard.at((first?.receivedAt ?? this.#clock.now()) - GATHER_MS_MAX - GATHER_GRACE_MS)
    while (at < start) {
      const batch = await shard.read(at)
      if (batch === undefined) return
      for (const entry of readEntries(batch)) if (entry.offset < start) this.#take(entry, undefined, 0)
      at = batch.next
    }
  }

  /** The sources, with what is gathered in place of what it was gathered from. */
  async *gather(sources: AsyncIterable<Source>): AsyncGenerator<Source> {
    const iterator = sources[Symbol.asyncIterator]()
    let next = iterator.next()
    // It is looked at later; whoever stops first must not end the process.
    next.catch(() => undefined)
    try {
      for (;;) {
        const read = await this.#next(next)
        if (read === 'over') this.#closeUntil(Number.POSITIVE_INFINITY)
        else if (read.done) return
        else {
          this.#add(read.value)
          next = iterator.next()
          next.catch(() => undefined)
        }
        for (let ahead = this.#ahead[0]; ahead?.open === 0; ahead = this.#ahead[0]) {
          this.#ahead.shift()
          this.#aheadBytes -= ahead.source.batch.bytes.length
          yield rewritten(ahead)
        }
      }
    } finally {
      await iterator.return?.(undefined)
    }
  }

  /** What comes next; `over` if nothing does until all windows are over, and their messages would have come. */
  async #next(next: Promise<IteratorResult<Source>>): Promise<IteratorResult<Source> | 'over'> {
    let latest = Number.NEGATIVE_INFINITY
    for (const { ahead, endsAt } of this.#open.values()) if (ahead !== undefined && endsAt > latest) latest = endsAt
    if (latest === Number.NEGATIVE_INFINITY) return next
    const waitMs = Math.min(Math.max(latest - this.#clock.now(), 0), GATHER_MS_MAX) + GATHER_GRACE_MS
    const waiting = new AbortController()
    const over = delay(waitMs, 'over' as const, { signal: waiting.signal, ref: false })
    try {
      return await Promise.race([next, over])
    } finally {
      waiting.abort()
      over.catch(() => undefined)
    }
  }

  #add(source: Source): void {
    const ahead: Ahead = { source, entries: this.#entriesOf(source.batch), changes: new Map(), open: 0 }
    this.#ahead.push(ahead)
    this.#aheadBytes += source.batch.bytes.length
    for (const [index, entry] of ahead.entries.entries()) this.#take(entry, ahead, index)
    const isFull = this.#aheadBytes > GATHER_AHEAD_BYTES_MAX || this.#open.size > GATHER_WINDOWS_MAX
    if (isFull) this.#closeUntil(Number.POSITIVE_INFINITY)
  }

  /** Nothing of a batch has to be read while nothing is gathered. */
  #entriesOf(batch: Batch): readonly Entry[] {
    return this.#maps.gathers || this.#open.size > 0 ? readEntries(batch) : []
  }

  #take(entry: Entry, ahead: Ahead | undefined, at: number): void {
    this.#closeUntil(entry.receivedAt - GATHER_GRACE_MS)
    const part = this.#partOf(entry)
    if (part === undefined) return
    const { device, receivedAt, offset } = entry
    const { sender, topic, map, gatherMs, values, bytes } = part
    const tags = map.definition.tags.map(({ column }) => valueIn(values, column) ?? '')
    const key = [map.definition.where.where, device, ...tags].join('\n')
    const index = Math.floor(receivedAt / gatherMs)
    const known = this.#open.get(key)
    if (known !== undefined && known.index === index && known.bytes + bytes <= GATHERED_BYTES_MAX) {
      Object.assign(known.values, values)
      known.bytes += bytes
      ahead?.changes.set(at, 'member')
      return
    }
    if (known !== undefined) this.#close(known)
    const endsAt = (index + 1) * gatherMs
    const micros = map.receivedMicros(receivedAt, offset)
    const from = { sender, topic, micros }
    const window: Window = { key, ahead, first: at, index, endsAt, values: { ...values }, bytes, ...from }
    this.#open.set(key, window)
    this.#earliestEnd = Math.min(this.#earliestEnd, endsAt)
    if (ahead === undefined) return
    ahead.changes.set(at, window)
    ahead.open++
  }

  /** What it adds to the reading of a window; undefined of what is not gathered. */
  #partOf(entry: Entry): Part | undefined {
    const { device, stream, receivedAt, offset, flags, framing } = entry
    // What was set aside, or was and is replayed, is by itself.
    const found = framing === FOREIGN && flags === 0 ? readForeign(entry.payload) : undefined
    if (found === undefined) return undefined
    const { sender, topic, published: payload } = found
    for (;;) {
      const { map, names } = this.#maps.for(topic) ?? {}
      const gatherMs = map?.definition.gatherMs
      if (map === undefined || names === undefined || gatherMs === undefined) return undefined
      const place = map.place(names, payload, false)
      if (place.kind !== 'taken' || place.device !== device || place.stream !== stream) return undefined
      const values = map.partOf(names, { topic, receivedAt, payload, offset })
      if (values instanceof NewColumns && this.#maps.learn(values)) continue
      if (values === undefined || values instanceof Rejection) return undefined
      const bytes = Buffer.byteLength(JSON.stringify(values))
      return bytes > GATHERED_BYTES_MAX ? undefined : { sender, topic, map, gatherMs, values, bytes }
    }
  }

  #closeUntil(time: number): void {
    if (time < this.#earliestEnd) return
    this.#earliestEnd = Number.POSITIVE_INFINITY
    for (const window of this.#open.values()) {
      if (window.endsAt <= time) this.#close(window)
      else this.#earliestEnd = Math.min(this.#earliestEnd, window.endsAt)
    }
  }

  #close(window: Window): void {
    this.#open.delete(window.key)
    if (window.ahead === undefined) return
    window.ahead.open--
    assert(window.ahead.open >= 0, 'a window is closed once')
  }
}

/** The batch as the workers are to see it. */
function rewritten({ source, entries, changes }: Ahead): Source {
  if (changes.size === 0) return source
  const changed = entries.map((entry, index) => {
    const change = changes.get(index)
    if (change === undefined) return entry
    if (change === 'member') return { ...entry, framing: MEMBER }
    const { sender, topic, micros, values } = change
    const payload = foreignPayload(topic, Buffer.from(JSON.stringify({ micros, values })), sender)
    return { ...entry, framing: GATHERED, payload }
  })
  const bytes = Buffer.alloc(changed.reduce((sum, entry) => sum + entryBytes(entry), 0))
  let at = 0
  for (const entry of changed) at = writeEntry(bytes, at, entry)
  return { ...source, batch: { ...source.batch, bytes } }
}
