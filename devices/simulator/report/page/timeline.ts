/** Owns the plots over the seconds of the run, with the windows of the faults behind them, numbered as in their table. */

import type uPlot from 'uplot'
import type { FaultAccount } from '../../faults/fault-account.ts'
import { count, ms, seconds } from '../numbers.ts'
import type { Columns, ReportData } from '../report-data.ts'
import { Chart, type ChartOptions, type Series } from './chart.ts'
import { card, element } from './element.ts'
import { decades, msLabel } from './log-axis.ts'

const HEIGHT_PX = 190
/** Seconds between two marks. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]
const LABEL_PX = 14
const AXIS_PX = 54

export function timeline({ summary, seconds: columns }: ReportData): { section: HTMLElement; charts: Chart[] } {
  const { faults } = summary
  const charts = [rate(columns, faults), latency(columns, faults), fleet(columns, faults)].flatMap((options) =>
    options.series.length > 0 ? [new Chart(options)] : [],
  )
  const legend = faults.map(({ kind, atMs }) => element('li', {}, `${kind}, from ${seconds(atMs)}`))
  const section = card(
    'timeline',
    'Second by second',
    ...(columns.second.length === 0
      ? [element('p', { class: 'soft' }, 'No second of it is over.')]
      : charts.map((chart) => chart.element)),
    element('p', { class: 'soft hint' }, 'Drag in a plot to look closer; a double click shows the whole run again.'),
    faults.length > 0 &&
      element(
        'div',
        { class: 'windows' },
        element('p', { class: 'soft' }, 'Shaded: what went wrong on purpose.'),
        element('ol', {}, ...legend),
      ),
  )
  return { section, charts: columns.second.length === 0 ? [] : charts }
}

const rate = (columns: Columns, faults: readonly FaultAccount[]): ChartOptions => ({
  ...common('Messages a second', columns, faults),
  paddingRight: AXIS_PX,
  series: [
    { name: 'due', values: columns.due, colour: 'soft', isDashed: true },
    { name: 'sent', values: columns.sent, colour: 'second' },
    { name: 'acknowledged', values: columns.acknowledged, colour: 'accent' },
  ],
  scales: { ...X, y: { range: (_, __, max) => [0, above(max)] } },
  axes: [X_AXIS, COUNT_AXIS],
  yText: (value) => count(value),
})

function latency(columns: Columns, faults: readonly FaultAccount[]): ChartOptions {
  const series: readonly Series[] = [
    { name: 'PUBACK p50', values: columns.pubackP50, colour: 'accent', isThin: true },
    { name: 'PUBACK p99', values: columns.pubackP99, colour: 'accent' },
    { name: 'live p50', values: columns.liveP50, colour: 'second', isThin: true },
    { name: 'live p99', values: columns.liveP99, colour: 'second' },
  ]
  return {
    ...common('Milliseconds from due to PUBACK and to an app', columns, faults),
    paddingRight: AXIS_PX,
    series: series.map((each) => ({ ...each, values: each.values.map(measurable) })).filter(isMeasured),
    scales: { ...X, y: { distr: 3, range: (_, min, max) => decades(min, max) } },
    axes: [X_AXIS, { size: AXIS_PX, values: (_, values) => values.map(msLabel) }],
    yText: (value) => ms(value),
  }
}

const fleet = (columns: Columns, faults: readonly FaultAccount[]): ChartOptions => ({
  ...common('Devices connected, and messages that wait in them', columns, faults),
  paddingRight: 0,
  series: [
    { name: 'connected', values: columns.connected, colour: 'accent' },
    { name: 'waiting', values: columns.backlog, colour: 'second', isRight: true },
  ],
  scales: {
    ...X,
    y: { range: (_, __, max) => [0, above(max)] },
    right: { range: (_, __, max) => [0, above(max)] },
  },
  axes: [X_AXIS, COUNT_AXIS, { ...COUNT_AXIS, scale: 'right', side: 1 as const, grid: { show: false } }],
  yText: (value) => count(value),
})

const common = (title: string, columns: Columns, faults: readonly FaultAccount[]) => ({
  title,
  x: columns.second.map((second) => second ?? 0),
  height: HEIGHT_PX,
  xText: clock,
  key: 'seconds',
  under: (plot: uPlot, colour: (name: string) => string) => shade(plot, faults, colour),
})

const X = { x: { time: false } } satisfies uPlot.Scales
const X_AXIS: uPlot.Axis = { space: 56, size: 28, incrs: STEPS, values: (_, values) => values.map(clock) }
const COUNT_AXIS: uPlot.Axis = { size: AXIS_PX, space: 32, values: (_, values) => values.map(shortCount) }

/** `1:05`, `1:00:05`. */
function clock(second: number): string {
  const [hours, minutes, rest] = [Math.floor(second / 3600), Math.floor((second % 3600) / 60), Math.floor(second % 60)]
  const ended = `${String(minutes).padStart(hours > 0 ? 2 : 1, '0')}:${String(rest).padStart(2, '0')}`
  return hours > 0 ? `${hours}:${ended}` : ended
}

const shortCount = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toLocaleString('en-US')}k` : value.toLocaleString('en-US')

const above = (max: number | null): number => (max ? max * 1.12 : 1)

/** A logarithm has no 0. */
const measurable = (value: number | null): number | null => (value === null ? null : Math.max(value, 0.01))

const isMeasured = ({ values }: Series): boolean => values.some((value) => value !== null)

/** Windows that overlap have their numbers one below the other. */
function shade(plot: uPlot, faults: readonly FaultAccount[], colour: (name: string) => string): void {
  const { ctx, bbox, scales } = plot
  const ends: number[] = []
  const pixels = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  for (const [index, { atMs, forMs }] of faults.entries()) {
    const to = Number.isFinite(forMs ?? Number.NaN) ? (atMs + forMs) / 1000 : (scales.x?.max ?? 0)
    const left = plot.valToPos(atMs / 1000, 'x', true)
    const width = Math.max(2 * pixels, plot.valToPos(to, 'x', true) - left)
    ctx.globalAlpha = 0.6
    ctx.fillStyle = colour('warn-wash')
    ctx.fillRect(left, bbox.top, width, bbox.height)
    ctx.globalAlpha = 1
    const lane = ends.findIndex((end) => end < left)
    const row = lane < 0 ? ends.length : lane
    ends[row] = left + Math.max(width, 16 * pixels)
    ctx.fillStyle = colour('warn')
    ctx.fillRect(left, bbox.top, pixels, bbox.height)
    ctx.font = `${11 * pixels}px system-ui, sans-serif`
    ctx.textBaseline = 'top'
    ctx.fillText(String(index + 1), left + 4 * pixels, bbox.top + (2 + row * LABEL_PX) * pixels)
  }
  ctx.restore()
}
