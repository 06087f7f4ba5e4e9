/** Owns a value that drifts: bounded, smooth, and never further in one step than its span says. */

import type { Random } from './random.ts'
import { rounding } from './rounding.ts'
import type { Span } from './span.ts'

/** A smooth random walk inside its span: it drifts, and is reflected (or wrapped) at the ends. */
export function walk(range: Span, integer: boolean, random: Random): () => number {
  const { min, max, step } = range
  const round = rounding(integer ? 0 : range.decimals)
  let value = range.rises ? random.between(min, min + step * 1000) : random.between(min, max)
  let drift = 0
  return () => {
    if (range.rises) {
      value = Math.min(max, value + random.between(0, step))
      return round(value)
    }
    drift = drift * 0.8 + random.between(-step, step) * 0.2
    value += Math.max(-step, Math.min(step, drift + random.between(-step, step) * 0.2))
    if (range.wraps) value = min + ((((value - min) % (max - min)) + (max - min)) % (max - min))
    else if (value > max) value = 2 * max - value
    else if (value < min) value = 2 * min - value
    const rounded = round(value)
    return range.wraps && rounded >= max ? min : rounded
  }
}
