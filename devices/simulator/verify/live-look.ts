/**
 * Owns what an app got live of a run (`live.tsv`): each reading how often, with which values, in which order, how late. Always true: a reading
 * that was sent twice may come twice, one that was not acknowledged may not come; gaps that were told excuse as many messages as
 * they say. Bound: 2 bytes a reading, a number for each that came out of order.
 */

import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Places } from './places.ts'
import { highOf, lowOf, microsOf, type Sent } from './sent.ts'

const COUNT_MAX = 255
const FIELDS = 6
const LINE_END = 0x0a

export interface LiveLine {
  /** Milliseconds since 1970: when it came, and when the platform had received its message. */
  readonly at: number
  readonly device: string
  readonly stream: string
  readonly ts: number
  readonly hash: string
  readonly received: number | undefined
}

/** Of two readings, the one that was sent first came last. */
export interface Swapped {
  readonly earlier: number
  readonly later: number
  /** Whether the platform had received them in the order in which they came. */
  readonly isReceivedSo: boolean
}

export class LiveLook {
  readonly #sent: Sent
  readonly #places: Places
  readonly #lateMs: number
  /** At the first of those that are the same. */
  readonly #came: Uint8Array
  readonly #strange: Uint8Array
  /** By topic and QoS: of the last that came, the reading and its receipt. */
  readonly #last = new Map<number, { row: number; received: number | undefined }>()
  readonly swapped: Swapped[] = []
  readonly late: number[] = []
  lateMsMax = 0
  received = 0
  invented = 0
  gaps = 0
  missed = 0
  endedAt = 0

  constructor({ sent, places, lateMs }: { readonly sent: Sent; readonly places: Places; readonly lateMs: number }) {
    this.#sent = sent
    this.#places = places
    this.#lateMs = lateMs
    this.#came = new Uint8Array(sent.rows)
    this.#strange = new Uint8Array(sent.rows)
  }

