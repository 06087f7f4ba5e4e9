/**
 * Owns finding messages of a device in the log by a time: those that were received at it, and those with a reading of it, whenever they
 * came. Where none is exact, those that come nearest.
 *
 * The shard that has the device is read in stretches: around the time; of a clock that is known to be ahead, around the time at which
 * such readings came; and from the first of them to the end, for what was sent late. Bounds: `STRETCH_BYTES_MAX` of each, and `STRETCH_MESSAGES_MAX` of the device, in
 * pieces with other work in between; where the last of them ended early is told. `MATCHES_MAX` messages; of `TIMES_SEEN_MAX` readings it is
 * remembered which replaced which, of those that ingest has passed.
 */

import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { DAMAGED, type Entry, entriesOfDevice, readEntry, shardOf } from '../../log/entry.ts'
import { INGEST_READER, type Shard } from '../../log/log.ts'
import type { Offset } from '../../log/position.ts'
import type { Decoder } from '../../schemas/decoder.ts'
import { type Reading, Rejection } from '../../schemas/reading.ts'

/** So far from the time the nearest message may be. */
export const TRACE_AROUND_MS = 10 * 60_000
/** 0.2 s of work, and as much again where all of it is of the device. */
const STRETCH_BYTES_MAX = 64 * 2 ** 20
const STRETCH_MESSAGES_MAX = 50_000
/** Of payload, decoded before other work gets its turn; at least one message. */
const BYTES_PER_TURN = 64 * 1024
const MATCHES_MAX = 10
const TIMES_SEEN_MAX = 50_000
/** Who names a whole second means all of it. */
const SECOND_MS = 1_000
/** A clock that is off by less is found around the time. */
const OFF_MS_MIN = 60_000

export type Match = 'received' | 'reading'

export interface Found {
  readonly shard: number
  /** Its payload is a copy. */
  readonly entry: Entry
  readonly readings: readonly Reading[] | Rejection
  readonly matched: readonly Match[]
  /** How far it is, milliseconds, later is positive; undefined of an exact one. */
  readonly offMs?: number
  /** Of its readings, those that another has replaced, as far as was looked; and where the last of these others is. */
  readonly replaced: { readonly readings: number; readonly by?: Place }
}

export interface Place {
  readonly shard: number
  readonly offset: Offset
  readonly receivedAt: number
}

export interface SearchResult {
  readonly messages: readonly Found[]
  /** Exact ones beyond `MATCHES_MAX`. */
  readonly more: number
  /** When the oldest message was received that the device's shard has, whoever sent it; undefined if it has none. */
  readonly logFrom: number | undefined
  /** Messages received later were not looked at; undefined if all were. */
  readonly lookedUntil: number | undefined
}

export interface SearchDependencies {
  readonly shards: readonly Pick<Shard, 'first' | 'read' | 'at' | 'checkpoint'>[]
  readonly decoder: Pick<Decoder, 'decode'>
  /** Equal for two readings exactly when they are of one series. */
  readonly seriesOf: (reading: Reading) => string
}

export interface Wanted {
  readonly device: string
  /** Milliseconds. */
  readonly at: number
  readonly now: number
  readonly maySee: (stream: string) => boolean
  /** Receipt less reading time, where the device's clock is known to be off. */
  readonly clockOffsetMs?: number | undefined
}

interface Seen {
  readonly place: Place
  /** Other values, another text: bursts are too long to be kept. */
  readonly sum: string
}

const sumOf = ({ values }: Reading): string => {
  const text = JSON.stringify(values)
  return `${text.length} ${crc32(text)}`
}

type Candidate = Omit<Found, 'matched' | 'replaced' | 'offMs'>

export async function searchLog(wanted: Wanted, dependencies: SearchDependencies): Promise<SearchResult> {
  const { shards } = dependencies
  const index = shardOf(wanted.device, shards.length)
  const { [index]: shard } = shards
  assert(shard !== undefined, `the log has no shard ${index}`)
  const search = new Search(wanted, dependencies, index)
  await search.look(shard)
  return search.result()
}

