/**
 * Owns the InfluxQL of history (https://docs.influxdata.com/influxdb/v1/query_language/spec/), which InfluxDB 1.x and 2.x
 * both answer at `GET /query`; 2.x maps a bucket to a database by itself.
 *
 * Always true: names stand in double quotes and strings in single ones, both escaped, so neither a device id nor a
 * column can change a statement; only the registry's columns are asked for.
 */

import type { HistoryQuery } from '../../schemas/history.ts'
import type { Stream } from '../../schemas/reading.ts'
import type { Stretch, Times } from '../history-by-time.ts'
import { tagsOf } from '../history-order.ts'
import { aggregatedColumns, type StreamSelection } from '../history-page.ts'

/** The readings of a stretch of time, in the order of time alone: at one time they come as they may. */
export function readingsStatement(stretch: Stretch, order: HistoryQuery['order']): string {
  const { stream, devices, from, to, rowsMax } = stretch
  const names = ['device', ...stream.columns.map(({ name }) => name)].map(identifier)
  const limit = rowsMax === undefined ? '' : ` LIMIT ${rowsMax}`
  return `SELECT ${names.join(',')} FROM ${identifier(stream.name)} ${where(from, to, devices)} ${byTime(order)}${limit}`
}

/** The windows of a stream that begin in the times, or undefined if nothing can come of it. */
export function windowsStatement(
  { stream, devices }: StreamSelection,
  { from, to }: Times,
  query: HistoryQuery,
): string | undefined {
  if (query.window === undefined) return undefined
  const { aggregate, everyMs } = query.window
  const columns = aggregatedColumns(stream, aggregate)
  if (columns.length === 0) return undefined
  const calls = columns.map(({ name }) => `${aggregate}(${identifier(name)}) AS ${identifier(name)}`)
  const groups = [...seriesTags(stream).map(identifier), `time(${everyMs}ms)`]
  // The limit counts windows of each series; the page is cut again when the series are merged. One more is asked for, to know
  // whether there is more, and one that the page before may have had.
  const limit = query.limit + (query.after === undefined ? 1 : 2)
  return `SELECT ${calls.join(',')} FROM ${identifier(stream.name)} ${where(from, to, devices)} GROUP BY ${groups.join(',')} fill(none) ${byTime(query.order)} LIMIT ${limit}`
}

/** The newest point of each series of the stream. */
export function latestStatement({ stream, devices }: StreamSelection, limit: number): string {
  const names = stream.columns.filter(({ tag }) => !tag).map(({ name }) => identifier(name))
  const condition = deviceCondition(devices)
  const ofDevices = condition === '' ? '' : ` WHERE ${condition.slice(' AND '.length)}`
  const groups = seriesTags(stream).map(identifier)
  return `SELECT ${names.join(',')} FROM ${identifier(stream.name)}${ofDevices} GROUP BY ${groups.join(',')} ORDER BY time DESC LIMIT 1 SLIMIT ${limit}`
}

function seriesTags(stream: Stream): string[] {
  return ['device', ...tagsOf(stream)]
}

function where(from: number, to: number, devices: readonly string[] | undefined): string {
  return `WHERE time >= ${time(from)} AND time < ${time(to)}${deviceCondition(devices)}`
}

const byTime = (order: HistoryQuery['order']): string => `ORDER BY time ${order === 'newest' ? 'DESC' : 'ASC'}`

function deviceCondition(devices: readonly string[] | undefined): string {
  if (devices === undefined) return ''
  return ` AND (${devices.map((device) => `"device" = ${string(device)}`).join(' OR ')})`
}

/** Milliseconds as a time literal in microseconds: of 1970 to 2255, for beyond its own times InfluxDB refuses the statement. */
const time = (ms: number): string => `${Math.min(Math.max(Math.round(ms * 1000), 0), Number.MAX_SAFE_INTEGER)}u`
const identifier = (name: string): string => `"${name.replace(/["\\]/g, '\\$&')}"`
const string = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`
