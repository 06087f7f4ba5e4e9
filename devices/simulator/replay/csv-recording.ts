/**
 * Owns how the rows of a CSV become readings, by its first line: each column is that of the row's stream. What cannot be read is told with
 * file and line.
 */

import { isDeviceId } from '../../../identity/topics.ts'
import type { Column, Value } from '../../../schemas/reading.ts'
import { fieldsOf, withoutApostrophe } from './csv-row.ts'
import {
  NUMBER,
  type Recorded,
  type RecordingDeps,
  RecordingError,
  type RecordingOptions,
  show,
  shown,
  timeOf,
} from './recorded.ts'

/** The rows of a CSV by its first line. */
export class CsvReader {
  readonly #file: string
  readonly #header: readonly string[]
  readonly #given: RecordingOptions
  readonly #streams: RecordingDeps['streams']
  readonly #at: { readonly ts: number; readonly device: number; readonly stream: number; readonly received: number }
  /** By stream, the column of each field; undefined for what is no column of it. */
  readonly #columns = new Map<string, readonly (Column | undefined)[]>()

  constructor(header: string, line: number, given: RecordingOptions, { streams }: RecordingDeps) {
    this.#file = given.file
    this.#given = given
    this.#streams = streams
    this.#header = fieldsOf(header).map((name) => name.trim())
    const at = (name: string) => this.#header.indexOf(name)
    this.#at = { ts: at('ts'), device: at('device'), stream: at('stream'), received: at('received') }
    for (const name of ['ts', 'device', 'stream'] as const) {
      if (this.#at[name] >= 0 || (name !== 'ts' && given[name] !== undefined)) continue
      const besides = name === 'ts' ? '' : `, or to say which ${name} it is`
      throw new RecordingError(
        this.#file,
        line,
        `has no column ${name}; right are ts, device and stream before the values' own${besides}, or NDJSON`,
      )
    }
  }

  read(row: string, line: number, isWhole: boolean): Recorded {
    const fields = fieldsOf(row)
    const refuse = (what: string) => new RecordingError(this.#file, line, what)
    if (fields.length !== this.#header.length) {
      if (!isWhole) return { kind: 'cut', line }
      throw refuse(`has ${fields.length} fields, and the first line ${this.#header.length}`)
    }
    const device = this.#at.device < 0 ? (this.#given.device ?? '') : withoutApostrophe(fields[this.#at.device] ?? '')
    const stream = this.#at.stream < 0 ? (this.#given.stream ?? '') : (fields[this.#at.stream] ?? '')
    if (!isDeviceId(device)) throw refuse(`device is ${show(device)}; a device id is right`)
    const ts = timeOf(fields[this.#at.ts])
    if (ts === undefined)
      throw refuse(`ts is ${show(fields[this.#at.ts])}; milliseconds since 1970 are right, or a time`)
    const received = timeOf(fields[this.#at.received])
    const columns = this.#columnsOf(stream, refuse)
    const values: Record<string, Value> = {}
    for (let at = 0; at < fields.length; at++) {
      const field = fields[at] as string
      if (field === '' || at === this.#at.ts || at === this.#at.device || at === this.#at.stream) continue
      if (at === this.#at.received) continue
      const column = columns[at]
      if (column === undefined) throw refuse(`${shown(this.#header[at] ?? '')} is no column of ${stream}`)
      const value = valueOfField(field, column)
      if (value === undefined) throw refuse(`${column.name} is ${show(field)}; the column is of kind ${column.kind}`)
      values[column.name] = value
    }
    return { kind: 'reading', line, device, stream, ts, ...(received !== undefined && { received }), values }
  }

  #columnsOf(stream: string, refuse: (what: string) => Error): readonly (Column | undefined)[] {
    const known = this.#columns.get(stream)
    if (known !== undefined) return known
    const registered = this.#streams.stream(stream)
    if (registered === undefined) throw refuse(`there is no stream ${show(stream)}: nobody knows its columns`)
    const columns = this.#header.map((name) => registered.columns.find((column) => column.name === name))
    this.#columns.set(stream, columns)
    return columns
  }
}

function valueOfField(field: string, { kind }: Column): Value | undefined {
  switch (kind) {
    case 'string':
      return withoutApostrophe(field)
    case 'boolean':
      return field === 'true' ? true : field === 'false' ? false : undefined
    case 'integer':
    case 'float':
      return NUMBER.test(field) ? Number(field) : undefined
    default:
      try {
        const list: unknown = JSON.parse(field)
        return Array.isArray(list) && list.every((each) => typeof each === 'number') ? list : undefined
      } catch {
        return undefined
      }
  }
}