  /** Undefined if nobody was subscribed. */
  static async read(
    path: string,
    about: { sent: Sent; places: Places; lateMs: number },
  ): Promise<LiveLook | undefined> {
    if (!existsSync(path)) return undefined
    const look = new LiveLook(about)
    const isWhole = endsWhole(path)
    let line: string | undefined
    for await (const next of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== undefined) look.#takeText(line)
      line = next
    }
    if (line !== undefined && isWhole) look.#takeText(line)
    return look
  }

  #takeText(line: string): void {
    const fields = line.split('\t')
    const [first = '', second = '', third = '', fourth = '', fifth = '', sixth = ''] = fields
    if (first === 'gap') this.gap(Number(second), third === '' ? Number.POSITIVE_INFINITY : Number(third))
    if (first === 'gap' || fields.length !== FIELDS) return
    const received = sixth === '' || sixth === '-' ? undefined : Number(sixth)
    this.take({ at: Number(first), device: second, stream: third, ts: Number(fourth), hash: fifth, received })
  }

  /** Infinity: nobody knows how many. */
  gap(at: number, missed: number): void {
    this.gaps++
    this.missed += missed
    this.endedAt = Math.max(this.endedAt, at)
  }

  take({ at, device: deviceName, stream: streamName, ts, hash, received }: LiveLine): void {
    this.endedAt = Math.max(this.endedAt, at)
    const sent = this.#sent
    const [stream, device] = [sent.streams.find(streamName), sent.devices.find(deviceName)]
    if (stream === undefined || device === undefined) return
    const micros = microsOf(ts)
    const [from, to] = this.#places.find(stream, device, micros)
    if (from === to) {
      if (this.#places.isAmong(stream, device, micros)) this.invented++
      return
    }
    this.received++
    const [high, low] = [highOf(hash), lowOf(hash)]
    const same: number[] = []
    for (let place = from; place < to; place++) {
      const row = this.#places.row(place)
      if (sent.isHash(row, high, low)) same.push(row)
    }
    const [row] = same
    if (row === undefined) {
      const first = this.#places.row(from)
      this.#strange[first] = Math.min(COUNT_MAX, (this.#strange[first] as number) + 1)
      return
    }
    this.#came[row] = Math.min(COUNT_MAX, (this.#came[row] as number) + 1)
    if (same.length > 1 || sent.times(sent.messageOf(row)) > 1) return
    this.#noteOrder(row, received)
    this.#noteLateness(row, at)
  }

  /** MQTT promises order to messages of one topic and QoS that are sent once. */
  #noteOrder(row: number, received: number | undefined): void {
    const message = this.#sent.messageOf(row)
    const key = this.#sent.topic(message) * QOS_COUNT + this.#sent.qos(message)
    const last = this.#last.get(key)
    if (last !== undefined && row < last.row) {
      const isReceivedSo = received !== undefined && last.received !== undefined && last.received < received
      this.swapped.push({ earlier: row, later: last.row, isReceivedSo })
      return
    }
    if (last === undefined) this.#last.set(key, { row, received })
    else [last.row, last.received] = [row, received]
  }

  #noteLateness(row: number, at: number): void {
    const message = this.#sent.messageOf(row)
    const { sentAt, acknowledgedAt, isAcknowledged, outages } = this.#sent
    const since = isAcknowledged(message) ? acknowledgedAt(message) : sentAt(message)
    if (at - since <= this.#lateMs || outages.overlap(sentAt(message), at)) return
    this.late.push(row)
    this.lateMsMax = Math.max(this.lateMsMax, at - since)
  }

  /** What an app got of a reading that is there once with these values. */
  stateOf(row: number): 'right' | 'altered' | 'missing' {
    const sent = this.#sent
    const [from, to] = this.#places.find(sent.rowStream(row), sent.rowDevice(row), sent.rowMicros(row))
    const hash = sent.rowHash(row)
    for (let place = from; place < to; place++) {
      const other = this.#places.row(place)
      if ((this.#came[other] as number) > 0 && sent.rowHash(other) === hash) return 'right'
    }
    return (this.#strange[this.#places.row(from)] as number) > 0 ? 'altered' : 'missing'
  }

  /** How often messages were sent that have a reading of its device, stream and time, whatever it says. */
  timesAt(row: number): number {
    const sent = this.#sent
    const [from, to] = this.#places.find(sent.rowStream(row), sent.rowDevice(row), sent.rowMicros(row))
    const messages = new Set<number>()
    for (let place = from; place < to; place++) messages.add(sent.messageOf(this.#places.row(place)))
    let times = 0
    for (const message of messages) times += sent.times(message)
    return times
  }

  /** Each reading is expected once for each time that it was certainly taken; `isDue`: of a message that is to come. */
  account(isDue: (message: number) => boolean): LiveAccount {
    const account: LiveAccount = {
      expected: 0,
      came: 0,
      again: 0,
      unpromised: 0,
      lost: [],
      duplicated: [],
      altered: [],
    }
    for (let place = 0; place < this.#places.count; ) {
      const end = this.#places.endOf(place)
      this.#accountOf(place, end, isDue, account)
      place = end
    }
    return account
  }

  #accountOf(place: number, end: number, isDue: (message: number) => boolean, account: LiveAccount): void {
    const sent = this.#sent
    const rows: number[] = []
    for (let at = place; at < end; at++) rows.push(this.#places.row(at))
    const first = rows[0] as number
    let strange = this.#strange[first] as number
    for (let count = 0; count < strange; count++) account.altered.push(first)
    for (const row of rows) {
      const same = rows.length === 1 ? rows : rows.filter((other) => sent.rowHash(other) === sent.rowHash(row))
      if (same[0] !== row) continue
      const came = this.#came[row] as number
      const due = same.filter((other) => isDue(sent.messageOf(other))).length
      const most = same.reduce((sum, other) => sum + timesAtMost(sent, sent.messageOf(other)), 0)
      account.expected += due
      account.came += Math.min(due, came)
      const unpromised = Math.min(Math.max(0, came - due), same.length - due)
      account.unpromised += unpromised
      account.again += Math.max(0, came - due - unpromised)
      for (let missing = due - came; missing > 0; missing--) {
        // What came with other values did come.
        if (strange > 0) strange--
        else account.lost.push(same[same.length - missing] ?? row)
      }
      // What its device may not send is told of the store.
      if (most === 0 && sent.outcome(sent.messageOf(row)) === 'dropped') continue
      for (let more = came - most; more > 0; more--) account.duplicated.push(row)
    }
  }
}

/** Readings by their numbers. */
export interface LiveAccount {
  expected: number
  /** Of the expected. */
  came: number
  /** More often than it is expected: that may be so, or is told as duplicated. */
  again: number
  unpromised: number
  readonly lost: number[]
  readonly duplicated: number[]
  readonly altered: number[]
}

const QOS_COUNT = 3
const EXACTLY_ONCE = 2

/** Of QoS 2 a message comes once however often it is sent, unless the platform was away meanwhile: it has forgotten the packet identifier then. */
function timesAtMost(sent: Sent, message: number): number {
  if (sent.outcome(message) !== 'stored') return 0
  if (sent.qos(message) !== EXACTLY_ONCE) return sent.times(message)
  const until = sent.isAcknowledged(message) ? sent.acknowledgedAt(message) : Number.POSITIVE_INFINITY
  return sent.outages.overlap(sent.sentAt(message), until) ? sent.times(message) : 1
}

/** A last line without its end was cut off. */
export function endsWhole(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const last = Buffer.alloc(1)
    const { size } = fstatSync(file)
    return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] === LINE_END
  } finally {
    closeSync(file)
  }
}
