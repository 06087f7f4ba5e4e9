/**
 * Owns what is proposed for topics that no map is for: a shipped map where one fits, else one made of what came. A proposal is a
 * beginning: names and units are for a person.
 *
 * Always true: each proposed map was tried on the message that it was made of, and reads it.
 */

import { type ConfigError, readConfig } from '../platform/config-file.ts'
import type { Registered } from '../schemas/foreign.ts'
import { readLines } from './line-protocol.ts'
import { type MapSet, mapMaker } from './maps.ts'
import { columnOf, type Path } from './path.ts'
import { readTime } from './time.ts'

export interface UnmappedTopic {
  readonly topic: string
  readonly sender: string
  readonly messages: number
  /** Milliseconds. */
  readonly lastAt: number
  /** Of the newest message, base64. */
  readonly payload: string
  /** That is all of it. */
  readonly isWhole: boolean
}

export interface Proposal {
  /** What its file would be called. */
  readonly name: string
  readonly text: string
  readonly topics: readonly UnmappedTopic[]
}

export interface Proposals {
  readonly proposals: readonly Proposal[]
  /** With no number in them, or cut. */
  readonly others: readonly UnmappedTopic[]
}

export interface ShippedMap {
  readonly name: string
  readonly text: string
}

const FIELDS_MAX = 40
/** A list that is longer has no column for each of its items. */
const LIST_ITEMS_MAX = 4
/** Words that name no device. */
const GENERIC =
  /^(tele|stat|cmnd|state|status|sensors?|data|telemetry|events?|up|uplink|json|info|out|value|values|measurements?|attributes)$/i
const TIME_NAME = /^(time|timestamp|ts|t|date|datetime|when|received_at|last_seen|measured_at|utc)$/i
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

export function propose(
  topics: readonly UnmappedTopic[],
  shipped: readonly ShippedMap[],
  registry: Registered,
): Proposals {
  const sets = shipped.map((map) => ({ map, set: mapMaker()([{ file: map.name, text: map.text }], registry) }))
  const fitting = new Map<ShippedMap, UnmappedTopic[]>()
  const made = new Map<string, { readonly text: string; readonly stream: string; readonly topics: UnmappedTopic[] }>()
  const others: UnmappedTopic[] = []
  for (const topic of topics) {
    const fits = sets.find(({ set }) => reads(set, topic))
    if (fits !== undefined) {
      fitting.set(fits.map, [...(fitting.get(fits.map) ?? []), topic])
      continue
    }
    const draft = draftOf(topic, topics, registry)
    const known = draft && made.get(draft.pattern)
    if (known !== undefined) known.topics.push(topic)
    else if (draft !== undefined && isSound(draft.text, topic, registry)) {
      made.set(draft.pattern, { text: draft.text, stream: draft.stream, topics: [topic] })
    } else others.push(topic)
  }
  const names = new Set<string>()
  const proposals = [...fitting].map(
    ([{ name, text }, of]): Proposal => ({ name: unique(name, names), text, topics: of }),
  )
  for (const { text, stream, topics: of } of made.values()) {
    proposals.push({ name: unique(`${stream}.yaml`, names), text, topics: of })
  }
  return { proposals, others }
}

function unique(name: string, names: Set<string>): string {
  let own = name
  for (let number = 2; names.has(own); number++) own = name.replace(/\.yaml$/, `-${number}.yaml`)
  names.add(own)
  return own
}

/** Whether one of the maps is for the topic. */
function reads(set: MapSet, { topic, payload }: UnmappedTopic): boolean {
  const match = set.for(topic)
  const place = match?.map.place(match.names, Buffer.from(payload, 'base64'), false)
  if (match === undefined || place === undefined) return false
  if (place.kind !== 'taken') return place.kind === 'left' && match.map.definition.ignoresAll
  const read = set.tried(place.device, {
    topic,
    receivedAt: Date.UTC(2100, 0),
    payload: Buffer.from(payload, 'base64'),
  })
  return Array.isArray(read) && read.length > 0
}

function isSound(text: string, { topic, payload, lastAt }: UnmappedTopic, registry: Registered): boolean {
  try {
    readConfig('proposal', text)
    const set = mapMaker()([{ file: 'proposal', text }], registry)
    const match = set.for(topic)
    const bytes = Buffer.from(payload, 'base64')
    const place = match?.map.place(match.names, bytes, false)
    if (match === undefined || place?.kind !== 'taken') return false
    const read = set.tried(place.device, { topic, receivedAt: lastAt, payload: bytes })
    return Array.isArray(read) && read.length > 0
  } catch (error) {
    if ((error as ConfigError).code === 'bad-config') return false
    throw error
  }
}

interface Draft {
  readonly pattern: string
  readonly stream: string
  readonly text: string
}

