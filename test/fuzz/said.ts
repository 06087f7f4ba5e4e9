/** Owns what another library says of a reading, column by column, and what ours must have read then. */

import assert from 'node:assert/strict'
import { LONG_MAX, LONG_MIN } from '../../schemas/guard.ts'

/**
 * A float is the hexadecimal digits of its double, an integer decimal digits, a list what each of its numbers is. What no reading may
 * have is `unfit`, and why.
 */
export type Said = Readonly<Record<string, SaidValue>>
type SaidValue = readonly [kind: string, value: string | boolean | null | readonly SaidValue[]]

/** The values that a reading of it has; `ts` is left out. */
export function meantValues({ ts: _, ...columns }: Said): object {
  return Object.fromEntries(Object.entries(columns).map(([name, value]) => [name, meant(value)]))
}

/** Milliseconds. */
export const meantTime = ({ ts }: Said): unknown => meant(ts ?? assert.fail('it has no time'))

export function isUnfit([kind, value]: SaidValue): boolean {
  if (Array.isArray(value)) return value.some(isUnfit)
  return kind === 'unfit' || (isFloat(kind) && !Number.isFinite(doubleOf(value)))
}

const isFloat = (kind: string) => kind === 'float' || kind === 'double'
const doubleOf = (value: unknown): number => Buffer.from(String(value), 'hex').readDoubleBE()

function meant([kind, value]: SaidValue): unknown {
  assert.notEqual(kind, 'unfit', `${value} was taken`)
  if (Array.isArray(value)) return value.map(meant)
  if (kind === 'integer') {
    const integer = BigInt(String(value))
    assert(integer >= LONG_MIN && integer <= LONG_MAX, `${integer} was taken`)
    return Number(integer)
  }
  if (!isFloat(kind)) return value
  const number = doubleOf(value)
  assert(Number.isFinite(number), `${number} was taken`)
  if (number === 0) return 0
  // The shortest that is the same float32, found here in another way than in shortest-float.ts.
  for (let digits = 1; kind === 'float' && digits <= 9; digits++) {
    if (Math.fround(Number(number.toPrecision(digits))) === number) return Number(number.toPrecision(digits))
  }
  return number
}