class Search {
  readonly #wanted: Wanted
  readonly #dependencies: SearchDependencies
  /** Of the device. */
  readonly #shard: number
  readonly #unit: number
  readonly #exact = new Map<Offset, Candidate & { matched: Match[] }>()
  readonly #nearest = new Map<Match, { candidate: Candidate; offMs: number }>()
  /** By series and time: the last reading of it. */
  readonly #seen = new Map<string, Seen>()
  #more = 0
  /** What is before it is stored or set aside. */
  #accounted = 0
  #logFrom: number | undefined
  #lookedUntil: number | undefined

  constructor(wanted: Wanted, dependencies: SearchDependencies, shard: number) {
    this.#wanted = wanted
    this.#dependencies = dependencies
    this.#shard = shard
    this.#unit = wanted.at % SECOND_MS === 0 ? SECOND_MS : 1
  }

  async look(shard: SearchDependencies['shards'][number]): Promise<void> {
    const { at, now, clockOffsetMs = 0 } = this.#wanted
    this.#logFrom = await this.#firstReceipt(shard)
    this.#accounted = (await shard.checkpoint(INGEST_READER)) ?? 0
    const [from, to] = [at - TRACE_AROUND_MS, at + TRACE_AROUND_MS]
    const start = await shard.at(from)
    const { next } = await this.#read(shard, start, to)
    if (clockOffsetMs < -OFF_MS_MIN) {
      await this.#read(shard, await shard.at(from + clockOffsetMs), to + clockOffsetMs, start)
    }
    const { isWhole, receivedAt = now } = await this.#read(shard, next, now)
    if (!isWhole) this.#lookedUntil = Math.min(now, receivedAt)
  }

