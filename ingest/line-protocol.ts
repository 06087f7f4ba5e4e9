/**
 * Owns the text of a point in InfluxDB's line protocol
 * (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/): measurement = stream, tags = `device` and the
 * tagged columns sorted by name, fields by column kind, time in nanoseconds. A list of numbers is a string field, as JSON has it.
 *
 * Always true: one reading is one line without a line feed in it; time is written as text by appending zeros, so no
 * nanosecond passes through a float and one request serves streams of both precisions. A line is written as the bytes of the
 * request, without a string in between: that took 1.3 us and takes 0.5 (the client's `Point` about 3).
 */

import assert from 'node:assert/strict'
import { type ColumnKind, isList, isOfKind, notOfKind, type Reading, type Stream, valueIn } from '../schemas/reading.ts'
import { NUMBER_BYTES_MAX, writeNumber, writeWhole } from './decimal.ts'

const BYTES_AT_FIRST = 64 * 1024
/** A UTF-16 unit takes at most three bytes of UTF-8, and one that is escaped two. */
const BYTES_PER_UNIT_MAX = 3

/** Lines as the bytes of a request body, each with the index of the batch's entry it came from. */
export class Lines {
  #bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
  #length = 0
  /** Where each line ends, its line feed included. */
  readonly #ends: number[] = []
  readonly #entries: number[] = []

  get count(): number {
    return this.#ends.length
  }

  /** Where the next line begins in the bytes that `withRoom` gives. */
  get length(): number {
    return this.#length
  }

  /** The bytes, with room for a line of at most so many and its line feed. */
  withRoom(lineBytesMax: number): Buffer {
    const needed = this.#length + lineBytesMax + 1
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    return this.#bytes
  }

  /** A line was written that ends there. */
  add(end: number, entry: number): void {
    assert(end > this.#length && end < this.#bytes.length, 'a line is longer than what it was given room for')
    this.#bytes[end] = LINE_FEED
    this.#length = end + 1
    this.#ends.push(this.#length)
    this.#entries.push(entry)
  }

  /** The lines from `from` to before `to`, without the last line feed. */
  slice(from: number, to: number): Buffer {
    return this.#bytes.subarray(this.#ends[from - 1] ?? 0, (this.#ends[to - 1] ?? 1) - 1)
  }

  entry(line: number): number {
    return this.#entries[line] ?? 0
  }
}

/** A point that line protocol cannot express: returned, for a strange value is an everyday event. */
export interface Inexpressible {
  readonly reason: string
}

/** A stream's columns as lines need them, made once a stream. */
export class LineWriter {
  readonly #measurement: Buffer
  readonly #precision: 'ms' | 'us'
  /** Sorted by name, with the bytes before the value. */
  readonly #tags: readonly { readonly name: string; readonly prefix: Buffer; readonly device: boolean }[]
  readonly #fields: readonly { readonly name: string; readonly prefix: Buffer; readonly kind: ColumnKind }[]
  /** Columns whose values are of any length, and the bytes of a line beside those at most. */
  readonly #texts: readonly string[]
  readonly #lists: readonly string[]
  readonly #otherBytesMax: number

  constructor(stream: Stream) {
    const names = [stream.name, ...stream.columns.map((column) => column.name)]
    // Avro names (specification, "Names") need no escaping; anything else here is our mistake.
    for (const name of names) assert(AVRO_NAME.test(name), `"${name}" is no Avro name`)
    this.#measurement = Buffer.from(stream.name)
    this.#precision = stream.precision
    const tags = stream.columns.filter((column) => column.tag).map((column) => column.name)
    this.#tags = [...tags.map((name) => ({ name, device: false })), { name: 'device', device: true }]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((tag) => ({ ...tag, prefix: Buffer.from(`,${tag.name}=`) }))
    this.#fields = stream.columns
      .filter((column) => !column.tag)
      .map(({ name, kind }) => ({ name, kind, prefix: Buffer.from(`,${name}=`) }))
    this.#texts = stream.columns.filter(({ kind }) => kind === 'string').map(({ name }) => name)
    this.#lists = stream.columns.filter(({ kind }) => isList(kind)).map(({ name }) => name)
    const prefixes = [
      this.#measurement,
      ...this.#tags.map(({ prefix }) => prefix),
      ...this.#fields.map(({ prefix }) => prefix),
    ]
    this.#otherBytesMax = prefixes.reduce((sum, { length }) => sum + length + VALUE_BYTES_MAX, TIME_BYTES_MAX)
  }

