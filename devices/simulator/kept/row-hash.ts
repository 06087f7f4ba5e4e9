/**
 * Owns what is compared of a reading: a hash of its values, whoever shows them: an app's frame, the history of the store, a decoder. Always
 * true: two readings have one hash when they have the same columns with the same values, in whatever order. 64 bits: it is compared only
 * where device, stream and time are the same, so that no two are the same by chance.
 */

import { hash } from 'node:crypto'
import type { Reading } from '../../../schemas/reading.ts'

/** Sixteen hexadecimal digits. */
export const hashOf = (bytes: Uint8Array | string): string => hash('sha1', bytes, 'hex').slice(0, HASH_CHARS)

export const HASH_CHARS = 16

/** Of the tags alone, in the schema's order, by which the store knows a series; undefined of a stream without any. An absent tag is an empty one. */
export function seriesHash(
  values: Reading['values'] | Readonly<Record<string, unknown>>,
  tags: readonly string[],
): string | undefined {
  if (tags.length === 0) return undefined
  return hashOf(JSON.stringify(tags.map((tag) => values[tag] || ''))).slice(0, SERIES_CHARS)
}

const SERIES_CHARS = 8

/** Of the values as JSON, by the names of their columns; a value that is null is not there. */
export function rowHash(values: Reading['values'] | Readonly<Record<string, unknown>>): string {
  let text = ''
  for (const name of Object.keys(values).sort()) {
    const value = values[name]
    if (value !== null && value !== undefined) text += `${JSON.stringify(name)}:${JSON.stringify(value)},`
  }
  return hashOf(text)
}
