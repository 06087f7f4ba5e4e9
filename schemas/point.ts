/**
 * Owns the identity of a series: the points that share it overwrite one another at the same time, as in InfluxDB
 * (measurement and tag set).
 */

import { type Reading, type Stream, valueIn } from './reading.ts'

/** Neither a device id nor a tag's value can hold it: `values.ts` refuses control characters. */
const SEPARATOR = '\n'

/** The same of a reading whose stream is looked up. Of a stream that is none its name will do. */
export function seriesIn(streams: { stream(name: string): Stream | undefined }, reading: Reading): string {
  const stream = streams.stream(reading.stream)
  return stream === undefined ? reading.stream : seriesKey(reading, stream)
}

/**
 * Device, stream and tag values of a reading, unambiguous: equal for two readings exactly when they are of one series.
 * A tag that is absent and an empty one are the same, as they are to InfluxDB.
 */
export function seriesKey(reading: Reading, stream: Stream): string {
  let key = reading.device + SEPARATOR + reading.stream
  for (const column of stream.columns) if (column.tag) key += SEPARATOR + (valueIn(reading.values, column.name) ?? '')
  return key
}
