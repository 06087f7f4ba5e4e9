/**
 * Owns the values that Avro writes as another type, as the platform has them in readings (docs/schemas.md, "From payload to point"):
 * dates and times as text, UUIDs and bytes as text in lower case, decimals as numbers. A test holds the two together.
 */

import type { Value } from '../readings.ts'
import type { Bytes } from './bytes.ts'
import type { LogicalShape } from './shape.ts'

const DAY_MS = 86_400_000
const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/
const BYTES_MAX = 1_024
const DECIMAL_DIGITS_MAX = 15
/** From year 1 to year 9999. */
const TIME_MIN_MS = Date.parse('0001-01-01T00:00:00Z')
const TIME_MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** Throws a `RangeError` for what no reading can have. */
export function readLogical({ wire, ...shape }: LogicalShape, bytes: Bytes): Value {
  if (typeof wire === 'number') return ofBytes(shape, bytes.take(wire))
  switch (wire) {
    case 'int':
      return timeText(shape.logical, bytes.int())
    case 'long':
      return timeText(shape.logical, bytes.long())
    case 'string':
      return uuid(bytes.string())
    case 'bytes':
      return ofBytes(shape, bytes.take(bytes.long()))
  }
}

/** Of a payload that is JSON, which the platform has checked: a shorter fraction, other letters or a number are the same value. */
export function givenLogical({ logical }: LogicalShape, given: Value): Value {
  if (logical === 'decimal') return given
  if (typeof given === 'number') return timeText(logical, given)
  const text = String(given)
  if (logical === 'date') return text
  if (!logical.includes('time')) return text.toLowerCase()
  const [, begin = '', fraction = '', zone = ''] = /^(.*:\d\d)(?:\.(\d+))?(Z?)$/.exec(text) ?? []
  return `${begin}.${fraction.padEnd(logical.endsWith('micros') ? 6 : 3, '0')}${zone}`
}

/** A schema's default, in which bytes are text of one character each. */
export function defaultLogical(shape: LogicalShape, given: Value): Value {
  const { wire, logical } = shape
  if (wire !== 'bytes' && typeof wire !== 'number')
    return logical === 'uuid' ? uuid(String(given)) : timeText(logical, Number(given))
  return ofBytes(
    shape,
    Uint8Array.from(String(given), (character) => character.charCodeAt(0)),
  )
}

function timeText(logical: string, raw: number): string {
  const isMicros = logical.endsWith('micros')
  const ms = logical === 'date' ? raw * DAY_MS : isMicros ? Math.floor(raw / 1000) : raw
  const isTimeOfDay = logical.startsWith('time-')
  const [min, max] = isTimeOfDay ? [0, DAY_MS - 1] : [TIME_MIN_MS, TIME_MAX_MS]
  if (!(ms >= min && ms <= max)) throw new RangeError(`${raw} is no ${logical}`)
  const iso = new Date(ms).toISOString()
  if (logical === 'date') return iso.slice(0, 10)
  const finer = isMicros ? String(raw - ms * 1000).padStart(3, '0') : ''
  const text = iso.slice(isTimeOfDay ? 11 : 0, -1) + finer
  return logical.startsWith('timestamp-') ? `${text}Z` : text
}

function ofBytes({ logical, precision, scale }: Omit<LogicalShape, 'wire'>, bytes: Uint8Array): Value {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  if (bytes.length > BYTES_MAX) throw new RangeError(`${bytes.length} bytes are too many`)
  if (logical === 'uuid') return uuid(hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))
  return logical === 'decimal' ? decimal(hex, bytes.length, precision, scale) : hex
}

function decimal(hex: string, length: number, precision: number, scale: number): number {
  if (length === 0) throw new RangeError('a decimal has no bytes')
  const unscaled = BigInt.asIntN(length * 8, BigInt(`0x${hex}`))
  const digits = String(unscaled).replace('-', '')
  if (digits.length > precision || digits.replace(/0+$/, '').length > DECIMAL_DIGITS_MAX) {
    throw new RangeError(`${unscaled} is too long for a decimal`)
  }
  return Number(`${unscaled}e-${scale}`)
}

function uuid(given: string): string {
  const text = given.toLowerCase()
  if (!UUID.test(text)) throw new RangeError(`${given} is no UUID`)
  return text
}
