/** Owns what the gateway knows of streams' columns: their tags, and which names may be asked for as `fields`. */

import type { Selection } from '../schemas/history.ts'
import type { Stream } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'

export class Columns {
  readonly #streams: readonly Stream[]
  readonly #tags: ReadonlyMap<string, ReadonlySet<string>>

  constructor(registry: Pick<Registry, 'streams'>) {
    this.#streams = registry.streams
    this.#tags = new Map(registry.streams.map((stream) => [stream.name, tagNames(stream)]))
  }

  /** The names of the stream's tag columns. */
  readonly tagsOf = (stream: string): ReadonlySet<string> => this.#tags.get(stream) ?? NONE

  /** The streams a selection can have readings of. */
  streamsOf(selection: Selection): readonly Stream[] {
    return this.#streams.filter((stream) => selection.stream === undefined || selection.stream === stream.name)
  }

  /** The names of all columns of a selection's streams. */
  namesOf(selection: Selection): ReadonlySet<string> {
    return new Set(this.streamsOf(selection).flatMap((stream) => stream.columns.map((column) => column.name)))
  }
}

const tagNames = (stream: Stream) => new Set(stream.columns.filter((column) => column.tag).map((column) => column.name))

const NONE: ReadonlySet<string> = new Set()
