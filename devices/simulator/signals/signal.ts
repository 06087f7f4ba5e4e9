/**
 * Owns the signals that a scenario gives single columns. Always true: a signal never leaves what it says, and says the same for the same random
 * sequence and times; a tag never changes.
 */

import { dayWave } from './model.ts'
import type { Random } from './random.ts'
import { clamp, rounding } from './rounding.ts'
import type { Signal } from './signal-kinds.ts'
import { walk } from './walk.ts'

const DECIMALS = 2

export interface SignalContext {
  readonly isInteger: boolean
  readonly isTag: boolean
  readonly random: Random
  /** Of the reading, milliseconds since 1970. */
  readonly at: () => number
}

export function signalSource(signal: Signal, { isInteger, isTag, random, at }: SignalContext): () => unknown {
  switch (signal.kind) {
    case 'constant':
      return () => signal.value
    case 'walk':
      return walk({ ...signal, decimals: signal.decimals ?? DECIMALS }, isInteger, random)
    case 'daily': {
      const { min, max, noise } = signal
      const round = rounding(isInteger ? 0 : (signal.decimals ?? DECIMALS))
      const peak = hourOf(signal.peak)
      const [middle, half] = [(min + max) / 2, (max - min) / 2]
      return () => round(clamp(middle + half * dayWave(at(), peak) + random.between(-noise, noise), min, max))
    }
    case 'counter': {
      const { from, step } = signal
      const round = rounding(isInteger ? 0 : (signal.decimals ?? DECIMALS))
      let count = 0
      return () => round(from + step * count++)
    }
    case 'one-of': {
      const { values, change } = signal
      let chosen = values[random.below(values.length)]
      return () => {
        if (!isTag && random.next() < change) chosen = values[random.below(values.length)]
        return chosen
      }
    }
  }
}

/** Of `14:30`. */
function hourOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number)
  return hours + minutes / 60
}
