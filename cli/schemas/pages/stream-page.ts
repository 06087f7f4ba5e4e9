/**
 * Owns the page of a stream (docs/streams/): what a person needs who writes a device's firmware. Always true: one registry makes one
 * text. What a row says comes from the catalogue, and payloads from the codecs by which the platform reads.
 */

import type { CatalogueColumn, CatalogueFraming, CatalogueStream } from '../../../schemas/catalogue.ts'
import type { Definition, Leaf } from '../../../schemas/definition.ts'
import type { Registry } from '../../../schemas/registry.ts'
import { cProgram } from './c-encoder.ts'
import { exampleOf } from './example.ts'
import { type Payloads, payloadsOf } from './payloads.ts'

/** How a page begins that may be written anew, and removed with its stream. */
export const MARK = '<!-- By `telltale schemas docs`'
const UNRELEASED =
  "Confluent's wire format is taken, too, once the version has its ids: `telltale schemas lock` releases it, or the first start. Then this " +
  'page is to be written again.'
/** Bytes of a line of a payload in hexadecimal. */
const LINE_BYTES = 32
const DEVICE = 'device-1'

export function streamPage(stream: CatalogueStream, registry: Registry): string {
  const { stream: name, doc, maps } = stream
  const definition = registry.newest(name)
  const origin = definition === undefined ? 'a map' : `schemas/${name}/`
  const from = maps.map(({ topic, file }) => `\`${topic}\` (${file})`).join(', ')
  const parts = [
    `${MARK}: change ${origin}, and run that again. -->\n\n# ${name}`,
    doc === undefined ? '' : inText(doc),
    from === '' ? '' : `${definition === undefined ? 'Made' : 'Also made'} by maps of what comes on ${from}.`,
    columnsOf(stream, definition),
    definition === undefined ? '' : publishingOf(stream, definition, registry),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** The list of the pages. */
export function indexPage(streams: readonly CatalogueStream[]): string {
  const rows = streams.map(({ stream, version, doc = '' }) => [
    `[${stream}](${stream}.md)`,
    version === 0 ? 'by a map' : String(version),
    cell(doc),
  ])
  const text =
    'For who writes firmware: of each stream its columns, the bytes that a payload begins with, an example, and C that encodes it with ' +
    '[telltale.h](telltale.h). `npx telltale schemas docs` writes these pages, for your own schemas too.'
  return `${MARK}. -->\n\n# Streams\n\n${text}\n\n${table(['stream', 'version', ''], rows)}\n`
}

function columnsOf({ columns, timeField, precision }: CatalogueStream, definition: Definition | undefined): string {
  const leafOf = (name: string) => definition?.places.find(({ column }) => column.name === name)?.leaf
  const rows = columns.map((column) => [
    `\`${column.name}\``,
    typeOf(column, leafOf(column.name)),
    cell(column.unit ?? ''),
    remarksOf(column),
  ])
  const time = [`\`${timeField}\``, 'long', precision, 'The time of the reading, since 1970-01-01T00:00Z.']
  return table(['column', 'type', 'unit', ''], definition === undefined ? rows : [time, ...rows])
}

const typeOf = ({ type, kind, tag }: CatalogueColumn, leaf: Leaf | undefined) =>
  `${leaf === undefined ? (type ?? kind) : sizedType(leaf)}${tag ? ', tag' : ''}`

/** With what an encoder has to know besides: the bytes of a fixed, and where the point of a decimal is. */
function sizedType(leaf: Leaf): string {
  if (leaf.kind === 'fixed') return `fixed(${leaf.size})`
  if (leaf.kind === 'decimal') {
    return `decimal(${leaf.precision}, ${leaf.scale}), ${leaf.size === undefined ? 'bytes' : `fixed(${leaf.size})`}`
  }
  return leaf.kind === 'uuid' && leaf.size !== undefined ? `uuid, fixed(${leaf.size})` : leaf.kind
}

function remarksOf({ doc, symbols, nullable, since = 1 }: CatalogueColumn): string {
  const remarks = [
    doc,
    symbols && `One of ${symbols.map((symbol) => `\`${symbol}\``).join(', ')}.`,
    since > 1 && `Since version ${since}.`,
    nullable && 'May be null.',
  ]
  return cell(remarks.filter(Boolean).join(' '))
}

function publishingOf(stream: CatalogueStream, definition: Definition, registry: Registry): string {
  const { stream: name, framings, versions } = stream
  const all = framings.map((framing) => ({ framing, payloads: payloadsOf({ definition, registry, framing }) }))
  const of = (key: string) => all.find(({ framing }) => framing.framing === key)?.payloads
  const [avro, json, protobuf] = [of('avro'), of('json'), of('protobuf')]
  const begins = framings.find(({ framing }) => framing === 'avro')?.firstBytes ?? ''
  const bytes = avro?.one.length ?? 0
  const program = cProgram({ definition, firstBytes: begins, example: exampleOf(definition, 'avro'), bytes })
  const old = versions.slice(0, -1)
  const parts = [
    `## How it is published\n\nTo \`devices/{device}/telemetry/${name}\`, or a level below it.`,
    table(
      ['', 'topic', 'content type (MQTT 5)', 'begins with', 'a batch with', 'bytes of the example'],
      all.map(({ framing, payloads }) => framingRow(framing, name, payloads)),
    ),
    versions.at(-1)?.id === undefined ? UNRELEASED : '',
    old.length === 0 ? '' : `Older versions, which are taken as well:\n\n${versionsOf(old)}`,
    `## By hand\n\n${fence('sh', byHand(name, definition, json))}`,
    `## The example\n\n${fence('json', json?.one.toString() ?? '')}`,
    `In Avro, which is what the program below prints:\n\n${fence('', hex(avro?.one))}`,
    protobuf === undefined ? '' : `In Protobuf:\n\n${fence('', hex(protobuf.one))}`,
    `## In C\n\n${fence('c', program.trimEnd())}`,
    `A batch is what it begins with, \`tt_long\` of the number of readings, \`put_${name}\` of each, and \`tt_long\` of 0.`,
    fence('sh', `cc ${name}.c -o ${name}\n./${name} | ${publish(name)} -s`),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

function framingRow(framing: CatalogueFraming, stream: string, payloads: Payloads | undefined): string[] {
  const below = (topic: string) => topic.slice(topic.indexOf(stream) + stream.length)
  const [one, batch] = [below(framing.topic), below(framing.batchTopic)]
  const topic = [...new Set([one, batch])].map((level) => (level === '' ? '' : `\`.../${stream}${level}\``)).join(', ')
  const begin = (bytes: string | undefined, json: string) => {
    if (bytes !== undefined) return `\`${bytes}\``
    return framing.framing === 'json' ? `\`${json}\`` : ''
  }
  return [
    framing.name,
    topic,
    framing.contentTypes[0] ?? '',
    begin(framing.firstBytes, '{'),
    begin(framing.batchFirstBytes, '['),
    payloads === undefined ? '' : String(payloads.one.length),
  ]
}

function versionsOf(versions: CatalogueStream['versions']): string {
  const rows = versions.map(({ version, firstBytes, batchFirstBytes }) => [
    String(version),
    `\`${firstBytes}\``,
    `\`${batchFirstBytes}\``,
  ])
  return table(['version', 'begins with', 'a batch with'], rows)
}

/** With the time of now, so that the reading is where a person looks for it. */
function byHand(stream: string, { timeField, precision }: Definition, json: Payloads | undefined): string {
  const zeros = precision === 'ms' ? '000' : '000000'
  const text = json?.one.toString().replaceAll("'", "'\\''") ?? ''
  const now = text.replace(new RegExp(`("${timeField}":)\\d+`), `$1'$(date +%s)'${zeros}`)
  return `export TOKEN="$(npx telltale token device ${DEVICE})"\n${publish(stream)} \\\n  -m '${now}'`
}

const publish = (stream: string) =>
  `mosquitto_pub -h 127.0.0.1 -p 1883 -i ${DEVICE} -u ${DEVICE} -P "$TOKEN" -q 1 -t devices/${DEVICE}/telemetry/${stream}`

const hex = (payload: Buffer | undefined) =>
  payload
    ?.toString('hex')
    .match(new RegExp(`.{1,${2 * LINE_BYTES}}`, 'g'))
    ?.join('\n') ?? ''

const fence = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\``

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return lines.map((line) => line.replaceAll(/ {2,}/g, ' ')).join('\n')
}

const inText = (text: string) => text.replaceAll(/\s+/g, ' ').trim()
const cell = (text: string) => inText(text).replaceAll('|', '\\|')
