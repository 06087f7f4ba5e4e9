/** Owns the plot of one field: its name, its chart, what it says in words, and its points as a table. Drawn while it is in sight. */

import { effect, type Signal, useComputed, useSignal } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Value } from '../../client/client.ts'
import { linkWith } from '../address.ts'
import type { Column } from '../answers.ts'
import { clockTime, dateTime, isUtc, now } from '../time.ts'
import { shown, unitSign } from '../values.ts'
import { Chart } from './chart.ts'
import { useInSight } from './in-sight.ts'
import { timeText } from './range.ts'
import type { Points } from './series.ts'
import type { StreamData } from './stream-data.ts'

const DARK = matchMedia('(prefers-color-scheme: dark)')

interface Props {
  readonly data: StreamData
  readonly column: Column
  /** Of the series, by its tags; empty if it has none. */
  readonly series: string
  /** There are others. */
  readonly isNamed: boolean
  /** A point is the mean of a bucket, and not a reading. */
  readonly isMean: boolean
  /** Of its last reading, of which a mean says nothing. */
  readonly last: Value | undefined
  readonly at: number | undefined
}

const NO_POINTS: Points = { times: [], means: [], mins: [], maxs: [] }

export function Plot({ data, column, series, isNamed, isMean, last, at }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const isSeen = useInSight(box)
  const scheme = useScheme()
  const points = useSignal<Points>(NO_POINTS)
  const cursor = useSignal<number | undefined>(undefined)
  const isBoolean = column.kind === 'boolean'
  const unit = unitSign(column.unit)
  const asked = useRef(at)
  asked.current = at
  const utc = isUtc.value
  // Another colour, another clock or another time asked about is another drawing.
  useEffect(() => {
    const element = box.current
    if (element === null || !isSeen) return
    const chart = new Chart({
      element,
      isBoolean,
      span: () => data.span,
      at: () => asked.current,
      onZoom: ({ from, to }) => {
        location.hash = linkWith({ from: timeText(from), to: timeText(to) })
      },
      onCursor: (index) => {
        cursor.value = index
      },
    })
    const watch = new ResizeObserver(() => chart.resize(element.clientWidth))
    watch.observe(element)
    const end = effect(() => {
      data.changed.value
      now.value
      const drawn = data.series.points(series, column.name, data.gapMs)
      points.value = drawn
      chart.draw(drawn)
    })
    return () => {
      end()
      watch.disconnect()
      chart.destroy()
    }
  }, [data, column.name, series, isBoolean, isSeen, scheme, utc, at])
  const name = column.name.replaceAll('_', ' ')
  return (
    <figure class="card plot" aria-label={`${name}${isNamed ? `, ${series}` : ''}`}>
      <figcaption title={column.doc}>
        <b>{name}</b>
        {isNamed && <small>{series}</small>}
        <Said
          points={points}
          cursor={cursor}
          unit={unit}
          isBoolean={isBoolean}
          isMean={isMean}
          isAsking={!isSeen || data.isAsking.value}
          last={last}
        />
      </figcaption>
      <div class="chart" ref={box} aria-hidden="true" />
      <Table points={points} unit={unit} isBoolean={isBoolean} isMean={isMean} />
    </figure>
  )
}

interface SaidProps {
  readonly last: Value | undefined
  readonly isAsking: boolean
  readonly points: Signal<Points>
  readonly cursor: Signal<number | undefined>
  readonly unit: string
  readonly isBoolean: boolean
  readonly isMean: boolean
}

/** The value under the cursor, or else the last, with the lowest and the highest. */
function Said({ points, cursor, unit, isBoolean, isMean, isAsking, last }: SaidProps) {
  const said = useComputed(() => {
    const { times, means, mins, maxs } = points.value
    const under = cursor.value
    const index = under !== undefined && means[under] != null ? under : means.findLastIndex((mean) => mean !== null)
    const mean = means[index]
    if (mean == null) return undefined
    const [lows, highs] = [mins.filter((each) => each !== null), maxs.filter((each) => each !== null)]
    const low = lows.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY)
    const high = highs.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY)
    return {
      value: isMean && !isBoolean ? shown(rounded(mean, high - low)) : textOf(mean, isBoolean),
      at: index === under ? clockTime(times[index] ?? 0) : undefined,
      low: shown(low),
      high: shown(high),
    }
  }).value
  if (said === undefined) return <span class="said soft">{isAsking ? 'asking' : 'nothing in this time'}</span>
  const { value, at, low, high } = said
  const isLast = at === undefined && isMean && last !== undefined
  return (
    <span class="said">
      <small>{at ?? (isLast || !isMean ? 'last' : 'last mean')}</small> <b>{isLast ? shown(last) : value}</b>
      {unit && ` ${unit}`}
      {!isBoolean && (
        <small class="ends">
          min {low} · max {high}
        </small>
      )}
    </span>
  )
}

/** A mean has digits that say nothing: about a hundredth of what is between the ends is enough. */
function rounded(value: number, range: number): number {
  if (!(range > 0)) return value
  const step = 10 ** Math.ceil(Math.log10(range / 1_000))
  return Number((Math.round(value / step) * step).toPrecision(12))
}

const textOf = (value: number, isBoolean: boolean) => (isBoolean ? String(value >= 0.5) : shown(value))

interface TableProps {
  readonly points: Signal<Points>
  readonly unit: string
  readonly isBoolean: boolean
  readonly isMean: boolean
}

/** What is drawn, point by point; made when it is opened. */
function Table({ points, unit, isBoolean, isMean }: TableProps) {
  const [isOpen, open] = useState(false)
  return (
    <details onToggle={({ currentTarget }) => open(currentTarget.open)}>
      <summary>As a table</summary>
      {isOpen && <Rows points={points} unit={unit} isBoolean={isBoolean} isMean={isMean} />}
    </details>
  )
}

function Rows({ points, unit, isBoolean, isMean }: TableProps) {
  const { times, means, mins, maxs } = points.value
  const hasEnds = isMean && !isBoolean
  const rows = times.flatMap((time, index) => {
    const mean = means[index]
    return mean == null ? [] : [{ time, mean, low: mins[index] ?? mean, high: maxs[index] ?? mean }]
  })
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <div class="rows" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">
              {hasEnds ? 'Mean' : 'Value'}
              {unit && `, ${unit}`}
            </th>
            {hasEnds && <th scope="col">Min</th>}
            {hasEnds && <th scope="col">Max</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, mean, low, high }) => (
            <tr key={time}>
              <td>
                <time dateTime={timeText(time)}>{dateTime(time)}</time>
              </td>
              <td>
                <data value={mean}>{textOf(mean, isBoolean)}</data>
              </td>
              {hasEnds && <td>{shown(low)}</td>}
              {hasEnds && <td>{shown(high)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function useScheme(): boolean {
  const [isDark, setDark] = useState(DARK.matches)
  useEffect(() => {
    const changed = () => setDark(DARK.matches)
    DARK.addEventListener('change', changed)
    return () => DARK.removeEventListener('change', changed)
  }, [])
  return isDark
}
