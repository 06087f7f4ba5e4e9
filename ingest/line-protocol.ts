/**
 * Owns the text of a point in InfluxDB's line protocol
 * (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/): measurement = stream, tags = `device` and the
 * tagged columns sorted by name, fields by column kind, time in nanoseconds.
 *
 * Always true: one reading is one line without a line feed in it; time is written as text by appending zeros, so no
 * nanosecond passes through a float and one request serves streams of both precisions. Strings are built by hand: the
 * client's `Point` costs about 3 us a line, this about 1.
 */

import assert from 'node:assert/strict'
import { type ColumnKind, type Reading, type Stream, type Value, valueIn } from '../schemas/reading.ts'

const BYTES_AT_FIRST = 64 * 1024
/** A UTF-16 unit takes at most three bytes of UTF-8. */
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

  /** Encoding each line at once costs a sixth less than joining strings and encoding the whole. */
  add(line: string, entry: number): void {
    const needed = this.#length + line.length * BYTES_PER_UNIT_MAX + 1
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    this.#length += this.#bytes.write(`${line}\n`, this.#length)
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
  readonly #measurement: string
  readonly #precision: 'ms' | 'us'
  /** Sorted by name, with the text before the value. */
  readonly #tags: readonly { readonly name: string; readonly prefix: string; readonly device: boolean }[]
  readonly #fields: readonly { readonly name: string; readonly prefix: string; readonly kind: ColumnKind }[]

  constructor(stream: Stream) {
    const names = [stream.name, ...stream.columns.map((column) => column.name)]
    // Avro names (specification, "Names") need no escaping; anything else here is our mistake.
    for (const name of names) assert(AVRO_NAME.test(name), `"${name}" is no Avro name`)
    this.#measurement = stream.name
    this.#precision = stream.precision
    const tags = stream.columns.filter((column) => column.tag).map((column) => column.name)
    this.#tags = [...tags.map((name) => ({ name, device: false })), { name: 'device', device: true }]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((tag) => ({ ...tag, prefix: `,${tag.name}=` }))
    this.#fields = stream.columns
      .filter((column) => !column.tag)
      .map(({ name, kind }) => ({ name, kind, prefix: `${name}=` }))
  }

  /** The line, without a line feed at its end. */
  line(reading: Reading): string | Inexpressible {
    const { values } = reading
    let line = this.#measurement
    for (const tag of this.#tags) {
      const value = tag.device ? reading.device : valueIn(values, tag.name)
      // An absent tag and an empty one are the same to InfluxDB, and an empty one does not parse.
      if (value === undefined || value === '') continue
      const text = escapeTagValue(String(value))
      if (text === undefined) return { reason: `tag "${tag.name}" has a control character or ends with a backslash` }
      line += tag.prefix + text
    }
    let separator = ' '
    for (const field of this.#fields) {
      const value = valueIn(values, field.name)
      if (value === undefined) continue
      const text = fieldText(value, field.kind)
      if (text === undefined) continue
      line += separator + field.prefix + text
      separator = ','
    }
    if (separator === ' ') return { reason: 'none of its fields has a value, and InfluxDB knows no point without one' }
    return `${line} ${nanoseconds(reading.ts, this.#precision)}`
  }
}

const AVRO_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `ts` in milliseconds, to three decimals for `us`. Exact: both integers are below 2^53 until the year 2255. */
export function nanoseconds(ts: number, precision: 'ms' | 'us'): string {
  return precision === 'us' ? `${Math.round(ts * 1000)}000` : `${Math.round(ts)}000000`
}

function fieldText(value: Value, kind: ColumnKind): string | undefined {
  switch (kind) {
    case 'integer':
      return `${value}i`
    case 'float':
      // InfluxDB has neither NaN nor infinity: the field is left out, as a null is.
      return Number.isFinite(value) ? `${value}` : undefined
    case 'boolean':
      return value === true ? 'true' : 'false'
    case 'string':
      return quote(String(value))
  }
}

const NEEDS_QUOTING = /["\\]/

/** A field string: `"` and `\` are escaped. A line feed may stand in it as it is. */
function quote(text: string): string {
  return NEEDS_QUOTING.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`
}

/** Everything but printable ASCII without the four characters that mean something: most tag values need no more than this look. */
const TAG_NEEDS_CARE = /[^!-~]|[,=\\]/
const TAG_FORBIDDEN = /\p{Cc}|\\$/u

/**
 * A tag value with comma, space and equals sign escaped. A backslash is written as it is: the servers take it literally
 * unless one of those follows it unescaped. So a backslash at the end cannot be written (it would swallow what follows
 * the value), and neither can a line feed: undefined.
 */
function escapeTagValue(text: string): string | undefined {
  if (!TAG_NEEDS_CARE.test(text)) return text
  return TAG_FORBIDDEN.test(text) ? undefined : text.replace(/[,= ]/g, '\\$&')
}
