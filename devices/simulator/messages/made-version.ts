/**
 * Owns what a device sends of a stream that has no schema: the columns that the maps name which make it, those that were learnt, and those that
 * the sending has signals for; of Sparkplug, whose stream has the metrics of a whole site, the last only.
 */

import { defineSchema } from '../../../schemas/definition.ts'
import type { Column, ColumnKind, Stream } from '../../../schemas/reading.ts'
import type { Signal } from '../signals/signal-kinds.ts'
import type { SentVersion } from './simulator-schemas.ts'
import { notSendable } from './wire-format.ts'

/** No column may have this name. */
const TIME_FIELD = 'time'

const AVRO: Readonly<Record<ColumnKind, unknown>> = {
  integer: 'long',
  float: 'double',
  boolean: 'boolean',
  string: 'string',
  'integer[]': { type: 'array', items: 'long' },
  'float[]': { type: 'array', items: 'double' },
}

type Signals = Readonly<Record<string, Signal>>

export function mappedVersion({ name, columns }: Stream, signals: Signals): SentVersion {
  const known = new Set(columns.map((column) => column.name.toLowerCase()))
  const added = columnsOf(signals).filter((column) => !known.has(column.name.toLowerCase()))
  return madeVersion(name, [...columns, ...added])
}

export const sparkplugVersion = (stream: string, signals: Signals): SentVersion =>
  madeVersion(stream, columnsOf(signals))

function columnsOf(signals: Signals): Column[] {
  return Object.entries(signals).map(([name, signal]) => ({ name, kind: kindOf(signal), tag: false }))
}

function kindOf(signal: Signal): ColumnKind {
  const value = signal.kind === 'constant' ? signal.value : signal.kind === 'one-of' ? signal.values[0] : 0
  return typeof value === 'number' || value === undefined ? 'float' : (typeof value as 'string' | 'boolean')
}

function madeVersion(stream: string, columns: readonly Column[]): SentVersion {
  if (columns.length === 0) {
    throw notSendable(`nothing says which columns ${stream} has: name under signals what a device sends`)
  }
  const time = { name: TIME_FIELD, type: { type: 'long', logicalType: 'timestamp-micros' } }
  const fields = columns.map(({ name, kind, tag, unit }) => {
    return { name, type: AVRO[kind], ...(tag && { tag }), ...(unit !== undefined && { unit }) }
  })
  const schema = { type: 'record', name: stream, namespace: 'telltale', fields: [time, ...fields] }
  const definition = defineSchema(stream, stream, 1, JSON.stringify(schema))
  const none = { fingerprint: '', batchFingerprint: '', id: undefined, batchId: undefined }
  return { registered: { stream, version: 1, format: 'avsc', schema, ...none }, definition }
}
