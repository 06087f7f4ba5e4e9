/** Owns what another library says of a reading, column by column, and what ours must have read then. */

import assert from 'node:assert/strict'
import { LONG_MAX, LONG_MIN } from '../../schemas/guard.ts'

/** A float is the hexadecimal digits of its double, an integer decimal digits. */
export type Said = Readonly<Record<string, readonly [kind: string, value: string | boolean | null]>>

/** The values that a reading of it has; `ts` is left out. */
export function meantValues({ ts: _, ...columns }: Said): object {
  return Object.fromEntries(Object.entries(columns).map(([name, [kind, value]]) => [name, meant(kind, value)]))
}

function meant(kind: string, value: string | boolean | null): unknown {
  if (kind === 'integer') {
    const integer = BigInt(String(value))
    assert(integer >= LONG_MIN && integer <= LONG_MAX, `${integer} was taken`)
    return Number(integer)
  }
  if (kind !== 'float' && kind !== 'double') return value
  const number = Buffer.from(String(value), 'hex').readDoubleBE()
  assert(Number.isFinite(number), `${number} was taken`)
  if (number === 0) return 0
  // The shortest that is the same float32, found here in another way than in shortest-float.ts.
  for (let digits = 1; kind === 'float' && digits <= 9; digits++) {
    if (Math.fround(Number(number.toPrecision(digits))) === number) return Number(number.toPrecision(digits))
  }
  return number
}
