/**
 * Owns the values that Avro writes as another type: dates, times of day, timestamps beside the reading's own, UUIDs, decimals, and
 * bytes. What each is in its bytes, in a reading, and in JSON.
 *
 *   date "2026-11-30" · time-millis "10:36:09.250" · timestamp-micros "2026-11-30T10:36:09.250001Z" · uuid and bytes in lower case
 *   decimal: a number
 *
 * Always true: of one kind, equal values have one text, and later ones a greater one; a decimal is the number that was meant, or refused:
 * with up to `DECIMAL_DIGITS_MAX` digits its double prints as the same digits. Bound: `BYTES_MAX`.
 */

import { quote } from './values.ts'

/** Bytes of a `bytes` or `fixed`, whose text has two characters for each. */
export const BYTES_MAX = 1_024
/** Digits, without zeros at either end, that every double keeps. */
export const DECIMAL_DIGITS_MAX = 15
/** Of a decimal as it is declared: what is written by it must fit into `DECIMAL_DIGITS_MAX` all the same. */
const PRECISION_MAX = 38

/** By which type of Avro they are written. */
const TEMPORAL = {
  date: 'int',
  'time-millis': 'int',
  'time-micros': 'long',
  'timestamp-millis': 'long',
  'timestamp-micros': 'long',
  'local-timestamp-millis': 'long',
  'local-timestamp-micros': 'long',
} as const
type Temporal = keyof typeof TEMPORAL

/** `size`: of a `fixed`; undefined if it is of `bytes`, or of a string. */
export type Logical =
  | { readonly kind: Temporal }
  | { readonly kind: 'uuid'; readonly size: number | undefined }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number; readonly size: number | undefined }
  | { readonly kind: 'bytes'; readonly size: undefined }
  | { readonly kind: 'fixed'; readonly size: number }

/** What is wrong with a value, as the rest of a sentence. */
export class Unfit {
  readonly what: string

  constructor(what: string) {
    this.what = what
  }
}

/** How a value's bytes are to be walked: a number of them is a `fixed` of that size. */
export function wireOf(leaf: Logical): 'int' | 'long' | 'string' | 'bytes' | number {
  if ('size' in leaf) return leaf.size ?? (leaf.kind === 'uuid' ? 'string' : 'bytes')
  return TEMPORAL[leaf.kind]
}

const UUID_BYTES = 16
const isTemporal = (name: unknown): name is Temporal => typeof name === 'string' && Object.hasOwn(TEMPORAL, name)
const show = (value: unknown) => JSON.stringify(value) ?? 'nothing'

/**
 * What a type says that is written as `on`, by its logical type, or none if it is bytes or fixed; `size` is that of a fixed. What is
 * wrong with it as the rest of a sentence.
 */
export function logicalOf(type: Readonly<Record<string, unknown>>, on: unknown, size?: number): Logical | Unfit {
  const { logicalType: logical } = type
  const isOn = (...types: readonly string[]) => types.includes(String(on))
  if (isTemporal(logical)) {
    const right = TEMPORAL[logical]
    return on === right ? { kind: logical } : new Unfit(`is ${show(logical)} of ${show(on)}; it must be of "${right}"`)
  }
  if (logical === 'uuid') {
    const isRight = on === 'string' || (on === 'fixed' && size === UUID_BYTES)
    return isRight ? { kind: 'uuid', size } : new Unfit(`is "uuid" of ${show(on)}; a string or a fixed of 16 is right`)
  }
  if (logical === 'decimal')
    return isOn('bytes', 'fixed')
      ? decimalOf(type, size)
      : new Unfit(`is "decimal" of ${show(on)}; bytes or a fixed is right`)
  if (logical !== undefined || !isOn('bytes', 'fixed')) {
    const known = [...Object.keys(TEMPORAL), 'uuid', 'decimal'].join(', ')
    return new Unfit(`has the logicalType ${show(logical)}, which a point cannot keep; possible are ${known}`)
  }
  return size === undefined ? { kind: 'bytes', size } : { kind: 'fixed', size }
}

function decimalOf(type: Readonly<Record<string, unknown>>, size: number | undefined): Logical | Unfit {
  const { precision, scale = 0 } = type
  const isWhole = (value: unknown, from: number, to: number): value is number =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to
  if (!isWhole(precision, 1, PRECISION_MAX)) {
    return new Unfit(`is a decimal of precision ${show(precision)}; 1 to ${PRECISION_MAX} are possible`)
  }
  if (!isWhole(scale, 0, precision)) {
    return new Unfit(`is a decimal of scale ${show(scale)}; 0 to its precision ${precision} are possible`)
  }
  return { kind: 'decimal', precision, scale, size }
}

