/**
 * Owns how a float32 is shown as a number: the shortest decimal that is the same float32, so that a device's 21.3 is 21.3 and not
 * 21.299999237060547. The platform does the same for its JSON (schemas/shortest-float.ts), and a test holds the two together.
 */

/** Up to here `x * 10^d` of a float32 is exact in a double. */
const DECIMALS_EXACT = 12
/** Above, neighbours are more than 1 apart, and fewer digits than an integer's may do. */
const INTEGERS_EXACT = 2 ** 24

export function shortestFloat(x: number): number {
  const magnitude = Math.abs(x)
  if (magnitude < INTEGERS_EXACT) {
    for (let decimals = 0, power = 1; decimals <= DECIMALS_EXACT; decimals++, power *= 10) {
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
