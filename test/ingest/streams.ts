/** The streams and readings that store tests use: every kind of column, tags, both precisions. */

import assert from 'node:assert/strict'
import type { StoreEntry } from '../../ingest/store.ts'
import type { Reading, Stream, Value } from '../../schemas/reading.ts'

const column = (name: string, kind: Stream['columns'][number]['kind'], tag = false) => ({ name, kind, tag })

export const weather: Stream = {
  name: 'weather',
  version: 1,
  timeField: 'ts',
  precision: 'ms',
  columns: [
    column('site', 'string', true),
    column('temperature', 'float'),
    column('count', 'integer'),
    column('on', 'boolean'),
    column('note', 'string'),
  ],
}

export const pulses: Stream = {
  name: 'pulses',
  version: 1,
  timeField: 'at',
  precision: 'us',
  columns: [column('level', 'float'), column('from', 'integer')],
}

/** Columns that every object has without being given them. */
export const members: Stream = {
  name: 'members',
  version: 1,
  timeField: 'ts',
  precision: 'ms',
  columns: [
    column('constructor', 'string', true),
    column('toString', 'string'),
    column('valueOf', 'float'),
    column('hasOwnProperty', 'integer'),
    column('isPrototypeOf', 'boolean'),
  ],
}

/** Lists of numbers. */
export const bursts: Stream = {
  name: 'bursts',
  version: 1,
  timeField: 'ts',
  precision: 'us',
  columns: [column('samples', 'float[]'), column('counts', 'integer[]'), column('peak', 'float')],
}

export const STREAMS = [bursts, members, pulses, weather] as const

export const T0 = 1_763_900_000_000

export const reading = (stream: Stream, device: string, ts: number, values: Record<string, Value>): Reading => ({
  device,
  stream: stream.name,
  ts,
  values,
})

/** When the platform received what tests write. */
export const RECEIVED = T0 + 3_600_000

/** A message of these readings, of one stream. */
export function entryOf(...readings: Reading[]): StoreEntry {
  const stream = STREAMS.find(({ name }) => name === readings[0]?.stream)
  assert(stream)
  return { stream, readings, receivedAt: RECEIVED, offset: 0 }
}
