/**
 * Owns the maps of foreign topics of one registry (docs/maps.md), and which one is for a topic.
 *
 * Always true: of several maps for one topic the first is taken, files by name and in a file from the top. They never change; others
 * come with another registry. Bound: `TOPICS_KNOWN_MAX` topics are remembered; beyond, they are looked up.
 */

import { basename } from 'node:path'
import { type ConfigValue, readConfig } from '../platform/config-file.ts'
import { MAPPED_TOPIC_BYTES_MAX } from '../platform/limits.ts'
import type { CurrentSchemas } from '../schemas/current-schemas.ts'
import { type Foreign, type MakeForeign, type MapSource, NewColumns, type Registered } from '../schemas/foreign.ts'
import type { Reading, Rejection, Stream } from '../schemas/reading.ts'
import { defineMap, type MapDefinition } from './definition.ts'
import { MapFraming } from './framing.ts'
import { LearntColumns, type MadeStream, makeStreams } from './made-streams.ts'
import { isSparkplug } from './sparkplug/topic.ts'
import { type MappedMessage, type Match, TopicMap } from './topic-map.ts'
import type { TellsUnkept } from './unkept-columns.ts'

/** Topics of which is known which map is for them; one more, and all are forgotten. */
const TOPICS_KNOWN_MAX = 10_000

export class MapSet implements Foreign {
  readonly maps: readonly TopicMap[]
  readonly framing = new MapFraming(this)
  readonly streams: readonly Stream[]
  readonly #definitions: readonly MapDefinition[]
  readonly #registered: Registered
  readonly #learnt: LearntColumns
  readonly #made: readonly MadeStream[]
  readonly #known = new Map<string, Match | undefined>()
  readonly gathers: boolean

