/**
 * Owns what one who was asked for the store's rows has shown of a run: which of its readings are there, and which rows are none of them.
 * Always true: rows of other devices, and of times at which the run sent nothing, are passed over: they are others'. Bound: a byte a reading;
 * `EXAMPLES_MAX` rows that nobody sent, the rest is counted.
 */

import type { Reading } from '../../../schemas/reading.ts'
import { rowHash, seriesHash } from '../kept/row-hash.ts'
import type { Places } from './places.ts'
import { highOf, lowOf, microsOf, type Sent, timeText } from './sent.ts'

/** The reading is there. */
const SEEN = 1
/** More than once. */
const TWICE = 2
/** Of its series and time there is one with other values. */
const STRANGE = 4
/** Of its series and time there is one that came after the run. */
const REPLACED = 8
const EXAMPLES_MAX = 5

export interface StoreRow extends Pick<Reading, 'device' | 'stream' | 'ts' | 'received'> {
  /** Undefined where the store cannot tell all of them: then it is told by its time alone. */
  readonly values: Readonly<Record<string, unknown>> | undefined
}

export class StoreLook {
  readonly #sent: Sent
  readonly #places: Places
  /** By stream, in the schema's order. */
  readonly #tags: ReadonlyMap<string, readonly string[]>
  /** Milliseconds: a row that was received before the run is of another. */
  readonly #beganAt: number
  /** Likewise one that was received after this. */
  readonly #until: number
  readonly #marks: Uint8Array
  rows = 0
  invented = 0
  readonly inventedExamples: string[] = []

  constructor(
    {
      beganAt,
      until,
      tags,
    }: { readonly beganAt: number; readonly until: number; readonly tags: ReadonlyMap<string, readonly string[]> },
    { sent, places }: { readonly sent: Sent; readonly places: Places },
  ) {
    this.#sent = sent
    this.#places = places
    this.#tags = tags
    this.#beganAt = beganAt
    this.#until = until
    this.#marks = new Uint8Array(sent.rows)
  }

  isSeen = (row: number): boolean => ((this.#marks[row] as number) & SEEN) !== 0
  isTwice = (row: number): boolean => ((this.#marks[row] as number) & TWICE) !== 0
  isStrange = (row: number): boolean => ((this.#marks[row] as number) & STRANGE) !== 0

  /** Others have sent one of its series and time since: what was there before is not known. */
  isReplaced = (row: number): boolean => ((this.#marks[row] as number) & REPLACED) !== 0

  take(reading: StoreRow): void {
    const sent = this.#sent
    const stream = sent.streams.find(reading.stream)
    const device = sent.devices.find(reading.device)
    if (stream === undefined || device === undefined) return
    const micros = microsOf(reading.ts)
    const [from, to] = this.#places.find(stream, device, micros)
    if (from === to) {
      if (this.#places.isAmong(stream, device, micros)) this.#invent(reading, micros)
      return
    }
    this.rows++
    if (reading.values === undefined) this.#mark(from, to, () => true)
    else this.#takeWith(reading.values, reading, from, to)
  }

  #takeWith(values: Readonly<Record<string, unknown>>, reading: StoreRow, from: number, to: number): void {
    const sent = this.#sent
    const hash = rowHash(values)
    const [high, low] = [highOf(hash), lowOf(hash)]
    if (this.#mark(from, to, (row) => sent.isHash(row, high, low))) return
    const name = seriesHash(values, this.#tags.get(reading.stream) ?? [])
    const series = name === undefined ? 0 : sent.series.find(name)
    for (let place = from; place < to; place++) {
      const row = this.#places.row(place)
      const own = sent.rowSeries(row)
      if (own !== 0 && name !== undefined && own !== series) continue
      this.#marks[row] = (this.#marks[row] as number) | (this.#isLater(reading) ? REPLACED : STRANGE)
      return
    }
    this.#invent(reading, microsOf(reading.ts))
  }

  /** Marks all of those that are the same: a store has one row of them. */
  #mark(from: number, to: number, isIt: (row: number) => boolean): boolean {
    let isFound = false
    for (let place = from; place < to; place++) {
      const row = this.#places.row(place)
      if (!isIt(row)) continue
      isFound = true
      const mark = this.#marks[row] as number
      this.#marks[row] = mark | ((mark & SEEN) !== 0 ? TWICE : SEEN)
    }
    return isFound
  }

  #isLater = ({ received }: StoreRow): boolean => received !== undefined && received > this.#until

  #invent(row: StoreRow, micros: number): void {
    const { device, stream, received } = row
    if ((received !== undefined && received < this.#beganAt) || this.#isLater(row)) return
    this.invented++
    if (this.inventedExamples.length < EXAMPLES_MAX)
      this.inventedExamples.push(`${device} ${stream} ${timeText(micros)}`)
  }
}
