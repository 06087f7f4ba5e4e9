/**
 * Owns where the readings of a run stand: those of a stream, a device and a time are found together. Always true: each reading of the run has
 * one place; those of one time stand in the order in which they were sent. Bound: 8 bytes a reading, 12 a stream and device.
 */

import { microsOf, type Sent } from './sent.ts'

/** Of two neighbours further apart, what lies between them may be another run's. */
const NEIGHBOUR_MICROS_MAX = 60_000_000

export class Places {
  readonly #sent: Sent
  /** Rows, by stream and device, then time. */
  readonly #rows: Uint32Array
  /** Where those of a stream and device begin; the last is the end of all. */
  readonly #begins: Uint32Array

  constructor(sent: Sent) {
    this.#sent = sent
    const groups = sent.streams.count * sent.devices.count
    const begins = new Uint32Array(groups + 1)
    for (let row = 0; row < sent.rows; row++) {
      const after = this.#groupOf(sent.rowStream(row), sent.rowDevice(row)) + 1
      begins[after] = (begins[after] as number) + 1
    }
    for (let group = 0; group < groups; group++)
      begins[group + 1] = (begins[group + 1] as number) + (begins[group] as number)
    const next = begins.slice()
    const rows = new Uint32Array(sent.rows)
    for (let row = 0; row < sent.rows; row++) {
      const group = this.#groupOf(sent.rowStream(row), sent.rowDevice(row))
      const place = next[group] as number
      rows[place] = row
      next[group] = place + 1
    }
    for (let group = 0; group < groups; group++) this.#sort(rows.subarray(begins[group], begins[group + 1]))
    this.#rows = rows
    this.#begins = begins
  }

  get count(): number {
    return this.#rows.length
  }

  /** The reading at a place. */
  row(place: number): number {
    return this.#rows[place] as number
  }

  /** Where the readings of a stream, device and time stand: from the first to before the second. */
  find(stream: number, device: number, micros: number): readonly [number, number] {
    const [begin, end] = this.#span(stream, device)
    const from = this.#lowerBound(begin, end, micros)
    let to = from
    while (to < end && this.#sent.rowMicros(this.row(to)) === micros) to++
    return [from, to]
  }

  /** Where those end that are of the stream, device and time of the one at a place. */
  endOf(place: number): number {
    const { rowStream, rowDevice, rowMicros } = this.#sent
    const row = this.row(place)
    let end = place + 1
    for (; end < this.count; end++) {
      const other = this.row(end)
      if (rowMicros(other) !== rowMicros(row) || rowStream(other) !== rowStream(row)) break
      if (rowDevice(other) !== rowDevice(row)) break
    }
    return end
  }

  /** Whether the run sent such readings before the time and after it, and not long before and after. */
  isAmong(stream: number, device: number, micros: number): boolean {
    const [begin, end] = this.#span(stream, device)
    const next = this.#lowerBound(begin, end, micros)
    if (next === begin || next === end) return false
    const { rowMicros } = this.#sent
    return rowMicros(this.row(next)) - rowMicros(this.row(next - 1)) <= NEIGHBOUR_MICROS_MAX
  }

  /** Spans of time, milliseconds, in which all readings of a stream lie; `to` is not in it. */
  spansOf(stream: number): { from: number; to: number }[] {
    const { rowStream, rowMicros } = this.#sent
    const minutes = new Set<number>()
    for (let row = 0; row < this.#sent.rows; row++) {
      if (rowStream(row) === stream) minutes.add(Math.floor(rowMicros(row) / MINUTE_MICROS))
    }
    const spans: { from: number; to: number }[] = []
    for (const minute of [...minutes].sort((a, b) => a - b)) {
      const last = spans.at(-1)
      const [from, to] = [(minute * MINUTE_MICROS) / 1000, ((minute + 1) * MINUTE_MICROS) / 1000]
      if (last !== undefined && from - last.to <= SPAN_GAP_MS) last.to = to
      else spans.push({ from, to })
    }
    return spans
  }

  #groupOf(stream: number, device: number): number {
    return stream * this.#sent.devices.count + device
  }

  #span(stream: number, device: number): readonly [number, number] {
    const group = this.#groupOf(stream, device)
    return [this.#begins[group] as number, this.#begins[group + 1] as number]
  }

  #lowerBound(begin: number, end: number, micros: number): number {
    let [low, high] = [begin, end]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sent.rowMicros(this.row(middle)) < micros) low = middle + 1
      else high = middle
    }
    return low
  }

  /** They are nearly always in order: a clock that never jumps. */
  #sort(rows: Uint32Array): void {
    const { rowMicros } = this.#sent
    for (let at = 1; at < rows.length; at++) {
      if (rowMicros(rows[at] as number) >= rowMicros(rows[at - 1] as number)) continue
      rows.sort((a, b) => rowMicros(a) - rowMicros(b) || a - b)
      return
    }
  }
}

const MINUTE_MICROS = microsOf(60_000)
/** Shorter ones are asked for with what is around them. */
const SPAN_GAP_MS = 600_000
