/**
 * Owns numbers as decimal digits in bytes, exactly as JavaScript prints them.
 *
 * Always true: what is written is `String(x)`. Of a number with at most `DIGITS_MAX` digits, `DECIMALS_MAX` of them behind the point,
 * it is found without V8's printing of any double: if `m / 10^d` is `x` for whole `m` and `d`, the least such `d` gives the digits.
 * For among decimals of up to 15 digits no two are the same double (IEEE 754-2019, section 5.12.2), so no other that is as short is
 * `x`; and V8 prints so few decimals in full. Nearly all that sensors say is of this kind: 30 to 50 ns, where printing it and writing
 * that took 170 to 260.
 */

/** So many digits are whole numbers of 31 bits. */
const DIGITS_MAX = 9
const DECIMALS_MAX = 6
/** A number takes no more bytes: `-1.7976931348623157e+308` and the like. */
export const NUMBER_BYTES_MAX = 25

const SHORT_BELOW = 10 ** DIGITS_MAX
const POWERS = Array.from({ length: DIGITS_MAX + 1 }, (_, exponent) => 10 ** exponent)
const ZERO = 0x30

/** Writes `x`, which is finite, from `at` on; where it ends. There must be `NUMBER_BYTES_MAX`. */
export function writeNumber(bytes: Buffer, at: number, x: number): number {
  const magnitude = Math.abs(x)
  for (let decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
    const power = POWERS[decimals] as number
    const digits = Math.round(magnitude * power)
    if (digits >= SHORT_BELOW) break
    if (digits / power !== magnitude) continue
    let end = at
    if (x < 0) bytes[end++] = 0x2d
    if (decimals === 0) return writeDigits(bytes, end, digits)
    const whole = Math.floor(digits / power)
    end = writeDigits(bytes, end, whole)
    bytes[end++] = 0x2e
    return writePadded(bytes, end, digits - whole * power, decimals)
  }
  return at + bytes.write(String(x), at, 'latin1')
}

/** Writes a whole number that is not negative, and below 2^53. */
export function writeWhole(bytes: Buffer, at: number, x: number): number {
  if (x < SHORT_BELOW) return writeDigits(bytes, at, x)
  const high = Math.floor(x / SHORT_BELOW)
  return writePadded(bytes, writeDigits(bytes, at, high), x - high * SHORT_BELOW, DIGITS_MAX)
}

function writeDigits(bytes: Buffer, at: number, whole: number): number {
  let length = 1
  while (length < DIGITS_MAX && whole >= (POWERS[length] as number)) length++
  return writePadded(bytes, at, whole, length)
}

/** The last `length` digits. */
function writePadded(bytes: Buffer, at: number, whole: number, length: number): number {
  let rest = whole | 0
  for (let place = at + length - 1; place >= at; place--) {
    const next = (rest / 10) | 0
    bytes[place] = ZERO + rest - next * 10
    rest = next
  }
  return at + length
}
