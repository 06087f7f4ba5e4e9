/**
 * Owns what a value of a foreign payload becomes in a column, or why it cannot: as the rest of a sentence. Devices write numbers as
 * text, and truth in many ways; nothing else is taken for what it is not.
 */

import type { ColumnKind, Value } from '../schemas/reading.ts'
import { quote, tagFault } from '../schemas/values.ts'

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const TRUE = new Set(['true', 'on', 'yes', '1', 'online', 'open'])
const FALSE = new Set(['false', 'off', 'no', '0', 'offline', 'closed'])
/** What a factor leaves behind: 2153 times 0.1 is 215.3, not 215.29999999999998. */
const DIGITS = 12
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
      const scaled = factor === 1 && offset === 0 ? number : Number((number * factor + offset).toPrecision(DIGITS))
      if (kind === 'float') return scaled === 0 ? 0 : scaled
      const whole = Math.abs(scaled - Math.round(scaled)) < 1e-9 ? Math.round(scaled) : scaled
      return Number.isSafeInteger(whole) ? whole + 0 : unfit(value, 'a whole number')
    }
    case 'boolean': {
      if (typeof value === 'boolean') return value
      const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim().toLowerCase() : ''
      if (TRUE.has(text)) return true
      return FALSE.has(text) ? false : unfit(value, 'true or false, on or off, 1 or 0')
    }
    case 'string': {
      if (typeof value === 'object') return unfit(value, 'text')
      const text = String(value)
      if (LONE_SURROGATE.test(text)) return unfit(value, 'text of well-formed Unicode')
      const fault = tag ? tagFault(text) : undefined
      return fault === undefined ? text : new Unfit(fault)
    }
  }
}

const unfit = (value: unknown, right: string) => new Unfit(`is ${quote(value)}; ${right} is right`)
