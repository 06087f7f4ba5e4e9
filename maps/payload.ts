/** Owns a foreign payload as the values in it, one for each reading that it is to become. */

import { isUtf8 } from 'node:buffer'
import { READINGS_PER_MESSAGE_MAX } from '../platform/limits.ts'
import { tooMany } from '../schemas/guard.ts'
import { parseJson } from '../schemas/json-text.ts'
import { Rejection } from '../schemas/reading.ts'
import { readLines } from './line-protocol.ts'
import type { SparkplugItem } from './sparkplug/items.ts'

export interface Item {
  /** What paths lead into. */
  readonly root: unknown
  /** The time that the format itself gives, if it does. */
  readonly time?: bigint | undefined
  /** Of Sparkplug: what it says of its time, and which metrics `root` has. */
  readonly at?: SparkplugItem['at']
  readonly facts?: SparkplugItem['facts']
}

/**
 * `isOneValue`: a list is one value, and not a reading for each of its items. `takesText`: what is no JSON may be a value by itself, `ON`.
 */
export function readPayload(
  payload: Buffer,
  format: 'json' | 'influx',
  isOneValue: boolean,
  takesText = true,
): readonly Item[] | Rejection {
  if (!isUtf8(payload)) return new Rejection('unknown-framing', 'the payload is no text in UTF-8')
  const text = payload.toString('utf8')
  if (format === 'influx') {
    const lines = readLines(text)
    if (typeof lines === 'string') return new Rejection('unknown-framing', `the payload is no line protocol: ${lines}`)
    if (lines.length > READINGS_PER_MESSAGE_MAX) return tooMany(lines.length)
    return lines.map(({ fields, time }) => ({ root: fields, time }))
  }
  const root = readJson(text, takesText)
  if (root instanceof Rejection) return root
  if (isOneValue || !Array.isArray(root)) return [{ root }]
  if (root.length === 0) return new Rejection('invalid-reading', 'the list is empty; it needs at least one reading')
  if (root.length > READINGS_PER_MESSAGE_MAX) return tooMany(root.length)
  return root.map((item) => ({ root: item }))
}

/** Text that does not begin as an object or a list is a value by itself, whether it is JSON or not: `21.3`, `ON`. */
function readJson(text: string, takesText: boolean): unknown {
  const begin = text.replace(/^\ufeff/, '').trimStart()
  const value = parseJson(begin)
  const isPlain = takesText && value instanceof Rejection && !begin.startsWith('{') && !begin.startsWith('[')
  return isPlain ? begin.trimEnd() : value
}