  result(): SearchResult {
    const exact = [...this.#exact.values()].map((found) => ({ ...found, replaced: this.#replacedOf(found) }))
    const messages = exact.length > 0 ? exact : this.#nearestOnes()
    messages.sort((a, b) => a.entry.receivedAt - b.entry.receivedAt || a.entry.offset - b.entry.offset)
    return { messages, more: this.#more, logFrom: this.#logFrom, lookedUntil: this.#lookedUntil }
  }

  #nearestOnes(): Found[] {
    const found: Found[] = []
    for (const [match, { candidate, offMs }] of this.#nearest) {
      const same = found.findIndex(({ entry }) => entry === candidate.entry)
      const known = found[same]
      if (known === undefined) {
        found.push({ ...candidate, matched: [match], offMs, replaced: this.#replacedOf(candidate) })
      } else {
        const nearer = Math.abs(offMs) < Math.abs(known.offMs ?? 0) ? offMs : known.offMs
        found[same] = { ...known, matched: [...known.matched, match], ...(nearer !== undefined && { offMs: nearer }) }
      }
    }
    return found
  }

  async #firstReceipt(shard: Pick<Shard, 'first' | 'read'>): Promise<number | undefined> {
    const batch = await shard.read(await shard.first())
    return batch && readEntry(batch.bytes, 0, batch.firstOffset).receivedAt
  }

  /** Reads from an offset until what was received after `to`, or up to `before`, or its bound. */
  async #read(
    shard: Pick<Shard, 'read' | 'at'>,
    from: Offset,
    to: number,
    before = Number.POSITIVE_INFINITY as Offset,
  ): Promise<{ next: Offset; isWhole: boolean; receivedAt: number | undefined }> {
    const end = earlier(before, await shard.at(to + 1))
    let next = from
    let bytes = 0
    let messages = 0
    let decoded = 0
    let receivedAt: number | undefined
    for (;;) {
      const batch = await shard.read(next)
      if (batch === undefined) return { next, isWhole: true, receivedAt }
      for (const entry of entriesOfDevice(batch, this.#wanted.device)) {
        if (entry.offset < before) this.#take(entry)
        messages++
        decoded += entry.payload.length
        if (decoded < BYTES_PER_TURN) continue
        decoded = 0
        await nextTurn()
      }
      receivedAt = readEntry(batch.bytes, 0, batch.firstOffset).receivedAt
      next = batch.next
      bytes += batch.bytes.length
      await nextTurn()
      // In the commit where it ends there may be some that were received before.
      if (batch.firstOffset >= end || next >= before) return { next, isWhole: true, receivedAt }
      if (bytes >= STRETCH_BYTES_MAX || messages >= STRETCH_MESSAGES_MAX) return { next, isWhole: false, receivedAt }
    }
  }

  #take(entry: Entry): void {
    const { decoder } = this.#dependencies
    if (!this.#wanted.maySee(entry.stream)) return
    const isDamaged = (entry.flags & DAMAGED) !== 0
    const readings = isDamaged ? new Rejection('log-damaged', DAMAGED_REASON) : decoder.decode(entry)
    const candidate = { shard: this.#shard, entry, readings }
    this.#weigh('received', entry.receivedAt, candidate)
    if (readings instanceof Rejection) return
    for (const reading of readings) {
      this.#weigh('reading', reading.ts, candidate)
      if (reading.part === undefined) this.#remember(reading, candidate)
    }
  }

  #weigh(match: Match, time: number, candidate: Candidate): void {
    const { at } = this.#wanted
    if (Math.floor(time / this.#unit) === Math.floor(at / this.#unit)) {
      const { offset } = candidate.entry
      const known = this.#exact.get(offset)
      if (known !== undefined) {
        if (!known.matched.includes(match)) known.matched.push(match)
      } else if (this.#exact.size >= MATCHES_MAX) {
        this.#more++
      } else this.#exact.set(offset, { ...copied(candidate), matched: [match] })
      return
    }
    const offMs = time - at
    const nearest = this.#nearest.get(match)
    if (Math.abs(offMs) > TRACE_AROUND_MS || Math.abs(offMs) >= Math.abs(nearest?.offMs ?? Number.POSITIVE_INFINITY))
      return
    const other = [...this.#nearest.values()].find(
      ({ candidate: { entry } }) => entry.offset === candidate.entry.offset,
    )
    this.#nearest.set(match, { candidate: other?.candidate ?? copied(candidate), offMs })
  }

  #remember(reading: Reading, { shard, entry: { offset, receivedAt } }: Candidate): void {
    if (offset >= this.#accounted) return
    const key = this.#keyOf(reading)
    const known = this.#seen.get(key)
    if (known === undefined && this.#seen.size >= TIMES_SEEN_MAX) return
    if (known !== undefined && known.place.offset > offset) return
    this.#seen.set(key, { place: { shard, offset, receivedAt }, sum: sumOf(reading) })
  }

  #replacedOf({ entry, readings }: Candidate): Found['replaced'] {
    if (readings instanceof Rejection) return { readings: 0 }
    let replaced = 0
    let by: Place | undefined
    for (const reading of readings) {
      const last = this.#seen.get(this.#keyOf(reading))
      if (last === undefined || last.place.offset <= entry.offset) continue
      if (last.sum === sumOf(reading)) continue
      replaced++
      if (by === undefined || last.place.offset > by.offset) by = last.place
    }
    return { readings: replaced, ...(by && { by }) }
  }

  #keyOf(reading: Reading): string {
    return `${reading.ts} ${this.#dependencies.seriesOf(reading)}`
  }
}

const DAMAGED_REASON = 'the disk gave the log back other bytes than were written'

/** A match would keep the whole batch that it was read in. */
const copied = ({ shard, entry, readings }: Candidate): Candidate => ({
  shard,
  entry: { ...entry, payload: Buffer.from(entry.payload) },
  readings,
})

const earlier = (a: Offset, b: Offset) => (a < b ? a : b)
