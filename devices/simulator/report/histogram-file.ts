/**
 * Owns `latency.hgrm`: how times were distributed, as HdrHistogram's percentile text, which its plotters read. One section each, after a
 * line that names it: `#puback, milliseconds`.
 *
 * Always true: what `histogramFile` writes, `readCurves` reads. Bound: about 100 lines a section, however many values there are.
 */

import type { Histogram } from 'hdr-histogram-js'

export const LATENCIES = ['connect', 'puback', 'live', 'slip'] as const
export type Latency = (typeof LATENCIES)[number]

/** So many of all values (0 to 1) were at most so many milliseconds. */
export interface CurvePoint {
  readonly share: number
  readonly ms: number
}
export type Curves = Readonly<Partial<Record<Latency, readonly CurvePoint[]>>>

/** Lines from one percentile to the next one that has half of the rest. */
const TICKS_PER_HALF_DISTANCE = 5

/** `perMs`: how many of the histograms' units a millisecond has. Those without a value are left out. */
export function histogramFile(histograms: Readonly<Partial<Record<Latency, Histogram>>>, perMs: number): string {
  let text = ''
  for (const name of LATENCIES) {
    const histogram = histograms[name]
    if (histogram === undefined || histogram.totalCount === 0) continue
    const distribution = histogram.outputPercentileDistribution(TICKS_PER_HALF_DISTANCE, perMs)
    text += `#${name}, milliseconds\n${distribution.trimEnd()}\n\n`
  }
  return text
}

const SECTION = /^#(\w+), milliseconds$/
const POINT = /^\s*([\d.]+)\s+([\d.]+)\s+\d+/

export function readCurves(text: string): Curves {
  const curves: Partial<Record<Latency, CurvePoint[]>> = {}
  let points: CurvePoint[] = []
  for (const line of text.split('\n')) {
    const name = LATENCIES.find((each) => each === SECTION.exec(line)?.[1])
    if (name !== undefined) {
      points = []
      curves[name] = points
    }
    const [, ms, share] = POINT.exec(line) ?? []
    if (share !== undefined) points.push({ share: Number(share), ms: Number(ms) })
  }
  return curves
}