  /** Throws a `ConfigError`. */
  constructor(
    definitions: readonly MapDefinition[],
    registered: Registered,
    learnt: LearntColumns,
    isBinding: boolean,
  ) {
    const own = definitions.filter((map) => map !== SPARKPLUG_MAP)
    this.#definitions = [...own, SPARKPLUG_MAP]
    this.#registered = registered
    this.#learnt = learnt
    const isRegistered = (stream: string) => registered.newest(stream) !== undefined
    const made = makeStreams(this.#definitions, isRegistered, learnt, isBinding)
    this.#made = [...made.values()]
    // There is no stream of Sparkplug where nothing of it has come.
    const used = [...made.values()].filter(({ name, hasCome }) => hasCome || own.some((map) => map.stream === name))
    this.streams = used.map(({ stream }) => stream)
    this.maps = this.#definitions.map((map) => {
      const definition = registered.newest(map.stream)
      const target = definition
        ? ({ kind: 'registered', definition } as const)
        : ({ kind: 'made', stream: made.get(map.stream) as MadeStream } as const)
      return new TopicMap(map, target, registered.readingTimeMinMs)
    })
    this.gathers = definitions.some(({ gatherMs }) => gatherMs !== undefined)
  }

  /** Maps that no message ever comes to. */
  get remarks(): string[] {
    const first = new Map<string, MapDefinition>()
    return this.#definitions.flatMap((map) => {
      if (map === SPARKPLUG_MAP) return []
      const known = first.get(map.topic.filter)
      if (known === undefined) first.set(map.topic.filter, map)
      return known === undefined
        ? []
        : [
            `${map.where.where}: this map is never used, for ${known.where.where} has the same topics and stands before it`,
          ]
    })
  }

  mapsOf(stream: string): MapSource[] {
    const its = this.#definitions.filter((map) => !map.ignoresAll && map.stream === stream)
    return its.map(({ topic, where }) => ({ topic: topic.text, file: basename(where.file) }))
  }

  learn({ stream, names }: NewColumns): MapSet {
    this.#learnt.add(stream, names)
    return new MapSet(this.#definitions, this.#registered, this.#learnt, false)
  }

  /** They are in force: what their columns are they are to stay. */
  note(): void {
    for (const stream of this.#made) this.#learnt.declare(stream.name, stream.declared)
  }

  /** What becomes of a message that a map takes, with whatever columns it has: for who tries a map. Undefined if there is none. */
  tried(device: string, message: MappedMessage): readonly Reading[] | Rejection | undefined {
    let maps: MapSet = this
    for (;;) {
      const match = maps.for(message.topic)
      const read = match?.map.read(match.names, device, message)
      if (!(read instanceof NewColumns)) return read
      maps = maps.learn(read)
    }
  }

  for(topic: string): Match | undefined {
    if (this.#known.has(topic)) return this.#known.get(topic)
    const match = this.#find(topic)
    if (this.#known.size >= TOPICS_KNOWN_MAX) this.#known.clear()
    this.#known.set(topic, match)
    return match
  }

  #find(topic: string): Match | undefined {
    if (this.maps.length === 0 || Buffer.byteLength(topic) > MAPPED_TOPIC_BYTES_MAX) return undefined
    const isOfSparkplug = isSparkplug(topic)
    for (const map of this.maps) {
      const { format, ignoresAll } = map.definition
      if (isOfSparkplug && format !== 'sparkplug' && !ignoresAll) continue
      const names = map.match(topic)
      if (names !== undefined) return { map, names }
    }
    return undefined
  }
}

export interface MapMakerOptions {
  /** Whether maps must leave columns what they have been; not where maps are followed that are in force elsewhere. */
  readonly isBinding?: boolean
  /** Whether what is learnt of columns is kept in the directory. */
  readonly keeps?: boolean
  /** Is told of columns that could not be kept. */
  readonly unkept?: TellsUnkept
}

/** Makes of the texts of maps what a registry has of foreign topics. What is known of columns is in `directory`, if there is one. */
export function mapMaker(
  directory?: string,
  { isBinding = true, keeps = true, unkept }: MapMakerOptions = {},
): (...given: Parameters<MakeForeign>) => MapSet {
  const learnt = new LearntColumns(directory, keeps, unkept)
  return (files, registered) => {
    const items = files.flatMap(({ file, text }) => readConfig(file, text))
    return new MapSet(items.map(defineMap), registered, learnt, isBinding)
  }
}

/** What is for Sparkplug where no other map is: all metrics of all edge nodes. */
const SPARKPLUG_MAP = defineMap(
  readConfig('sparkplug', 'topic: spBv1.0/#\nformat: sparkplug\nstream: sparkplug\n')[0] as ConfigValue,
)

type HasSchemas = Pick<CurrentSchemas, 'registry' | 'learn'>

/** Those in force in a thread. */
export class Maps {
  readonly #schemas: HasSchemas

  constructor(schemas: HasSchemas) {
    this.#schemas = schemas
  }

  /** Whether any of them gathers. */
  get gathers(): boolean {
    return this.#set?.gathers === true
  }

  /** Has a stream have these columns; false if they are no help. */
  learn(found: NewColumns): boolean {
    return this.#schemas.learn(found)
  }

  for(topic: string): Match | undefined {
    return this.#set?.for(topic)
  }

  /** Those of files. */
  get count(): number {
    return this.#set?.maps.filter(({ definition }) => definition !== SPARKPLUG_MAP).length ?? 0
  }

  /** The topics of messages that they take: filters of MQTT, without those of Sparkplug. */
  get filters(): readonly string[] {
    const taking = this.#set?.maps.filter(
      ({ definition: { ignoresAll, format } }) => !ignoresAll && format !== 'sparkplug',
    )
    return [...new Set(taking?.map(({ definition }) => definition.topic.filter))]
  }

  /** As `MapSet.note`. */
  note(): void {
    this.#set?.note()
  }

  /** What is no fault, and hardly what was meant. */
  get remarks(): readonly string[] {
    return this.#set?.remarks ?? []
  }

  /** Maps that would be for a topic if there were not the one that is. */
  passedOver(topic: string): readonly TopicMap[] {
    return (
      this.#set?.maps.filter((map) => map.definition !== SPARKPLUG_MAP && map.match(topic) !== undefined).slice(1) ?? []
    )
  }

  get #set(): MapSet | undefined {
    const { foreign } = this.#schemas.registry
    return foreign instanceof MapSet ? foreign : undefined
  }
}
