/**
 * Owns the InfluxQL of history (https://docs.influxdata.com/influxdb/v1/query_language/spec/), which InfluxDB 1.x and 2.x
 * both answer at `GET /query`; 2.x maps a bucket to a database by itself.
 *
 * Always true: names stand in double quotes and strings in single ones, both escaped, so neither a device id nor a
 * column can change a statement; only the registry's columns are asked for.
 */

import type { HistoryQuery } from '../../schemas/history.ts'
import type { Stream } from '../../schemas/reading.ts'
import { aggregatedColumns, type StreamSelection } from '../history-page.ts'

/** One statement for a stream, or undefined if nothing can come of it. */
export function readingsStatement({ stream, devices }: StreamSelection, query: HistoryQuery): string | undefined {
  const where = `WHERE time >= ${time(query.from)} AND time < ${time(query.to)}${deviceCondition(devices)}`
  const from = `FROM ${identifier(stream.name)}`
  if (query.window === undefined) {
    const names = ['device', ...stream.columns.map(({ name }) => name)].map(identifier)
    // One more than asked for, to know whether there is more.
    return `SELECT ${names.join(',')} ${from} ${where} ORDER BY time ASC LIMIT ${query.limit + 1}`
  }
  const { aggregate, everyMs } = query.window
  const columns = aggregatedColumns(stream, aggregate)
  if (columns.length === 0) return undefined
  const calls = columns.map(({ name }) => `${aggregate}(${identifier(name)}) AS ${identifier(name)}`)
  const groups = [...seriesTags(stream).map(identifier), `time(${everyMs}ms)`]
  // The limit counts windows of each series; the page is cut again when the series are merged.
  return `SELECT ${calls.join(',')} ${from} ${where} GROUP BY ${groups.join(',')} fill(none) ORDER BY time ASC LIMIT ${query.limit + 1}`
}

/** The newest point of each series of the stream. */
export function latestStatement({ stream, devices }: StreamSelection, limit: number): string {
  const names = stream.columns.filter(({ tag }) => !tag).map(({ name }) => identifier(name))
  const condition = deviceCondition(devices)
  const where = condition === '' ? '' : ` WHERE ${condition.slice(' AND '.length)}`
  const groups = seriesTags(stream).map(identifier)
  return `SELECT ${names.join(',')} FROM ${identifier(stream.name)}${where} GROUP BY ${groups.join(',')} ORDER BY time DESC LIMIT 1 SLIMIT ${limit}`
}

function seriesTags(stream: Stream): string[] {
  return ['device', ...stream.columns.filter(({ tag }) => tag).map(({ name }) => name)]
}

function deviceCondition(devices: readonly string[] | undefined): string {
  if (devices === undefined) return ''
  return ` AND (${devices.map((device) => `"device" = ${string(device)}`).join(' OR ')})`
}

/** Milliseconds as a time literal in microseconds. */
const time = (ms: number): string => `${Math.ceil(ms * 1000)}u`
const identifier = (name: string): string => `"${name.replace(/["\\]/g, '\\$&')}"`
const string = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`