/** The value of what Avro has for it: a number, a string or bytes. */
export function fromAvro(leaf: Logical, raw: unknown): string | number | Unfit {
  switch (leaf.kind) {
    case 'decimal':
      return decimalValue(leaf, raw as Uint8Array)
    case 'bytes':
    case 'fixed':
      return bytesText(leaf, raw as Uint8Array)
    case 'uuid':
      return typeof raw === 'string' ? uuidText(raw) : uuidText(uuidOfBytes(raw as Uint8Array))
    default:
      return temporalText(leaf.kind, raw as number)
  }
}

/** The value of what a text format has for it: the value itself, or, of what is no text in Avro, a number or bytes as there. */
export function fromJson(leaf: Logical, given: unknown): string | number | Unfit {
  const unfit = () => new Unfit(`is ${quote(given)}; ${wantedLogical(leaf)} is right`)
  switch (leaf.kind) {
    case 'decimal': {
      const isRight = typeof given === 'number' && Number.isFinite(given)
      return isRight && isDecimal(leaf, given) ? given : unfit()
    }
    case 'bytes':
    case 'fixed':
      if (given instanceof Uint8Array) return bytesText(leaf, given)
      if (typeof given !== 'string' || !HEX.test(given)) return unfit()
      return bytesText(leaf, Buffer.from(given, 'hex'))
    case 'uuid':
      if (given instanceof Uint8Array && given.length === UUID_BYTES) return uuidText(uuidOfBytes(given))
      return typeof given === 'string' ? uuidText(given) : unfit()
    default:
      if (typeof given === 'number' && Number.isSafeInteger(given)) return temporalText(leaf.kind, given)
      return (typeof given === 'string' ? sameTemporal(leaf.kind, given) : undefined) ?? unfit()
  }
}

/** The value of a default as a schema has it: Avro writes bytes there as text of one character each. */
export function fromDefault(leaf: Logical, given: unknown): unknown {
  if (given === null || given === undefined) return given
  const isBytes = wireOf(leaf) === 'bytes' || typeof wireOf(leaf) === 'number'
  return fromAvro(leaf, isBytes ? Buffer.from(String(given), 'latin1') : given)
}

export function wantedLogical(leaf: Logical): string {
  switch (leaf.kind) {
    case 'decimal':
      return wantedDecimal(leaf)
    case 'bytes':
      return `hexadecimal text of at most ${BYTES_MAX} bytes`
    case 'fixed':
      return `hexadecimal text of ${leaf.size} bytes`
    case 'uuid':
      return 'a UUID such as 123e4567-e89b-12d3-a456-426614174000'
    default:
      return `${EXAMPLES[leaf.kind]}, or the number that Avro has for it,`
  }
}

/** Of a decimal whose precision is larger than what a double keeps the digits that are not zero count apart. */
function wantedDecimal({ precision, scale }: Decimal): string {
  const whole = precision - scale
  const digits = `a number with at most ${whole} ${whole === 1 ? 'digit' : 'digits'} before the point and ${scale} behind it`
  return precision <= DECIMAL_DIGITS_MAX
    ? digits
    : `${digits}, of at most ${DECIMAL_DIGITS_MAX} digits without the zeros at either end,`
}

const EXAMPLES: Readonly<Record<Temporal, string>> = {
  date: 'a date such as "2026-11-30"',
  'time-millis': 'a time of day such as "10:36:09.250"',
  'time-micros': 'a time of day such as "10:36:09.250001"',
  'timestamp-millis': 'a time such as "2026-11-30T10:36:09.250Z"',
  'timestamp-micros': 'a time such as "2026-11-30T10:36:09.250001Z"',
  'local-timestamp-millis': 'a time without zone such as "2026-11-30T10:36:09.250"',
  'local-timestamp-micros': 'a time without zone such as "2026-11-30T10:36:09.250001"',
}

const DAY_MS = 86_400_000
/** From year 1 to year 9999: what has four digits, and sorts as text. */
const TIME_MIN_MS = Date.parse('0001-01-01T00:00:00Z')
const TIME_MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

function temporalText(kind: Temporal, raw: number): string | Unfit {
  const isMicros = kind.endsWith('micros')
  const ms = kind === 'date' ? raw * DAY_MS : isMicros ? Math.floor(raw / 1000) : raw
  const isTimeOfDay = kind.startsWith('time-')
  const [min, max] = isTimeOfDay ? [0, DAY_MS - 1] : [TIME_MIN_MS, TIME_MAX_MS]
  if (!(ms >= min && ms <= max)) return new Unfit(`is ${raw}; ${wantedLogical({ kind })} is right`)
  const iso = new Date(ms).toISOString()
  if (kind === 'date') return iso.slice(0, 10)
  const finer = isMicros ? String(raw - ms * 1000).padStart(3, '0') : ''
  const text = iso.slice(isTimeOfDay ? 11 : 0, -1) + finer
  return kind.startsWith('timestamp-') ? `${text}Z` : text
}

