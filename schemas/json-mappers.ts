/**
 * Owns the way to readings of all payloads that are JSON in one writing or another: each stream's newest schema reads them
 * (json-mapper.ts). Bound: a mapper a schema, made when the first such message comes, and gone with its schema.
 */

import type { Definition } from './definition.ts'
import type { Message } from './framing.ts'
import { JsonMapper } from './json-mapper.ts'
import { type Reading, Rejection } from './reading.ts'
import type { Registry } from './registry.ts'

export class JsonMappers {
  readonly #registry: Registry
  readonly #mappers = new WeakMap<Definition, JsonMapper>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  knows(stream: string): boolean {
    return this.#registry.newest(stream) !== undefined
  }

  glance(message: Message): Rejection | undefined {
    return this.knows(message.stream) ? undefined : this.#unknown(message)
  }

  /** `parse` returns what the payload says, or why it is set aside. It is not asked about a stream that is not registered. */
  map(message: Message, parse: () => unknown): readonly Reading[] | Rejection {
    const newest = this.#registry.newest(message.stream)
    if (newest === undefined) return this.#unknown(message)
    let mapper = this.#mappers.get(newest)
    if (mapper === undefined) {
      mapper = new JsonMapper(newest, this.#registry.readingTimeMinMs)
      this.#mappers.set(newest, mapper)
    }
    const parsed = parse()
    return parsed instanceof Rejection ? parsed : mapper.map(parsed, message)
  }

  #unknown({ stream }: Message): Rejection {
    return new Rejection('unknown-schema', this.#registry.unknownStream(stream))
  }
}
