/** Owns how times were spread: how many of all took at most how long, as HdrHistogram plots it. */

import uPlot from 'uplot'
import type { CurvePoint, Latency } from '../histogram-file.ts'
import { ms } from '../numbers.ts'
import type { ReportData } from '../report-data.ts'
import { Chart, type Series } from './chart.ts'
import { percentiles } from './checks.ts'
import { card } from './element.ts'
import { decades, msLabel } from './log-axis.ts'

const HEIGHT_PX = 260
/** On the x axis: 1 / (1 - share), where half, nine of ten, 99 of 100... lie evenly. */
const MARKS = [1, 2, 10, 100, 1000, 10_000, 100_000]

/** Narrower, there is no room for the mark of one half. */
const WIDE_PX = 500

const NAMES: readonly (readonly [Latency, string, string, boolean])[] = [
  ['puback', 'PUBACK', 'accent', false],
  ['live', 'live', 'second', false],
  ['connect', 'CONNACK', 'soft', true],
  ['slip', 'sent late', 'warn', true],
]

export function distribution({ summary, curves }: ReportData): { section: HTMLElement; charts: Chart[] } {
  const found = NAMES.flatMap(([key, name, colour, isThin]) => {
    const points = tenfold(curves[key] ?? [])
    return points.length > 1 ? [{ name, colour, isThin, points }] : []
  })
  const table = percentiles(summary)
  if (found.length === 0) return { section: card('latency', 'How long it took', table), charts: [] }
  const [x = [], ...values] = uPlot.join(
    found.map(({ points }) => [points.map(({ x }) => x), points.map(({ y }) => y)] as uPlot.AlignedData),
  )
  const series: Series[] = found.map(({ name, colour, isThin }, index) => ({
    ...{ name, colour, isThin },
    values: [...(values[index] ?? [])].map((value) => value ?? null),
  }))
  const chart = new Chart({
    title: 'How many of all took at most how long',
    ...{ x: [...x], series, height: HEIGHT_PX, isSparse: true, paddingRight: 26 },
    scales: {
      x: { time: false, distr: 3, range: (_, __, max) => [1, Math.max(10, max)] },
      y: { distr: 3, range: (_, min, max) => decades(min, max) },
    },
    axes: [
      {
        size: 28,
        splits: (plot) =>
          MARKS.filter((mark) => mark <= (plot.scales.x?.max ?? 0) && (mark !== 2 || plot.width > WIDE_PX)),
        filter: (_, splits) => splits,
        values: (_, marks) => marks.map(percentText),
      },
      { size: 62, values: (_, marks) => marks.map(msLabel) },
    ],
    xText: percentText,
    yText: (value) => ms(value),
  })
  return { section: card('latency', 'How long it took', chart.element, table), charts: [chart] }
}

/** The last of all is at infinity: it is left out, and stands in the table. Several at one place are one. */
function tenfold(points: readonly CurvePoint[]): { x: number; y: number }[] {
  const found = new Map<number, number>()
  for (const { share, ms: took } of points) if (share < 1) found.set(1 / (1 - share), Math.max(took, 0.01))
  return [...found].map(([x, y]) => ({ x, y }))
}

const percentText = (mark: number): string => `${Number((100 * (1 - 1 / mark)).toFixed(3))} %`
