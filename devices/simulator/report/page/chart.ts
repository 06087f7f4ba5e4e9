/**
 * Owns one plot: uPlot with the report's colours. Always true: it is as wide as its place, in the colours that are asked for now (by day,
 * by night, on paper); arrow keys read it from point to point.
 */

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { element } from './element.ts'

/** What fits between the margins of A4 and of US letter. */
const PAPER_PX = 680
const FONT = '12px system-ui, sans-serif'

export interface Series {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** A colour of the page's: `accent`. */
  readonly colour: string
  readonly isDashed?: boolean
  readonly isThin?: boolean
  /** By the right axis. */
  readonly isRight?: boolean
}

export interface ChartOptions {
  readonly title: string
  readonly x: readonly number[]
  readonly series: readonly Series[]
  readonly height: number
  readonly scales: uPlot.Scales
  readonly axes: readonly uPlot.Axis[]
  /** The text of a value on the x axis, and of one of a series. */
  readonly xText: (x: number) => string
  readonly yText: (y: number, series: Series) => string
  /** Drawn before the series. */
  readonly under?: (plot: uPlot, colour: (name: string) => string) => void
  /** Charts of one key share their cursor and what they show. */
  readonly key?: string
  /** Room at the right, of what others of its key have there. */
  readonly paddingRight?: number
  /** Points are so far apart that lines go over what is null. */
  readonly isSparse?: boolean
}

export class Chart {
  readonly element: HTMLElement
  readonly #place = element('div', { class: 'plot' })
  readonly #said = element('p', { class: 'sr-only', 'aria-live': 'polite' })
  readonly #values: readonly HTMLElement[]
  readonly #options: ChartOptions
  #plot: uPlot | undefined
  #isOnPaper = false
  #index = -1

  constructor(options: ChartOptions) {
    this.#options = options
    this.#values = options.series.map(() => element('b', {}))
    const legend = options.series.map(({ name, colour, isDashed, isThin }, index) =>
      element(
        'li',
        { 'data-colour': colour, class: isDashed ? 'dashed' : isThin ? 'thin' : undefined },
        `${name} `,
        this.#values[index],
      ),
    )
    const group = { role: 'group', tabindex: 0, 'aria-label': `${options.title}: arrow keys read it point by point` }
    const area = element('div', { class: 'area', ...group }, this.#place, this.#said)
    area.addEventListener('keydown', (event) => this.#onKey(event))
    this.element = element(
      'figure',
      {},
      element('figcaption', {}, options.title),
      element('ul', { class: 'legend' }, ...legend),
      area,
    )
  }

  /** Once it is in the page. */
  draw(): void {
    const { x, series, height, scales, axes, under, key, isSparse, paddingRight = 12 } = this.#options
    const colour = (name: string) => getComputedStyle(this.element).getPropertyValue(`--${name}`)
    this.#plot = new uPlot(
      {
        ...{
          width: this.#place.clientWidth,
          height,
          scales,
          legend: { show: false },
          padding: [10, paddingRight, 0, 0],
        },
        axes: axes.map((axis) => ({
          ...{ stroke: () => colour('soft'), font: FONT, ticks: { stroke: () => colour('line'), size: 4 } },
          ...axis,
          grid: { stroke: () => colour('line'), width: 1, ...axis.grid },
        })),
        series: [
          {},
          ...series.map((each) => ({
            scale: each.isRight ? 'right' : 'y',
            stroke: () => colour(each.colour),
            width: each.isThin ? 1 : 2,
            ...(each.isDashed && { dash: [5, 4] }),
            points: { show: false },
            spanGaps: isSparse ?? false,
          })),
        ],
        cursor: { y: false, points: { size: 6 }, ...(key && { sync: { key, scales: ['x', null] } }) },
        hooks: {
          drawClear: [(plot) => under?.(plot, colour)],
          setCursor: [(plot) => this.#show(plot.cursor.idx ?? undefined)],
        },
      },
      [[...x], ...series.map(({ values }) => [...values])] as uPlot.AlignedData,
      this.#place,
    )
    // Drawn of what the group's name and its keys say.
    this.#place.querySelector('canvas')?.setAttribute('aria-hidden', 'true')
    new ResizeObserver(() => this.#isOnPaper || this.#resize(this.#place.clientWidth)).observe(this.#place)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#plot?.redraw(false, true))
    addEventListener('beforeprint', () => {
      this.#isOnPaper = true
      this.#resize(PAPER_PX)
    })
    addEventListener('afterprint', () => {
      this.#isOnPaper = false
      this.#resize(this.#place.clientWidth)
    })
  }

  #resize(width: number): void {
    if (width > 0) this.#plot?.setSize({ width, height: this.#options.height })
  }

  #show(index: number | undefined): void {
    for (const [at, series] of this.#options.series.entries()) {
      const value = index === undefined ? undefined : series.values[index]
      const shown = this.#values[at]
      if (shown) shown.textContent = value == null ? '' : this.#options.yText(value, series)
    }
  }

  #onKey(event: KeyboardEvent): void {
    const { x, series, xText, yText, key } = this.#options
    const last = x.length - 1
    const to = { ArrowRight: this.#index + 1, ArrowLeft: this.#index - 1, Home: 0, End: last }[event.key]
    if (to === undefined || this.#plot === undefined) return
    event.preventDefault()
    this.#index = Math.max(0, Math.min(last, to))
    const at = x[this.#index] ?? 0
    const plots = key === undefined ? [this.#plot] : uPlot.sync(key).plots
    for (const plot of plots) plot.setCursor({ left: plot.valToPos(at, 'x'), top: 0 }, true)
    const values = series.flatMap((each) => {
      const value = each.values[this.#index]
      return value == null ? [] : [`${each.name} ${yText(value, each)}`]
    })
    this.#said.textContent = `${xText(at)}: ${values.join(', ') || 'nothing'}`
  }
}
