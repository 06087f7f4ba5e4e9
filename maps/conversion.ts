/**
 * Owns what a value of a foreign payload becomes in a column, or why it cannot: as the rest of a sentence. Devices write numbers as
 * text, and truth in many ways; nothing else is taken for what it is not.
 */

import type { ColumnKind, Value } from '../schemas/reading.ts'
import { quote, tagFault } from '../schemas/values.ts'

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const TRUE = new Set(['true', 'on', 'yes', '1', 'online', 'open'])
const FALSE = new Set(['false', 'off', 'no', '0', 'offline', 'closed'])
const TRUE_OR_FALSE = [...TRUE, ...FALSE].join(', ').replace(/, (\w+)$/, ' or $1')
/** Of what is calculated with: 2153 times 0.1 is 215.3, not 215.29999999999998. A double has 15 that are all right. */
const DIGITS = 15
/** `toFixed` takes no more. */
const DECIMALS_MAX = 100
const LONE_SURROGATE = /\p{Surrogate}/u

export class Unfit {
  readonly what: string

  constructor(what: string) {
    this.what = what
  }
}

export interface Scale {
  readonly factor: number
  readonly offset: number
}

export const PLAIN: Scale = { factor: 1, offset: 0 }

export function convert(value: unknown, kind: ColumnKind, tag: boolean, { factor, offset }: Scale): Value | Unfit {
  switch (kind) {
    case 'float':
    case 'integer': {
      const number = typeof value === 'string' && NUMBER.test(value.trim()) ? Number(value) : value
      if (typeof number !== 'number' || !Number.isFinite(number)) return unfit(value, 'a number')
      const scaled = factor === 1 && offset === 0 ? number : calculated(number * factor, offset)
      if (!Number.isFinite(scaled)) return unfit(value, 'a number that its factor leaves one')
      // No minus zero, as in JSON.
      if (kind === 'float') return scaled === 0 ? 0 : scaled
      return Number.isSafeInteger(scaled)
        ? scaled + 0
        : unfit(value, Number.isInteger(scaled) ? 'a whole number below 2^53' : 'a whole number')
    }
    case 'float[]':
    case 'integer[]': {
      if (!Array.isArray(value)) return unfit(value, 'an array of numbers')
      const scale = { factor, offset }
      const of = kind === 'float[]' ? 'float' : 'integer'
      const items = value.map((item: unknown) => convert(item, of, false, scale))
      return items.find((item) => item instanceof Unfit) ?? (items as number[])
    }
    case 'boolean': {
      if (typeof value === 'boolean') return value
      const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim().toLowerCase() : ''
      if (TRUE.has(text)) return true
      return FALSE.has(text) ? false : unfit(value, TRUE_OR_FALSE)
    }
    case 'string': {
      const text = textOf(value)
      if (text === undefined) return unfit(value, 'text, or a number below 2^53')
      if (LONE_SURROGATE.test(text)) return unfit(value, 'text of well-formed Unicode')
      const fault = tag ? tagFault(text) : undefined
      return fault === undefined ? text : new Unfit(fault)
    }
  }
}

/**
 * A value as text. A whole number beyond 2^53 has none: `JSON.parse` has rounded it, and two serial numbers would be one.
 */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) return undefined
  const isText = typeof value !== 'object' && value !== undefined
  return isText ? String(value) : undefined
}

/** Without the digits that lie beyond what the larger of the two has right. */
function calculated(product: number, offset: number): number {
  const sum = product + offset
  const largest = Math.max(Math.abs(product), Math.abs(offset), Math.abs(sum))
  const decimals = DIGITS - 1 - Math.floor(Math.log10(largest))
  return decimals >= 0 && decimals <= DECIMALS_MAX ? Number(sum.toFixed(decimals)) : sum
}

const unfit = (value: unknown, right: string) => new Unfit(`is ${quote(value)}; ${right} is right`)
