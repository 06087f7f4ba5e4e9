/**
 * Owns what a Sparkplug message says, as values by the metrics' names: one item for each time of which it speaks.
 *
 * Always true: a metric is read, left out by a rule that is written down (docs/sparkplug.md), or the message is refused whole.
 */

import { type ColumnKind, Rejection, type Value } from '../../schemas/reading.ts'
import { quote } from '../../schemas/values.ts'
import { Unfit } from '../conversion.ts'
import type { Context } from './context.ts'
import { type Metric, readSparkplug } from './payload.ts'
import { kindOf, metricValue } from './value.ts'

/** What a metric's column is, and its value. */
export interface MetricFact {
  readonly name: string
  readonly kind: ColumnKind
  readonly unit: string | undefined
  readonly value: Value
}

export interface SparkplugItem {
  /** By the metrics' names. */
  readonly root: Readonly<Record<string, Value>>
  readonly facts: readonly MetricFact[]
  /** Milliseconds since 1970 that the device says, and microseconds that tell it from an earlier message; undefined if it says none. */
  readonly at: { readonly ms: number; readonly micros: number } | undefined
}

/** They control an edge node, and measure nothing. */
const isControl = (name: string) =>
  name === 'bdSeq' || name.startsWith('Node Control/') || name.startsWith('Device Control/')
/** As devices write them. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ['°C', 'Cel'],
  ['C', 'Cel'],
  ['°F', '[degF]'],
  ['F', '[degF]'],
])
const UNIT = /^[\x21-\x7e]{1,32}$/

export function itemsOf(
  published: Buffer,
  { m = [], t = 0, l = Number.POSITIVE_INFINITY }: Context,
): readonly SparkplugItem[] | Rejection {
  const payload = readSparkplug(published)
  if (payload instanceof Rejection) return payload
  const items = new Map<number | undefined, { root: Record<string, Value>; facts: MetricFact[] }>()
  for (const [index, metric] of payload.metrics.entries()) {
    const told = m[index] || undefined
    const name = metric.name ?? told?.[0]
    const datatype = metric.datatype ?? told?.[1]
    if (name !== undefined && isControl(name)) continue
    if (name === undefined || (datatype === undefined && metric.value !== undefined)) return unknown(metric, index)
    if (name === '') return new Rejection('invalid-reading', `metric ${index + 1} has an empty name`)
    const kind = datatype === undefined ? undefined : kindOf(datatype)
    if (kind === undefined || datatype === undefined) continue
    const value = metricValue(metric, datatype)
    if (value instanceof Unfit) return new Rejection('invalid-reading', `${quote(name)} ${value.what}`)
    if (value === undefined) continue
    const ms = metric.timestamp ?? payload.timestamp
    const item = items.get(ms) ?? { root: Object.create(null) as Record<string, Value>, facts: [] }
    items.set(ms, item)
    item.root[name] = value
    item.facts.push({ name, kind, unit: unitOf(metric.unit ?? told?.[2]), value })
  }
  return [...items].map(([ms, { root, facts }]) => ({
    root,
    facts,
    at: ms === undefined ? undefined : { ms, micros: ms > l ? 0 : t },
  }))
}

/** Undefined of what is no unit's name. */
function unitOf(given: string | undefined): string | undefined {
  const unit = given === undefined ? undefined : (UNITS.get(given) ?? given)
  return unit !== undefined && UNIT.test(unit) ? unit : undefined
}

function unknown({ name, alias }: Metric, index: number): Rejection {
  const what = name === undefined ? (alias === undefined ? `metric ${index + 1}` : `the alias ${alias}`) : quote(name)
  return new Rejection(
    'unknown-metric',
    `no birth on this connection told what ${what} is; a rebirth is asked for, and what is published after it is read`,
  )
}