const DATE = /^\d{4}-\d\d-\d\d$/
const TIME = /^(\d{4}-\d\d-\d\dT|)(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|)$/

/** A text as this kind has it, whose fraction may be shorter; undefined if it is none. */
function sameTemporal(kind: Temporal, text: string): string | undefined {
  const isMoment = (iso: string) =>
    !Number.isNaN(Date.parse(`${iso}Z`)) && new Date(`${iso}Z`).toISOString().startsWith(iso)
  if (kind === 'date') return DATE.test(text) && text > '0001' && isMoment(`${text}T00:00:00`) ? text : undefined
  const [, date, time, fraction = '', zone] = TIME.exec(text) ?? []
  const digits = kind.endsWith('micros') ? 6 : 3
  if (date === undefined || fraction.length > digits) return undefined
  const isTimeOfDay = kind.startsWith('time-')
  if (isTimeOfDay !== (date === '') || (zone === 'Z') !== kind.startsWith('timestamp-')) return undefined
  if (date !== '' && date < '0001') return undefined
  if (!isMoment(`${date === '' ? '1970-01-01T' : date}${time}`)) return undefined
  return `${date}${time}.${fraction.padEnd(digits, '0')}${zone}`
}

/** The number of a timestamp's text, exact, as a schema of this precision has it; undefined if it is none. */
export function timestampOf(text: string, precision: 'ms' | 'us'): number | undefined {
  const same = sameTemporal(precision === 'ms' ? 'timestamp-millis' : 'timestamp-micros', text)
  if (same === undefined) return undefined
  const ms = Date.parse(`${same.slice(0, MILLIS_END)}Z`)
  return precision === 'ms' ? ms : ms * 1000 + Number(same.slice(MILLIS_END, -1))
}

/** Behind the milliseconds of a timestamp's text. */
const MILLIS_END = '2026-11-30T10:36:09.250'.length

const UUID = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/
const HEX = /^(?:[\dA-Fa-f]{2})*$/

function uuidText(given: string): string | Unfit {
  const text = given.toLowerCase()
  return UUID.test(text)
    ? text
    : new Unfit(`is ${quote(given)}; ${wantedLogical({ kind: 'uuid', size: undefined })} is right`)
}

const uuidOfBytes = (bytes: Uint8Array): string => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')

function bytesText(leaf: Extract<Logical, { kind: 'bytes' | 'fixed' }>, bytes: Uint8Array): string | Unfit {
  const isRight = leaf.kind === 'fixed' ? bytes.length === leaf.size : bytes.length <= BYTES_MAX
  return isRight ? hex(bytes) : new Unfit(`has ${bytes.length} bytes; ${wantedLogical(leaf)} is right`)
}

type Decimal = Extract<Logical, { kind: 'decimal' }>

/** The bytes are a whole number in two's complement, the most significant first: as many `scale`ths. */
function decimalValue(leaf: Decimal, bytes: Uint8Array): number | Unfit {
  if (bytes.length === 0 || bytes.length > BYTES_MAX) {
    return new Unfit(`has ${bytes.length} bytes; ${wantedLogical(leaf)} is right`)
  }
  const unscaled = BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex(bytes)}`))
  const digits = String(unscaled).replace('-', '')
  const text = `${unscaled}e-${leaf.scale}`
  const isExact = digits.length <= leaf.precision && digits.replace(/0+$/, '').length <= DECIMAL_DIGITS_MAX
  return isExact ? Number(text) : new Unfit(`is ${quote(text)}; ${wantedLogical(leaf)} is right`)
}

/** Whether the decimal has this number, as it prints. */
function isDecimal({ precision, scale }: Decimal, number: number): boolean {
  const [, digits = '', decimals = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(number)) ?? []
  const significant = (digits + decimals).replace(/^0+|0+$/g, '')
  const scaleNeeded = number === 0 ? 0 : decimals.length - Number(exponent)
  // Digits before the point, counted from the first that is not zero.
  const whole = number === 0 ? 0 : Math.max(0, digits.replace(/^0+/, '').length + Number(exponent))
  return significant.length <= DECIMAL_DIGITS_MAX && scaleNeeded <= scale && whole <= precision - scale
}
