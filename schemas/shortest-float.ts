/**
 * Owns how a float32 is shown as a number: the shortest decimal that is the same float32, so that a device's 21.3 is
 * 21.3 in every store and app and not 21.299999237060547 (docs/schemas.md).
 */

/** Up to here `x * 10^d` of a float32 `x` is exact in a double: 24 bits of mantissa + 2.33 bits a power of five. */
const DECIMALS_EXACT = 12
const POWERS = Array.from({ length: DECIMALS_EXACT + 1 }, (_, decimals) => 10 ** decimals)
/** Above this, neighbouring float32 are more than 1 apart and fewer digits than all of the integer's may do. */
const INTEGERS_EXACT = 2 ** 24

/**
 * The shortest number that rounds to the float32 `x` (a finite double that is exactly a float32). Sensor values of a
 * few decimals take the loop (about 10 ns); very large and very small ones are tried by precision (about 1 us).
 */
export function shortestFloat(x: number): number {
  const magnitude = Math.abs(x)
  if (magnitude < INTEGERS_EXACT) {
    for (let decimals = 0; decimals <= DECIMALS_EXACT; decimals++) {
      const power = POWERS[decimals] as number
      const candidate = Math.round(magnitude * power) / power
      if (Math.fround(candidate) === magnitude) return x < 0 ? -candidate : candidate
    }
  }
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(x.toPrecision(digits))
    if (Math.fround(candidate) === x) return candidate
  }
  // Nine digits tell any two float32 apart (IEEE 754-2019, section 5.12.2).
  return Number(x.toPrecision(9))
}
