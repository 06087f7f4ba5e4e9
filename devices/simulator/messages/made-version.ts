/**
 * Owns what a device sends of a stream that maps make: no schema says it, so it is the columns that the maps name, those that were learnt,
 * and those that the sending has signals for.
 */

import { defineSchema } from '../../../schemas/definition.ts'
import type { Column, ColumnKind, Stream } from '../../../schemas/reading.ts'
import type { Signal } from '../scenario/scenario.ts'
import type { SentVersion } from './simulator-schemas.ts'
import { notSendable } from './wire-format.ts'

const AVRO: Readonly<Record<ColumnKind, unknown>> = {
  integer: 'long',
  float: 'double',
  boolean: 'boolean',
  string: 'string',
  'integer[]': { type: 'array', items: 'long' },
  'float[]': { type: 'array', items: 'double' },
}

export function madeVersion(stream: Stream, signals: Readonly<Record<string, Signal>>): SentVersion {
  const known = new Set(stream.columns.map(({ name }) => name.toLowerCase()))
  const added = Object.keys(signals).filter((name) => !known.has(name.toLowerCase()))
  const columns: Column[] = [...stream.columns, ...added.map((name): Column => ({ name, kind: 'float', tag: false }))]
  if (columns.length === 0) {
    throw notSendable(`the map of ${stream.name} takes all numbers: name under signals which ones a device sends`)
  }
  const time = { name: stream.timeField, type: { type: 'long', logicalType: 'timestamp-micros' } }
  const fields = columns.map(({ name, kind, tag, unit }) => {
    return { name, type: AVRO[kind], ...(tag && { tag }), ...(unit !== undefined && { unit }) }
  })
  const schema = { type: 'record', name: stream.name, namespace: 'telltale', fields: [time, ...fields] }
  const definition = defineSchema(`the map of ${stream.name}`, stream.name, 1, JSON.stringify(schema))
  const none = { fingerprint: '', batchFingerprint: '', id: undefined, batchId: undefined }
  return { registered: { stream: stream.name, version: 1, format: 'avsc', schema, ...none }, definition }
}
