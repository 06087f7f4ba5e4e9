/**
 * Owns readings as JSON that is read back as the same readings, whatever the defaults of the schema: a column that a reading has
 * nothing of is null. For apps that decode messages themselves, and know Avro and JSON.
 */

import { type Reading, type Stream, valueIn } from './reading.ts'

export function readingsAsJson({ timeField, precision, columns }: Stream, readings: readonly Reading[]): Buffer {
  const objects = readings.map(({ ts, values }) => {
    const time = precision === 'ms' ? ts : Math.round(ts * 1000)
    const named = columns.map(({ name }): [string, unknown] => [name, valueIn(values, name) ?? null])
    return Object.fromEntries([[timeField, time], ...named])
  })
  return Buffer.from(JSON.stringify(objects))
}
