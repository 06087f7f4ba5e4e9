/**
 * Owns the plots of a device: one for each field of a number or a boolean, by stream; of all else the last value.
 *
 * Bound: `PLOTS_MAX` plots, made when they scroll into sight; a stream is asked for when it does.
 */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { linkWith } from '../address.ts'
import type { Column, DeviceRecord, StreamOfDevice, StreamSchema } from '../answers.ts'
import { duration } from '../duration.ts'
import { streams } from '../streams.ts'
import { age, clockTime } from '../time.ts'
import { count, shown as shownValue, unitSign } from '../values.ts'
import { useInSight } from './in-sight.ts'
import { Plot } from './plot.tsx'
import { type Shown, timeText } from './range.ts'
import { AHEAD_MS, StreamData } from './stream-data.ts'

const PLOTS_MAX = 120
const PLOTTED = ['integer', 'float', 'boolean']

interface Props {
  readonly record: DeviceRecord
  readonly shown: Shown
  /** The gateway's clock less the one here. */
  readonly gatewayAheadMs: number
}

export function Plots({ record, shown, gatewayAheadMs }: Props) {
  const aheadMs = gatewayAheadMs - Math.round(record.clockOffsetMs ?? 0)
  const known = useKnown(record.streams)
  return (
    <>
      {known.map((stream) => {
        const schema = streams.value.get(stream.stream)
        if (schema === undefined) return null
        const props = { device: record.device, stream, schema, shown, aheadMs }
        return <StreamPlots key={stream.stream} {...props} />
      })}
    </>
  )
}

/** A gateway that has just begun does not know them all yet: those that it told of stay. */
function useKnown(told: readonly StreamOfDevice[]): readonly StreamOfDevice[] {
  const known = useRef(new Map<string, StreamOfDevice>())
  return useMemo(() => {
    for (const stream of told) known.current.set(stream.stream, { ...known.current.get(stream.stream), ...stream })
    return [...known.current.values()].sort((a, b) => (a.stream < b.stream ? -1 : 1))
  }, [told])
}

interface StreamProps {
  readonly device: string
  readonly stream: StreamOfDevice
  readonly schema: StreamSchema
  readonly shown: Shown
  readonly aheadMs: number
}

function StreamPlots({ device, stream, schema, shown, aheadMs }: StreamProps) {
  const section = useRef<HTMLElement>(null)
  const isSeen = useOnce(useInSight(section))
  const data = useData(isSeen, { device, stream, schema, shown, aheadMs })
  data?.changed.value
  const { last } = stream
  const has = (name: string) => last?.values[name] !== undefined || data?.series.fields.has(name)
  const columns = schema.columns.filter(({ name, tag }) => !tag && has(name))
  const plotted = columns.filter(({ kind }) => PLOTTED.includes(kind))
  const names = data === undefined || data.series.names.length === 0 ? [''] : data.series.names
  const plots = plotted.flatMap((column) => names.map((series) => ({ column, series })))
  const isMany = names.length > 1
  return (
    <section class="stream" ref={section} aria-label={`Stream ${stream.stream}`}>
      <h2>
        {stream.stream}
        <small>
          {[
            stream.intervalMs !== undefined && `one every ${duration(stream.intervalMs)}`,
            stream.heardAt !== undefined && `the last ${age(stream.heardAt)}`,
            data?.series.everyMs !== undefined && `means of ${duration(data.series.everyMs)}, the band from min to max`,
          ]
            .filter(Boolean)
            .join(' · ')}
        </small>
      </h2>
      {data?.error.value && <p class="bad">{data.error.value.message}.</p>}
      {stream.last === undefined && plots.length === 0 && <p class="soft">Nothing is stored of it.</p>}
      {last && data && <Elsewhere ts={last.ts} data={data} rangeMs={shown.rangeMs} />}
      <LastValues columns={schema.columns} plotted={plotted} last={last} />
      <div class="plots" aria-busy={data?.isAsking.value ?? true}>
        {data &&
          plots
            .slice(0, PLOTS_MAX)
            .map(({ column, series }) => (
              <Plot
                key={`${column.name} ${series}`}
                data={data}
                column={column}
                series={series}
                isNamed={isMany}
                isMean={data.series.everyMs !== undefined}
                last={data.isFixed || isMany ? undefined : last?.values[column.name]}
                at={shown.at}
              />
            ))}
      </div>
      {plots.length > PLOTS_MAX && <p class="soft">{count(plots.length - PLOTS_MAX)} more are not plotted.</p>}
      {data && data.series.left > 0 && <p class="soft">There are more series, by their tags, than are plotted.</p>}
    </section>
  )
}

/** Of a device whose clock is off, or that was away for long, the readings are of another time than is shown. */
function Elsewhere({
  ts,
  data,
  rangeMs,
}: {
  readonly ts: number
  readonly data: StreamData
  readonly rangeMs: number
}) {
  const { from, to } = data.span
  if (data.isFixed || (ts >= from && ts <= to + AHEAD_MS)) return null
  const around = { from: timeText(ts - rangeMs / 2), to: timeText(ts + rangeMs / 2) }
  return (
    <p class="soft">
      Its last reading is of {clockTime(ts)}, {age(ts)}. <a href={linkWith(around)}>Show that time</a>
    </p>
  )
}

/** Anew for another time. How often it sends, and how its clock is, are what they were when it began. */
function useData(isSeen: boolean, { device, stream, schema, shown, aheadMs }: StreamProps): StreamData | undefined {
  const { rangeMs, fixed } = shown
  const { intervalMs } = stream
  // Schemas are asked for again and again; another version may have other columns.
  const columns = JSON.stringify(schema.columns)
  const data = useMemo(
    () => (isSeen ? new StreamData({ device, schema, intervalMs, rangeMs, fixed, aheadMs }) : undefined),
    [isSeen, device, columns, rangeMs, fixed?.from, fixed?.to],
  )
  useEffect(() => {
    data?.start()
    return () => data?.stop()
  }, [data])
  return data
}

/** True from the first time on. */
function useOnce(now: boolean): boolean {
  const [was, set] = useState(now)
  useEffect(() => {
    if (now) set(true)
  }, [now])
  return was || now
}

interface LastProps {
  readonly columns: readonly Column[]
  readonly plotted: readonly Column[]
  readonly last: StreamOfDevice['last']
}

/** Tags, texts and lists. */
function LastValues({ columns, plotted, last }: LastProps) {
  const others = columns.filter((column) => !plotted.includes(column) && last?.values[column.name] !== undefined)
  if (last === undefined || others.length === 0) return null
  return (
    <dl class="others">
      {others.map(({ name, unit }) => (
        <div key={name}>
          <dt>{name.replaceAll('_', ' ')}</dt>
          <dd>
            {shownValue(last.values[name] ?? '')} {unitSign(unit)}
          </dd>
        </div>
      ))}
    </dl>
  )
}
