/** Owns JSON as the simulator writes it: one reading is an object, several are an array. */

import type { Encoding } from './telemetry-format.ts'
import type { MeasuredRecord } from './wire-format.ts'

export const jsonEncoding = (): Encoding => ({
  drawsJson: true,
  encode: (records) => Buffer.from(JSON.stringify(oneOrAll(records))),
})

/** One reading stands alone. */
export const oneOrAll = (records: readonly MeasuredRecord[]): MeasuredRecord | readonly MeasuredRecord[] =>
  records.length === 1 ? (records[0] as MeasuredRecord) : records
