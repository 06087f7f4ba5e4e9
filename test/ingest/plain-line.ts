/**
 * A point's line made plainly, of strings, by the page of the line protocol: what the product writes as bytes is held against it.
 */

import { type ColumnKind, type Reading, type Stream, type Value, valueIn } from '../../schemas/reading.ts'

/** Without a line feed at its end; undefined if line protocol cannot express the reading. */
export function plainLine(reading: Reading, stream: Stream): string | undefined {
  const tags = stream.columns.filter(({ tag }) => tag).map(({ name }) => [name, valueIn(reading.values, name) ?? ''])
  const named = [...tags, ['device', reading.device]].filter(([, value]) => value !== '')
  if (named.some(([, value]) => /\p{Cc}|\\$/u.test(String(value)))) return undefined
  const sorted = named.sort(([one = ''], [other = '']) => (one < other ? -1 : 1))
  const fields: string[] = []
  for (const { name, kind, tag } of stream.columns) {
    const value = valueIn(reading.values, name)
    if (!tag && value !== undefined && (kind !== 'float' || Number.isFinite(value)))
      fields.push(`${name}=${plainField(value, kind)}`)
  }
  if (fields.length === 0) return undefined
  const key = sorted.map(([name, value]) => `,${name}=${String(value).replace(/[,= ]/g, '\\$&')}`).join('')
  return `${stream.name}${key} ${fields.join(',')} ${plainTime(reading.ts, stream.precision)}`
}

function plainField(value: Value, kind: ColumnKind): string {
  if (Array.isArray(value)) return `"${JSON.stringify(value)}"`
  if (kind === 'string') return `"${String(value).replace(/["\\]/g, '\\$&')}"`
  return kind === 'integer' ? `${value}i` : `${value}`
}

function plainTime(ts: number, precision: 'ms' | 'us'): string {
  return precision === 'us' ? `${Math.round(ts * 1000)}000` : `${Math.round(ts)}000000`
}
