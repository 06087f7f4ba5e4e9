/**
 * Owns messages as foreign devices write them: JSON on the topic of a map, in which each column stands where the map looks for it. Values are
 * calculated back by the map's factor and offset.
 *
 * Always true: the map has each message be of this device, or the source is refused. What a map does not look for is not sent. A map without a
 * time has readings be of when they were received, whatever was measured.
 */

import type { MapDefinition } from '../../../maps/definition.ts'
import { MapSet } from '../../../maps/maps.ts'
import { beginsWith, columnOf, type Path, parsePath } from '../../../maps/path.ts'
import type { TopicMap } from '../../../maps/topic-map.ts'
import type { Reading, Rejection } from '../../../schemas/reading.ts'
import { columnsOf, type RecordColumn, recordValue } from './record-columns.ts'
import {
  type Birth,
  type MeasuredRecord,
  NO_BIRTH,
  notSendable,
  type WireFormat,
  type WireOptions,
} from './wire-format.ts'

/** Where a column's value goes. */
interface Placing {
  readonly from: readonly string[]
  readonly to: Path
  readonly factor: number
  readonly offset: number
}

export function mapFormat(options: WireOptions): WireFormat {
  const { sending, device } = options
  if (sending.topic === undefined) throw notSendable('format map needs a topic, the one of a map, with {device} in it')
  const topic = sending.topic.replaceAll('{device}', device)
  return new MapFormat(topic, mapFor(topic, options), options)
}

class MapFormat implements WireFormat {
  readonly topic: string
  readonly drawsJson = true
  readonly #options: WireOptions
  readonly #placings: readonly Placing[]
  readonly #timeField: string
  readonly #timePath: Path | undefined

  constructor(topic: string, map: TopicMap, options: WireOptions) {
    const { definition } = options.version
    this.topic = topic
    this.#options = options
    this.#timeField = definition.timeField
    this.#timePath = map.definition.time?.path
    this.#placings = placingsOf(map.definition, columnsOf(definition))
  }

  birth(): readonly Birth[] {
    return NO_BIRTH
  }

  write(records: readonly MeasuredRecord[]): Buffer {
    const written = records.map((record) => this.#asForeign(record))
    return Buffer.from(JSON.stringify(written.length === 1 ? written[0] : written))
  }

  read(topic: string, payload: Buffer, receivedAt: number): readonly Reading[] | Rejection {
    return this.#options.schemas.read(topic, payload, receivedAt)
  }

  #asForeign(record: MeasuredRecord): MeasuredRecord {
    const written: MeasuredRecord = {}
    if (this.#timePath !== undefined) put(written, this.#timePath, record[this.#timeField])
    for (const { from, to, factor, offset } of this.#placings) {
      const value = recordValue(record, from)
      if (value === null || value === undefined) continue
      const isScaled = typeof value === 'number' && (factor !== 1 || offset !== 0)
      put(written, to, isScaled ? (value - offset) / factor : value)
    }
    return written
  }
}

/** Creates the levels that are missing; a number names an item of a list. */
function put(record: MeasuredRecord, path: Path, value: unknown): void {
  let level = record
  for (let at = 0; at < path.length - 1; at++) {
    const name = path[at] as string
    level[name] ??= /^\d+$/.test(path[at + 1] as string) ? [] : {}
    level = level[name] as MeasuredRecord
  }
  level[path.at(-1) as string] = value
}

function mapFor(topic: string, { sending, device, schemas }: WireOptions): TopicMap {
  const { foreign } = schemas.registry
  const maps = foreign instanceof MapSet ? foreign : undefined
  const match = maps?.for(topic)
  if (match === undefined) {
    const topics = maps?.maps.filter(({ definition }) => !definition.ignoresAll && definition.format === 'json') ?? []
    const allowed = topics.map(({ definition }) => definition.topic.text).join(', ')
    throw notSendable(
      `no map takes ${topic}: ${allowed === '' ? 'there are no maps of JSON' : `allowed are ${allowed}`}`,
    )
  }
  const { map, names } = match
  const { definition } = map
  const where = `the map at ${definition.where.where}`
  if (definition.ignoresAll) throw notSendable(`${where} keeps nothing of ${topic}`)
  if (definition.format !== 'json') throw notSendable(`${where} takes ${definition.format}: allowed is one of JSON`)
  if (definition.topic.names.includes('field')) {
    throw notSendable(`${where} takes one value a topic: allowed is one whose messages are objects`)
  }
  if (definition.stream !== sending.stream) {
    throw notSendable(`${where} makes readings of ${definition.stream}, and not of ${sending.stream}`)
  }
  const place = map.place(names, Buffer.from('{}'), false)
  if (place.kind !== 'taken' || place.device !== device) {
    const whose =
      place.kind === 'taken' ? `it is of ${place.device}` : 'its topic alone does not say which device it is of'
    throw notSendable(`${topic} is not of ${device}: by ${where} ${whose}`)
  }
  return map
}

function placingsOf(map: MapDefinition, columns: readonly RecordColumn[]): readonly Placing[] {
  const rules = [...map.tags, ...map.fields]
  const ruled = new Set(rules.map(({ column }) => column.toLowerCase()))
  const placings: Placing[] = []
  for (const { column, from: source, factor, offset } of rules) {
    const from = columns.find((each) => each.column.name === column)?.path
    const to = 'path' in source ? source.path : nameInPayload(source.template.parts, map)
    if (to?.length === 0) throw notSendable(`the map at ${map.where.where} takes the payload itself as ${column}`)
    if (from !== undefined && to !== undefined) placings.push({ from, to, factor, offset })
  }
  const below = map.all
  if (below === undefined) return placings
  for (const { column, path: from } of columns) {
    const to = [...below, column.name]
    const isNumber = column.kind === 'float' || column.kind === 'integer'
    const isLeft = ruled.has(column.name.toLowerCase()) || map.ignore.some((ignored) => beginsWith(to, ignored))
    if (isNumber && !isLeft && columnOf([column.name]) === column.name)
      placings.push({ from, to, factor: 1, offset: 0 })
  }
  return placings
}

/** Of a tag that is one name of the payload; what the topic says, or several names, is not written. */
function nameInPayload(parts: MapDefinition['device']['parts'], map: MapDefinition): Path | undefined {
  const [part, ...more] = parts
  if (part === undefined || typeof part === 'string' || more.length > 0) return undefined
  return map.topic.names.includes(part.name) ? undefined : parsePath(part.name)
}
