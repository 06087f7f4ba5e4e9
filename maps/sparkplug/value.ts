/**
 * Owns what a metric's value is by its datatype (Sparkplug B 3.0, section 6.4.16): exact, none, left out, or refused.
 *
 *   Int8 to UInt64, DateTime   an integer; beyond 2^53 refused          Float, Double   a float; NaN and infinities refused
 *   Boolean                    a boolean                                String, Text, UUID   a string
 *   DataSet, Bytes, File, Template, arrays, property sets               left out
 *
 * A value that is null, and one whose quality is said and is not good, is none. Always true: whichever integer field a library wrote
 * a number into, it is that number or refused.
 */

import { TWO_32 } from '../../schemas/protobuf-wire.ts'
import type { ColumnKind, Value } from '../../schemas/reading.ts'
import { shortestFloat } from '../../schemas/shortest-float.ts'
import { quote } from '../../schemas/values.ts'
import { Unfit } from '../conversion.ts'
import type { Metric, WireValue } from './payload.ts'

/** A property `Quality` of a metric; left out, it is good. */
const QUALITY_GOOD = 192
const TEXT_CHARS_MAX = 65_536

interface Integer {
  readonly name: string
  readonly bits: 8 | 16 | 32 | 64
  readonly signed: boolean
}

const INTEGERS: ReadonlyMap<number, Integer> = new Map([
  [1, { name: 'Int8', bits: 8, signed: true }],
  [2, { name: 'Int16', bits: 16, signed: true }],
  [3, { name: 'Int32', bits: 32, signed: true }],
  [4, { name: 'Int64', bits: 64, signed: true }],
  [5, { name: 'UInt8', bits: 8, signed: false }],
  [6, { name: 'UInt16', bits: 16, signed: false }],
  [7, { name: 'UInt32', bits: 32, signed: false }],
  [8, { name: 'UInt64', bits: 64, signed: false }],
  [13, { name: 'DateTime', bits: 64, signed: false }],
])
const FLOATS: ReadonlyMap<number, string> = new Map([
  [9, 'Float'],
  [10, 'Double'],
])
const BOOLEAN = 11
const TEXTS: ReadonlyMap<number, string> = new Map([
  [12, 'String'],
  [14, 'Text'],
  [15, 'UUID'],
])

/** Of its datatype, what its column is; undefined of one that is left out, or not known. */
export function kindOf(datatype: number): ColumnKind | undefined {
  if (INTEGERS.has(datatype)) return 'integer'
  if (FLOATS.has(datatype)) return 'float'
  if (datatype === BOOLEAN) return 'boolean'
  return TEXTS.has(datatype) ? 'string' : undefined
}

/** Undefined if there is none, or it is left out. */
export function metricValue(
  { isNull, quality = QUALITY_GOOD, value }: Metric,
  datatype: number,
): Value | Unfit | undefined {
  if (isNull || value === undefined || quality !== QUALITY_GOOD) return undefined
  const integer = INTEGERS.get(datatype)
  if (integer !== undefined) return integerOf(value, integer)
  const float = FLOATS.get(datatype)
  if (float !== undefined) return floatOf(value, float)
  if (datatype === BOOLEAN) return value.in === 'boolean' ? value.truth : unfit(value, 'Boolean')
  const text = TEXTS.get(datatype)
  if (text === undefined) return undefined
  if (value.in !== 'string') return unfit(value, text)
  return value.text.length <= TEXT_CHARS_MAX
    ? value.text
    : new Unfit(`has ${value.text.length} characters; at most ${TEXT_CHARS_MAX} are stored`)
}

function integerOf(value: WireValue, { name, bits, signed }: Integer): number | Unfit {
  if (value.in !== 'int' && value.in !== 'long') return unfit(value, name)
  const { low, high } = value
  if (value.in === 'int' && bits === 64 && signed && low >= TWO_32 / 2) return unfit(value, name)
  // Negative ones are written in two's complement: of 64 bits, of 32, or of as many as the type has.
  const width = high !== 0 ? 64 : bits < 32 && low < 2 ** bits ? bits : value.in === 'int' || bits < 64 ? 32 : 64
  const unsigned = high * TWO_32 + low
  const number = signed && unsigned >= 2 ** (width - 1) ? negative(low, high, width) : unsigned
  const least = signed ? -(2 ** (bits - 1)) : 0
  const most = 2 ** (signed ? bits - 1 : bits)
  if (Number.isSafeInteger(number)) {
    return number >= least && number < most ? number : new Unfit(`is ${number}, which no ${name} is`)
  }
  const exact = exactly(low, high, signed)
  const fits = bits === 64 || exact === (signed ? BigInt.asIntN(bits, exact) : BigInt.asUintN(bits, exact))
  return new Unfit(`is ${exact}${fits ? ', and beyond 2^53 no number is exact' : `, which no ${name} is`}`)
}

/** Of 64 bits. */
function exactly(low: number, high: number, signed: boolean): bigint {
  const unsigned = (BigInt(high) << 32n) | BigInt(low)
  return signed ? BigInt.asIntN(64, unsigned) : unsigned
}

/** Exact as far as a number can be. */
function negative(low: number, high: number, width: number): number {
  if (width < 64) return low - 2 ** width
  return -((0xffffffff - high) * TWO_32 + (0xffffffff - low)) - 1
}

function floatOf(value: WireValue, name: string): number | Unfit {
  if (value.in !== 'float' && value.in !== 'double') return unfit(value, name)
  const { number } = value
  if (!Number.isFinite(number)) return new Unfit(`is ${number}; a number is right`)
  if (number === 0) return 0
  return value.in === 'float' ? shortestFloat(number) : number
}

const unfit = (value: WireValue, name: string) =>
  new Unfit(`is a ${name}, and its value is ${quote(`${value.in}_value`)}`)
