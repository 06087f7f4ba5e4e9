/**
 * Owns what a person is shown of a payload that says the same as JSON does, in whichever writing. Bound: `SHOWN_LEVELS_MAX` levels.
 */

import type { Contents } from './framing.ts'

/** Levels of a payload that are shown to a person who looks at it; what lies deeper is left out, and said to be. */
const SHOWN_LEVELS_MAX = 32

export function showJson(format: string, value: unknown): Contents {
  const json = cut(value, SHOWN_LEVELS_MAX)
  return {
    json: { framing: format.toLowerCase(), json },
    lines: [
      ['contents', format],
      ['', JSON.stringify(json, null, 2)],
    ],
  }
}

export function showMalformed(format: string, fault: string): Contents {
  return { json: { framing: format.toLowerCase(), fault }, lines: [['contents', `${format}: ${fault}`]] }
}

/** `value` down to so many levels of objects and arrays: `JSON.stringify` has no stack for all that fits in a payload. */
function cut(value: unknown, levels: number): unknown {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (levels === 0) return `... deeper than ${SHOWN_LEVELS_MAX} levels`
  if (Array.isArray(value)) return value.map((item) => cut(item, levels - 1))
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, cut(item, levels - 1)]))
}
