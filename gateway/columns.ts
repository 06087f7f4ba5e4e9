/** Owns what the gateway knows of streams' columns: their tags, and which names may be asked for as `fields`. */

import type { Selection } from '../schemas/history.ts'
import type { Stream } from '../schemas/reading.ts'
import type { Registry } from '../schemas/registry.ts'

export class Columns {
  readonly #schemas: { readonly registry: Pick<Registry, 'streams'> }
  #streams: readonly Stream[] = []
  #tags: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  /** What it knows is always of the registry that is in force. */
  constructor(schemas: { readonly registry: Pick<Registry, 'streams'> }) {
    this.#schemas = schemas
  }

  /** The names of the stream's tag columns. */
  readonly tagsOf = (stream: string): ReadonlySet<string> => {
    this.#update()
    return this.#tags.get(stream) ?? NONE
  }

  /** The streams a selection can have readings of. */
  streamsOf(selection: Selection): readonly Stream[] {
    this.#update()
    return this.#streams.filter((stream) => selection.stream === undefined || selection.stream === stream.name)
  }

  /** Whether any of them has a column of one number, of which there is a mean. */
  hasNumbers(selections: readonly Selection[]): boolean {
    const streams = selections.flatMap((selection) => this.streamsOf(selection))
    return streams.some(({ columns }) => columns.some(({ kind }) => kind === 'integer' || kind === 'float'))
  }

  #update(): void {
    const { streams } = this.#schemas.registry
    if (this.#streams === streams) return
    this.#streams = streams
    this.#tags = new Map(streams.map((stream) => [stream.name, tagNames(stream)]))
  }

  /** The names of all columns of a selection's streams. */
  namesOf(selection: Selection): ReadonlySet<string> {
    return new Set(this.streamsOf(selection).flatMap((stream) => stream.columns.map((column) => column.name)))
  }
}

const tagNames = (stream: Stream) => new Set(stream.columns.filter((column) => column.tag).map((column) => column.name))

const NONE: ReadonlySet<string> = new Set()
