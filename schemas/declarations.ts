/**
 * Owns the TypeScript that says which streams an installation has and which values their readings: for apps, so that with the SDK
 * (client/) a filter gives readings their types. Always true: one registry gives one text, whoever asks.
 */

import type { CatalogueColumn, CatalogueStream } from './catalogue.ts'
import type { ColumnKind } from './reading.ts'

/** What an app receives of a column. */
const TYPES: Record<ColumnKind, string> = {
  integer: 'number',
  float: 'number',
  boolean: 'boolean',
  string: 'string',
  'integer[]': 'readonly number[]',
  'float[]': 'readonly number[]',
}
const HEADER =
  '/** By `telltale schemas types` or `telltale-client types`: for `connect<Streams>(...)`. To change it, run that again. */'

/** A module that exports `Streams`, and the values of each by name. */
export function declareStreams(streams: readonly CatalogueStream[]): string {
  const sorted = [...streams].sort((a, b) => (a.stream < b.stream ? -1 : 1))
  const interfaces = sorted.map((stream) => `${headOf(stream)}\n${stream.columns.map(lineOf).join('')}}\n`)
  const members = sorted.map(({ stream }) => `  readonly ${stream}: ${interfaceName(stream)}\n`)
  return `${HEADER}\n\n${interfaces.join('\n')}\nexport interface Streams {\n${members.join('')}}\n`
}

function headOf({ stream, version, doc, maps }: CatalogueStream): string {
  const origin = version === 0 ? `, made by ${filesOf(maps)}` : ` ${version}`
  const head = `${stream}${origin}${doc === undefined ? '' : `: ${doc}`}`
  return `/** ${textOf(head)} */\nexport interface ${interfaceName(stream)} {`
}

const filesOf = (maps: CatalogueStream['maps']) => [...new Set(maps.map(({ file }) => file))].join(', ')

function lineOf({ name, kind, format, tag, unit, doc, symbols, optional, since = 1 }: CatalogueColumn): string {
  const what = format && (format === 'hex' ? 'In hexadecimal.' : `The text of a ${format}.`)
  const remarks = [
    doc,
    what,
    unit && unit !== '1' && `In ${unit}.`,
    tag && 'A tag.',
    since > 1 && `Since version ${since}.`,
  ]
  const remark = textOf(remarks.filter(Boolean).join(' '))
  const type = symbols?.map(literal).join(' | ') ?? TYPES[kind]
  return `${remark === '' ? '' : `  /** ${remark} */\n`}  readonly ${name}${optional ? '?' : ''}: ${type}\n`
}

/** `fuel_tank` becomes `FuelTank`; no two become one. */
function interfaceName(stream: string): string {
  const name = stream.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())
  return name === 'Streams' ? 'Streams_' : name
}

const literal = (text: string) => (/^\w*$/.test(text) ? `'${text}'` : JSON.stringify(text))
const textOf = (doc: string) => doc.replaceAll(/\s+/g, ' ').replaceAll('*/', '* /').trim()