function draftOf(topic: UnmappedTopic, all: readonly UnmappedTopic[], registry: Registered): Draft | undefined {
  const text = Buffer.from(topic.payload, 'base64').toString('utf8').trim()
  if (!topic.isWhole || text === '') return undefined
  const levels = topic.topic.split('/')
  const value = parse(text)
  if (typeof value === 'object' && value !== null) {
    const deviceAt = deviceLevel(levels, levels.length, all)
    const draft = patternOf(levels, deviceAt, undefined, registry)
    const [root] = Array.isArray(value) ? value : [value]
    return { ...draft, text: objectMap(draft, root, topic.lastAt) }
  }
  if (typeof value === 'number' && levels.length > 1) {
    const deviceAt = deviceLevel(levels, levels.length - 1, all)
    const draft = patternOf(levels, deviceAt, levels.length - 1, registry)
    return { ...draft, text: `${head(draft)}# one reading of all values that come within two seconds\ngather: 2s\n` }
  }
  if (Array.isArray(readLines(text))) {
    const draft = patternOf(levels, deviceLevel(levels, levels.length, all), undefined, registry)
    return { ...draft, text: `${head(draft)}format: influx\n` }
  }
  return undefined
}

function parse(text: string): unknown {
  if (NUMBER.test(text)) return Number(text)
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Which of the first `count` levels names the device: one that looks like an id, or that differs where all else is alike. */
function deviceLevel(levels: readonly string[], count: number, all: readonly UnmappedTopic[]): number {
  let best = 0
  let most = Number.NEGATIVE_INFINITY
  for (let at = 0; at < count; at++) {
    const level = levels[at] ?? ''
    const isVarying = all.some(({ topic }) => {
      const other = topic.split('/')
      return (
        other.length === levels.length &&
        other[at] !== level &&
        other.every((each, index) => index === at || each === levels[index])
      )
    })
    const looksLikeId = /\d/.test(level) && /[a-z_:-]|\d{4}/i.test(level)
    const score =
      (isVarying ? 3 : 0) +
      (looksLikeId ? 3 : 0) -
      (GENERIC.test(level) ? 4 : 0) -
      (at === 0 && count > 1 ? 1 : 0) +
      at * 0.1
    if (score > most) {
      most = score
      best = at
    }
  }
  return best
}

function patternOf(levels: readonly string[], deviceAt: number, fieldAt: number | undefined, registry: Registered) {
  const pattern = levels
    .map((level, at) => (at === deviceAt ? '{device}' : at === fieldAt ? '{field}' : level))
    .join('/')
  const literal = levels.filter((level, at) => at !== deviceAt && at !== fieldAt && !GENERIC.test(level))
  const name = literal
    .join('_')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '')
    .slice(0, 40)
  const stream = name === '' ? 'mapped' : name
  return { pattern, stream: registry.newest(stream) === undefined ? stream : `${stream}_mapped` }
}

const head = ({ pattern, stream }: { readonly pattern: string; readonly stream: string }) =>
  `topic: ${JSON.stringify(pattern)}\nstream: ${stream}\n`

function objectMap(draft: { readonly pattern: string; readonly stream: string }, root: unknown, now: number): string {
  const leaves = [...leavesOf(root, [])].filter(({ path }) => path.every((name) => name !== '' && !name.includes('.')))
  const time = leaves.find(({ path, value }) => TIME_NAME.test(path.at(-1) ?? '') && isTime(value, now))
  const fields = new Map<string, string>()
  const lists = leaves.filter(({ value }) => Array.isArray(value)).slice(0, LIST_ITEMS_MAX)
  for (const { path, value } of leaves) {
    if (path === time?.path || fields.size === FIELDS_MAX) continue
    const isNumber = typeof value === 'number' || (typeof value === 'string' && NUMBER.test(value))
    if (!isNumber && typeof value !== 'boolean') continue
    const column = columnOf(path)
    if ([...fields.keys()].some((known) => known.toLowerCase() === column.toLowerCase())) continue
    const from = JSON.stringify(path.join('.'))
    fields.set(column, isNumber ? from : `{ path: ${from}, type: boolean }`)
  }
  const lines = [...fields].map(([column, from]) => `  ${column}: ${from}\n`)
  const timeLine = time === undefined ? '' : `time: ${JSON.stringify(time.path.join('.'))}\n`
  const left = lists.map(({ path, value }) => {
    const first = JSON.stringify([...path, '0'].join('.'))
    return `# left out: ${JSON.stringify(path.join('.'))}, a list of ${(value as unknown[]).length}, whose first item is at ${first}\n`
  })
  return `${head(draft)}${timeLine}fields:\n${lines.join('')}${left.join('')}`
}

function isTime(value: unknown, now: number): boolean {
  const micros = readTime(value, undefined)
  return micros !== undefined && Math.abs(micros / 1000 - now) < 366 * 86_400_000
}

function* leavesOf(value: unknown, above: Path): Generator<{ readonly path: Path; readonly value: unknown }> {
  if (typeof value !== 'object' || value === null) yield { path: above, value }
  else if (Array.isArray(value) && value.length > LIST_ITEMS_MAX) yield { path: above, value }
  else if (above.length < 6) {
    for (const [name, item] of Object.entries(value)) yield* leavesOf(item, [...above, name])
  }
}
