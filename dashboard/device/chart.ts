/** Owns how a series is drawn: uPlot with the page's colours, times as the page says them, and a cursor that all charts share. */

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { dateTime, isUtc } from '../time.ts'
import { shown } from '../values.ts'
import type { Span } from './range.ts'
import type { Points } from './series.ts'

export const CHART_PX = 148
/** Drags that are shorter are clicks. */
const ZOOM_PX_MIN = 8
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

export interface ChartOptions {
  readonly element: HTMLElement
  readonly isBoolean: boolean
  readonly span: () => Span
  /** A time that is asked about. */
  readonly at: () => number | undefined
  readonly onZoom: (span: Span) => void
  /** The index of the point under the cursor. */
  readonly onCursor: (index: number | undefined) => void
}

export class Chart {
  readonly #plot: uPlot

  constructor({ element, isBoolean, span, at, onZoom, onCursor }: ChartOptions) {
    const colour = (name: string) => getComputedStyle(element).getPropertyValue(`--${name}`)
    const [accent, soft, line] = [colour('accent'), colour('soft'), colour('line')]
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, size: 4 }, font: FONT }
    const hidden = { stroke: 'transparent', width: 0, points: { show: false } }
    this.#plot = new uPlot(
      {
        width: element.clientWidth,
        height: CHART_PX,
        ms: 1,
        tzDate: (time) => (isUtc.value ? uPlot.tzDate(new Date(time), 'Etc/UTC') : new Date(time)),
        legend: { show: false },
        padding: [8, 18, 0, 0],
        scales: {
          x: { range: () => [span().from, span().to] },
          y: { range: isBoolean ? [-0.15, 1.15] : (_, low, high) => around(low, high) },
        },
        axes: [
          { ...axis, space: 64, size: 28, values: (_, times, __, ___, step) => timesOf(times, step) },
          {
            ...axis,
            size: 56,
            space: 28,
            ...(isBoolean && { splits: [0, 1] }),
            values: (_, values) => labelsOf(values, isBoolean),
          },
        ],
        series: [
          {},
          {
            stroke: accent,
            width: 1.5,
            points: { show: true, size: 4, fill: accent, filter: alone },
            ...(isBoolean && STEPPED && { paths: STEPPED }),
          },
          hidden,
          hidden,
        ],
        bands: [{ series: [3, 2], fill: `${accent}2e` }],
        cursor: {
          y: false,
          points: { size: 7 },
          drag: { x: true, y: false, setScale: false },
          sync: {
            key: 'device',
            scales: ['x', null],
            filters: { pub: (type) => /move|leave/.test(type), sub: () => true },
          },
        },
        hooks: {
          setCursor: [({ cursor: { idx } }) => onCursor(idx ?? undefined)],
          setSelect: [(plot) => zoom(plot, onZoom)],
          draw: [(plot) => mark(plot, at(), accent)],
        },
      },
      [[], [], [], []],
      element,
    )
  }

  draw({ times, means, mins, maxs }: Points): void {
    this.#plot.setData([times, means, mins, maxs])
  }

  resize(width: number): void {
    if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: CHART_PX })
  }

  destroy(): void {
    this.#plot.destroy()
  }
}

/** A value holds until the next. */
const STEPPED = uPlot.paths.stepped?.({ align: 1 })
const FONT = '12px system-ui, sans-serif'

/** What is drawn, and a little more; of values that are all the same, a fiftieth of them. */
function around(low: number | null, high: number | null): [number, number] {
  if (low == null || high == null) return [0, 1]
  const room = 0.1 * (high - low) || 0.01 * Math.abs(high) || 1
  return [low - room, high + room]
}

/** With the day where it changes. */
function timesOf(times: readonly number[], stepMs: number): string[] {
  let day = ''
  return times.map((time, index) => {
    const date = dateTime(time)
    const isOther = index > 0 && day !== date.slice(0, 10)
    day = date.slice(0, 10)
    if (stepMs >= DAY_MS || isOther) return date.slice(5, 10)
    return date.slice(11, stepMs < MINUTE_MS ? 19 : 16)
  })
}

const labelsOf = (values: readonly number[], isBoolean: boolean): string[] =>
  values.map((value) => (isBoolean ? String(value === 1) : shown(value)))

/** Points to which no line leads. */
function alone({ data }: uPlot, series: number): number[] {
  const values = data[series] ?? []
  const found: number[] = []
  for (let index = 0; index < values.length; index++) {
    if (values[index] != null && values[index - 1] == null && values[index + 1] == null) found.push(index)
  }
  return found
}

function zoom(plot: uPlot, onZoom: ChartOptions['onZoom']): void {
  const { left, width } = plot.select
  if (width < ZOOM_PX_MIN) return
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  onZoom({ from: plot.posToVal(left, 'x'), to: plot.posToVal(left + width, 'x') })
}

function mark({ ctx, bbox, valToPos, scales: { x } }: uPlot, at: number | undefined, colour: string): void {
  if (at === undefined || x?.min == null || x.max == null || at < x.min || at > x.max) return
  ctx.fillStyle = colour
  ctx.fillRect(valToPos(at, 'x', true), bbox.top, 2 * devicePixelRatio, bbox.height)
}
