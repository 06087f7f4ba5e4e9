/**
 * Owns what is checked of one sending beyond its keys and values: what does not go together, and what the platform's schemas have not. A
 * stream without a schema is one that maps make, or what a device of Sparkplug says.
 */

import { nearestTo } from '../../../platform/names.ts'
import type { Stream } from '../../../schemas/reading.ts'
import { shown, unknownKey } from './scalars.ts'
import type { Sending } from './scenario.ts'
import { sendingSchema } from './schema.ts'
import type { Path } from './yaml-text.ts'

/** The part of the schemas' registry that a scenario is checked by. */
export interface KnownStreams {
  readonly streams: readonly Stream[]
  stream(name: string): Stream | undefined
  /** Oldest first; none for a stream that maps make. `id` is undefined until the version is locked. */
  versions(name: string): readonly {
    readonly version: number
    readonly protobuf?: string
    readonly id: number | undefined
  }[]
}

export interface Mistake {
  readonly path: Path
  /** The key in the map at `path`, where it is that which is wrong. */
  readonly key?: string
  readonly what: string
}

export const valueIn = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined

export function listIn(value: unknown, key: string): readonly unknown[] {
  const list = valueIn(value, key)
  return Array.isArray(list) ? list : []
}

/** The name that is nearest to one that is not known, and which there are, as the rest of a sentence. */
export const nearest = (name: string, known: Iterable<string>): string => {
  const names = [...known]
  const [near] = nearestTo(name, names)
  return `${near === undefined ? '' : `, and nearest is ${near}`}; there are ${names.join(', ')}`
}

/** `raw` is what a file says of it. */
export function* checkSending(raw: unknown, path: Path, streams: KnownStreams | undefined): Generator<Mistake> {
  if (valueIn(raw, 'every') !== undefined && valueIn(raw, 'rate') !== undefined) {
    yield { path, key: 'rate', what: 'rate says the same as every; allowed is one of the two' }
  }
  yield* checkTopic(raw, path)
  yield* checkSpans(raw, path)
  if (streams === undefined) return
  const name = valueIn(raw, 'stream')
  if (typeof name !== 'string') return
  const isMade = streams.versions(name).length === 0
  // Of Sparkplug the device says what it sends.
  if (isMade && valueIn(raw, 'format') === 'sparkplug') return
  const stream = streams.stream(name)
  if (stream === undefined) {
    const known = streams.streams.map((each) => each.name)
    yield { path: [...path, 'stream'], what: `${shown(name)} is no stream${nearest(name, known)}` }
    return
  }
  // A map may take all numbers, whatever they are called.
  if (!isMade) yield* checkColumns(raw, path, stream)
  const sending = sendingSchema.safeParse(raw).data
  if (sending !== undefined) yield* checkVersions(sending, path, streams)
}

function* checkTopic(raw: unknown, path: Path): Generator<Mistake> {
  const topic = valueIn(raw, 'topic')
  const format = valueIn(raw, 'format')
  if (format === 'map' && topic === undefined) {
    yield { path, what: 'has the format map and no topic; allowed is one with {device}' }
  }
  if (topic !== undefined && format !== 'map' && format !== 'sparkplug') {
    yield { path, key: 'topic', what: 'topic has no effect; allowed is one with the formats map and sparkplug only' }
  }
  const right = format === 'map' ? '{device}' : '{node}'
  const isForeign = format === 'map' || format === 'sparkplug'
  if (isForeign && typeof topic === 'string' && !topic.includes(right)) {
    yield { path: [...path, 'topic'], what: `is ${shown(topic)}; allowed is one with ${right} in it` }
  }
}

function* checkColumns(raw: unknown, path: Path, { name, columns }: Stream): Generator<Mistake> {
  const names = columns.map((each) => each.name)
  const signals = valueIn(raw, 'signals')
  for (const column of typeof signals === 'object' && signals !== null ? Object.keys(signals) : []) {
    if (names.includes(column)) continue
    yield { path: [...path, 'signals'], key: column, what: unknownColumn(column, name, names) }
  }
}

const unknownColumn = (column: string, stream: string, columns: readonly string[]): string =>
  unknownKey(column, columns).replace('is no key', `is no column of ${stream}`)

/** A range has its ends in order. */
function* checkSpans(raw: unknown, path: Path): Generator<Mistake> {
  const signals = valueIn(raw, 'signals')
  if (typeof signals !== 'object' || signals === null) return
  for (const [column, signal] of Object.entries(signals)) {
    const [min, max] = [valueIn(signal, 'min'), valueIn(signal, 'max')]
    if (typeof min !== 'number' || typeof max !== 'number' || min <= max) continue
    yield { path: [...path, 'signals', column, 'min'], what: `is ${min}, and max is ${max}` }
  }
}

function* checkVersions(sending: Sending, path: Path, streams: KnownStreams): Generator<Mistake> {
  const { stream, format, versions: asked } = sending
  const versions = streams.versions(stream)
  if (versions.length === 0) {
    if (format === 'map' || format === 'sparkplug') return
    yield {
      path: [...path, 'format'],
      what: `is ${format}, and ${stream} has no schema: maps make it; allowed are map, sparkplug`,
    }
    return
  }
  const known = versions.map(({ version }) => version)
  let areKnown = true
  for (const [index, version] of (asked ?? []).entries()) {
    if (known.includes(version)) continue
    areKnown = false
    yield {
      path: [...path, 'versions', index],
      what: `${stream} has no version ${version}; there are ${known.join(', ')}`,
    }
  }
  const sent = asked === undefined ? versions.slice(-1) : versions.filter(({ version }) => asked.includes(version))
  const lacking = (has: (version: (typeof versions)[number]) => boolean) =>
    areKnown ? sent.find((each) => !has(each)) : undefined
  const without = format === 'protobuf' ? lacking(({ protobuf }) => protobuf !== undefined) : undefined
  if (without !== undefined) {
    yield { path: [...path, 'format'], what: `is protobuf, and version ${without.version} of ${stream} has no .proto` }
  }
  const unlocked = format === 'confluent' ? lacking(({ id }) => id !== undefined) : undefined
  if (unlocked !== undefined) {
    const right = '`telltale schemas lock` gives it one'
    yield {
      path: [...path, 'format'],
      what: `is confluent, and version ${unlocked.version} of ${stream} has no id: ${right}`,
    }
  }
}
