/**
 * Owns what a single value and time may be, whichever framing brought them: the checks that the Avro and the JSON
 * decoder share. Each returns what is wrong as the rest of a sentence, or undefined when all is well.
 */

/** A reading's time is further ahead of its arrival: dead-lettered as `bad-timestamp`. */
export const READING_AHEAD_MAX_MS = 24 * 3600 * 1000
/** A tag's value is longer: dead-lettered as `invalid-reading`. It names a series and is repeated in every point of it. */
export const TAG_CHARS_MAX = 256
/** What a reason quotes of a payload is cut to so many characters: a reason travels to the device and to the dead letters. */
export const QUOTE_CHARS_MAX = 64

const TIME_UNITS = [
  { name: 'seconds', ms: 1000 },
  { name: 'milliseconds', ms: 1 },
  { name: 'microseconds', ms: 1e-3 },
  { name: 'nanoseconds', ms: 1e-6 },
]

/** What is wrong with a tag's value; the empty string is no fault but is left out like null. */
export function tagFault(value: string): string | undefined {
  if (value.length > TAG_CHARS_MAX) {
    return `has ${value.length} characters; a tag names a series and has at most ${TAG_CHARS_MAX}`
  }
  // A loop, for a regular expression costs 100 ns more. Control characters would end a line of line protocol or a
  // series key; a trailing backslash would escape what follows it.
  let sound = !value.endsWith('\\')
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) sound = false
  }
  if (sound) return undefined
  return `is ${quote(value)}; a tag must have no control characters and not end in a backslash`
}

/**
 * What is wrong with a reading's time. `raw` is as sent, in units of `precision`; `receivedAt` and `earliest` are in milliseconds.
 * A time that would be right in another unit is recognised: that is the usual mistake.
 */
export function timeFault(
  raw: number,
  precision: 'ms' | 'us',
  receivedAt: number,
  earliest: number,
): string | undefined {
  const ts = precision === 'ms' ? raw : raw / 1000
  if (ts >= earliest && ts <= receivedAt + READING_AHEAD_MAX_MS) return undefined
  return describeTime(raw, ts, precision, earliest, receivedAt + READING_AHEAD_MAX_MS)
}

/** Apart from `timeFault`, which runs for every reading: its closure would cost 50 ns there. */
function describeTime(raw: number, ts: number, precision: 'ms' | 'us', earliest: number, latest: number): string {
  const unit = precision === 'ms' ? 'milliseconds' : 'microseconds'
  const meant = TIME_UNITS.find(({ name, ms }) => {
    return name !== unit && raw * ms >= earliest && raw * ms <= latest
  })
  const hint = meant ? `; it looks like ${meant.name}, ${unit} since 1970 are right` : ''
  return `is ${iso(ts)} (${raw} ${unit}), outside ${iso(earliest)} to ${iso(latest)}${hint}`
}

/** ISO 8601, or the number itself beyond the years that a `Date` can hold. */
function iso(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
}

/** A value of a payload as shown in a reason, cut to `QUOTE_CHARS_MAX`. */
export function quote(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, QUOTE_CHARS_MAX + 1)) : String(value)
  return text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}...` : text
}
