/** Owns readings as CSV (RFC 4180): lines end in CRLF, a field with a comma, quote or line break is quoted. */

import { type Reading, type Stream, type Value, valueIn } from '../schemas/reading.ts'

export class CsvTable {
  readonly #columns: readonly string[]

  /** Columns: `ts`, `device`, `stream`, then those of `streams` in schema order, then others that `readings` have. */
  constructor(streams: readonly Stream[], readings: readonly Reading[]) {
    const columns = new Set(streams.flatMap((stream) => stream.columns.map((column) => column.name)))
    for (const reading of readings) for (const name in reading.values) columns.add(name)
    this.#columns = [...columns]
  }

  header(): string {
    return line(['ts', 'device', 'stream', ...this.#columns])
  }

  row(reading: Reading): string {
    const { ts, device, stream, values } = reading
    return line([ts, device, stream, ...this.#columns.map((name) => valueIn(values, name))])
  }
}

function line(fields: readonly (Value | undefined)[]): string {
  return `${fields.map(field).join(',')}\r\n`
}

function field(value: Value | undefined): string {
  if (value === undefined) return ''
  if (typeof value !== 'string') return String(value)
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}
