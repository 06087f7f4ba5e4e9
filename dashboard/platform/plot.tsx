/** Owns a small plot of what came a second in the last minutes: a line, its highest value, and how it is said in words. */

import { duration } from '../duration.ts'
import { perSecond } from './findings.ts'
import { KEPT_MS, type Sample } from './health.ts'

const WIDTH = 300
const HEIGHT = 64
/** A line at the highest value is not cut off. */
const PADDING = 2

interface Props {
  readonly label: string
  readonly samples: readonly Sample[]
  readonly of: (sample: Sample) => number
  /** What the plot is high enough for; that of several plots makes them comparable. */
  readonly max: number
}

export function Plot({ label, samples, of, max }: Props) {
  const end = samples.at(-1)?.at ?? 0
  const points = samples.map((sample) => {
    const x = WIDTH * (1 - (end - sample.at) / KEPT_MS)
    return `${x.toFixed(1)},${(HEIGHT - PADDING - (of(sample) / max) * (HEIGHT - 2 * PADDING)).toFixed(1)}`
  })
  const [first, last] = [samples[0], samples.at(-1)]
  const values = samples.map(of)
  const said = `${label}: ${perSecond(Math.min(...values))} to ${perSecond(Math.max(...values))} a second`
  return (
    <figure class="rate">
      <figcaption>
        {label}
        <b>{last === undefined ? '–' : perSecond(of(last))}</b>
        <small>a second</small>
      </figcaption>
      <div>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
          <path class="base" d={`M0 ${HEIGHT - PADDING}H${WIDTH}`} />
          {first !== undefined && <polyline points={points.join(' ')} />}
        </svg>
        <small class="highest">{perSecond(max)}</small>
      </div>
      <small class="span">
        <span>{duration(KEPT_MS)} ago</span>
        <span>now</span>
      </small>
    </figure>
  )
}

/** The next of 1, 2, 5, 10, 20 and so on. */
export function roundMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)))
  return ([1, 2, 5].find((each) => each * power >= value) ?? 10) * power
}
