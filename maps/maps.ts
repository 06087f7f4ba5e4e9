/**
 * Owns the maps of foreign topics that are in force (docs/maps.md): read from the files of a folder, again when they change, and asked
 * which one is for a topic.
 *
 * Always true: of several maps for one topic the first is taken, files by name and in a file from the top; a file that cannot be used
 * changes nothing, and is told once while it lasts. Bound: `TOPICS_KNOWN_MAX` topics are remembered; beyond, they are looked up.
 */

import { type ConfigValue, readConfig } from '../platform/config-file.ts'
import { ConfigFolder } from '../platform/config-folder.ts'
import type { Stream } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'
import { defineMap } from './definition.ts'
import { type MadeStream, makeStreams } from './made-streams.ts'
import { TopicMap } from './topic-map.ts'
import { MAPPED_TOPIC_BYTES_MAX, type TopicNames } from './topic-pattern.ts'

/** Topics of which is known which map is for them; one more, and all are forgotten. */
const TOPICS_KNOWN_MAX = 10_000

type Registered = Pick<Registry, 'newest' | 'readingTimeMinMs'>

/** The map that is for a topic, and what the topic says by it. */
export interface Match {
  readonly map: TopicMap
  readonly names: TopicNames
}

export class MapSet {
  readonly maps: readonly TopicMap[]
  readonly #made: ReadonlyMap<string, MadeStream>
  readonly #known = new Map<string, Match | undefined>()

  /** Throws a `ConfigError`. `learnt`: the directory of what is learnt of columns; it is not kept if there is none. */
  constructor(items: readonly ConfigValue[], registry: Registered, learnt?: string) {
    const definitions = items.map(defineMap)
    this.#made = makeStreams(definitions, (stream) => registry.newest(stream) !== undefined, learnt)
    this.maps = definitions.map((definition) => {
      const { stream } = definition
      const registered = registry.newest(stream)
      const made = this.#made.get(stream)
      const target = registered
        ? ({ kind: 'registered', definition: registered } as const)
        : ({ kind: 'made', stream: made as MadeStream } as const)
      return new TopicMap(definition, target, registry.readingTimeMinMs)
    })
  }

  /** The streams that the maps make. */
  get streams(): readonly Stream[] {
    return [...this.#made.values()].map(({ stream }) => stream)
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
    for (const map of this.maps) {
      const names = map.match(topic)
      if (names !== undefined) return { map, names }
    }
    return undefined
  }
}

/** The maps of one file by itself. Throws a `ConfigError`. */
export function readMapFile(file: string, text: string, registry: Registered): MapSet {
  return new MapSet(readConfig(file, text), registry)
}

export class Maps {
  readonly #folder: ConfigFolder<MapSet>

  constructor(directory: string, registry: Registered, learnt?: string) {
    this.#folder = new ConfigFolder(directory, (items) => new MapSet(items, registry, learnt))
  }

  get set(): MapSet {
    return this.#folder.value
  }

  /** Looks at the files; true if other maps are in force. Throws a `ConfigError`, and those of before stay. */
  look(): boolean {
    return this.#folder.look()
  }
}