  /** Adds the line of the reading, unless that cannot be expressed; `entry` is where in its batch it came from. */
  write(reading: Reading, lines: Lines, entry: number): Inexpressible | undefined {
    const { device, ts, values } = reading
    let bytesMax = this.#otherBytesMax + device.length * BYTES_PER_UNIT_MAX
    for (const name of this.#texts) bytesMax += String(valueIn(values, name) ?? '').length * BYTES_PER_UNIT_MAX
    for (const name of this.#lists) bytesMax += (listIn(values, name)?.length ?? 0) * (NUMBER_BYTES_MAX + 1)
    const bytes = lines.withRoom(bytesMax)
    let at = copy(this.#measurement, bytes, lines.length)
    for (const tag of this.#tags) {
      const value = tag.device ? device : valueIn(values, tag.name)
      // An absent tag and an empty one are the same to InfluxDB, and an empty one does not parse.
      if (value === undefined || value === '') continue
      at = writeTagValue(bytes, copy(tag.prefix, bytes, at), String(value))
      if (at < 0) return { reason: `tag "${tag.name}" has a control character or ends with a backslash` }
    }
    let separator = SPACE
    for (const { name, prefix, kind } of this.#fields) {
      const value = valueIn(values, name)
      // InfluxDB has neither NaN nor infinity: the field is left out, as a null is.
      if (value === undefined || (kind === 'float' && typeof value === 'number' && !Number.isFinite(value))) continue
      if (!isOfKind(value, kind)) return { reason: notOfKind(name, kind, value) }
      bytes[at] = separator
      separator = COMMA
      const from = copy(prefix, bytes, at, 1)
      if (kind === 'float' || kind === 'integer') {
        at = writeNumber(bytes, from, value as number)
        if (kind === 'integer') bytes[at++] = INTEGER
      } else if (isList(kind)) at = writeList(bytes, from, value as readonly number[])
      else
        at =
          kind === 'boolean' ? copy(value === true ? TRUE : FALSE, bytes, from) : writeText(bytes, from, String(value))
    }
    if (separator === SPACE)
      return { reason: 'none of its fields has a value, and InfluxDB knows no point without one' }
    bytes[at++] = SPACE
    lines.add(writeNanoseconds(bytes, at, ts, this.#precision), entry)
    return undefined
  }
}

const AVRO_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const LINE_FEED = 0x0a
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const OPEN = 0x5b
const CLOSE = 0x5d
/** `i` behind a number. */
const INTEGER = 0x69
const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const MILLISECOND = Buffer.from('000000')
const MICROSECOND = Buffer.from('000')
/** Of a number, with an `i` behind it; of a text, its quotes. */
const VALUE_BYTES_MAX = NUMBER_BYTES_MAX + 1
/** A space, a sign, a whole number below 2^53, zeros. */
const TIME_BYTES_MAX = 1 + 1 + 16 + 6

/** Writes `part` from its `first` byte on, as far from `at`; where it ends. A loop, for what is copied is short. */
function copy(part: Buffer, bytes: Buffer, at: number, first = 0): number {
  for (let index = first; index < part.length; index++) bytes[at + index] = part[index] as number
  return at + part.length
}

/** `ts` in milliseconds, to three decimals for `us`. Exact: both integers are below 2^53 until the year 2255. */
function writeNanoseconds(bytes: Buffer, at: number, ts: number, precision: 'ms' | 'us'): number {
  const time = Math.round(precision === 'us' ? ts * 1000 : ts)
  let end = at
  if (time < 0) bytes[end++] = 0x2d
  end = writeWhole(bytes, end, Math.abs(time))
  return copy(precision === 'us' ? MICROSECOND : MILLISECOND, bytes, end)
}

/** A field string: `"` and `\` are escaped. A line feed may stand in it as it is. */
function writeText(bytes: Buffer, at: number, text: string): number {
  let end = at
  bytes[end++] = QUOTE
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 0x80) {
      end = at + 1 + bytes.write(text.replace(/["\\]/g, '\\$&'), at + 1)
      break
    }
    if (code === QUOTE || code === BACKSLASH) bytes[end++] = BACKSLASH
    bytes[end++] = code
  }
  bytes[end++] = QUOTE
  return end
}

function listIn(values: Reading['values'], name: string): readonly number[] | undefined {
  return valueIn(values, name) as readonly number[] | undefined
}

/** Quoted, and with nothing in it to escape. */
function writeList(bytes: Buffer, at: number, list: readonly number[]): number {
  let end = at
  bytes[end++] = QUOTE
  bytes[end++] = OPEN
  for (let index = 0; index < list.length; index++) {
    if (index > 0) bytes[end++] = COMMA
    end = writeNumber(bytes, end, list[index] as number)
  }
  bytes[end++] = CLOSE
  bytes[end++] = QUOTE
  return end
}

/**
 * A tag value with comma, space and equals sign escaped. A backslash is written as it is: the servers take it literally
 * unless one of those follows it unescaped. So a backslash at the end cannot be written (it would swallow what follows
 * the value), and neither can a control character: -1.
 */
function writeTagValue(bytes: Buffer, at: number, text: string): number {
  let end = at
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 0x7f) {
      if (TAG_FORBIDDEN.test(text)) return -1
      return at + bytes.write(text.replace(/[,= ]/g, '\\$&'), at)
    }
    if (code < SPACE) return -1
    if (code === COMMA || code === EQUALS || code === SPACE) bytes[end++] = BACKSLASH
    bytes[end++] = code
  }
  return bytes[end - 1] === BACKSLASH ? -1 : end
}

const TAG_FORBIDDEN = /\p{Cc}|\\$/u
