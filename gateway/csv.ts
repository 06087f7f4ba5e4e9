/**
 * Owns readings as CSV (RFC 4180): lines end in CRLF, a field with a comma, quote or line break is quoted.
 *
 * A list of numbers is one field, as JSON has it.
 *
 * Always true: no text of a device is a formula when the file is opened in a spreadsheet (OWASP, "CSV Injection"); it has an
 * apostrophe before it. Numbers are as they are.
 */

import { type Reading, type Stream, type Value, valueIn } from '../schemas/reading.ts'

export class CsvTable {
  readonly #columns: readonly string[]

  /** Columns: `ts`, `device`, `stream`, then those of `streams` in schema order. */
  constructor(streams: readonly Stream[]) {
    this.#columns = [...new Set(streams.flatMap((stream) => stream.columns.map((column) => column.name)))]
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

/**
 * Before what makes a spreadsheet run a cell. A cell begins with the text; and, where the comma is for decimals and such a
 * file is split at semicolons, after those and after line breaks, quoted or not.
 */
const FORMULA = /(?<=^|[;\r\n])(?=[=+\-@\t＝＋－＠])|^(?=[\r\n])/g

function field(value: Value | undefined): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return `"${JSON.stringify(value)}"`
  if (typeof value !== 'string') return String(value)
  const text = value.replace(FORMULA, "'")
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
