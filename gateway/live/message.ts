/**
 * Owns one entry of the log on its way to apps: its readings, each encoded once for all subscriptions that want the same
 * columns of it.
 */

import type { Entry } from '../../log/entry.ts'
import type { Reading } from '../../schemas/reading.ts'
import type { Cursor } from './cursor.ts'
import { type Encoded, type Encoding, JSON_TEXT } from './encoding.ts'
import { encodeReading, selectFields } from './frames.ts'

/** What of a message a subscription wants. */
export interface Part {
  /** Columns; all if undefined. */
  readonly fields: ReadonlySet<string> | undefined
  /** Equal for equal `fields`; empty for all. */
  readonly fieldsKey: string
  /** A reading that was received more than so long after its own time is left out, milliseconds. */
  readonly maxDelayMs: number | undefined
  /** A reading of an earlier time is left out, milliseconds. */
  readonly since?: number
  /** JSON if it is left out. */
  readonly encoding?: Encoding
  /** Encoded without receipt: readings that were sent before. */
  readonly seen?: ReadonlySet<string>
}

export class Message {
  readonly entry: Entry
  readonly readings: readonly Reading[]
  /** So many of the readings were sent before. */
  readonly skip: number
  /** When the platform had it, milliseconds; undefined where nobody knows. */
  readonly received: number | undefined
  /** The place before the reading with this index, which is after all before it. */
  readonly before: (index: number) => Cursor
  readonly #tagsOf: (stream: string) => ReadonlySet<string>
  readonly #encoded = new Map<string, (Encoded | undefined)[]>()

  constructor(
    entry: Entry,
    readings: readonly Reading[],
    options: {
      readonly skip?: number
      readonly before: (index: number) => Cursor
      /** As apps are told it, if that is another than the entry's: undefined where nobody knows. */
      readonly received?: number | undefined
    },
    tagsOf: (stream: string) => ReadonlySet<string>,
  ) {
    this.entry = entry
    this.readings = readings
    this.skip = options.skip ?? 0
    this.before = options.before
    this.received = 'received' in options ? options.received : entry.receivedAt
    this.#tagsOf = tagsOf
  }

  /** The reading with this index, as it is wanted; undefined if nothing of it is. */
  select(index: number, { fields, maxDelayMs, since, seen }: Part): Reading | undefined {
    const reading = this.readings[index]
    if (reading === undefined) return undefined
    if (since !== undefined && reading.ts < since) return undefined
    if (seen?.has(encodeReading(reading))) return undefined
    if (maxDelayMs !== undefined && this.entry.receivedAt - reading.ts > maxDelayMs) return undefined
    return fields === undefined ? reading : selectFields(reading, fields, this.#tagsOf(reading.stream))
  }

  /** The same, encoded. */
  encoded(index: number, part: Part): Encoded | undefined {
    const { fieldsKey, maxDelayMs, since, encoding = JSON_TEXT } = part
    const isWhole = maxDelayMs === undefined && since === undefined && encoding === JSON_TEXT
    const key = isWhole ? fieldsKey : `${encoding.name} ${maxDelayMs} ${since} ${fieldsKey}`
    let encoded = this.#encoded.get(key)
    if (encoded === undefined) {
      encoded = new Array(this.readings.length)
      this.#encoded.set(key, encoded)
    }
    if (!(index in encoded)) {
      const selected = this.select(index, part)
      encoded[index] = selected && encoding.reading(selected, this.received)
    }
    return encoded[index]
  }
}
