/**
 * Owns what a person or a program is told of the streams of a registry: `GET /v1/schemas`, `telltale schemas list`, the types of apps
 * (declarations.ts) and the pages of docs/streams/ (pages/) are made of it.
 *
 * Always true: of one registry it says the same wherever it is asked for. Columns are those of readings as readers see them: of the
 * newest version, or what the maps of a stream have told so far.
 */

import { avroFirstBytes } from './avro-framing.ts'
import { namesOf } from './content-type.ts'
import { FRAMINGS } from './decoder.ts'
import type { Definition, Field, Leaf, Place } from './definition.ts'
import type { MapSource } from './foreign.ts'
import type { Framing, Publishing } from './framing.ts'
import type { Column, Stream } from './reading.ts'
import type { RegisteredSchema, Registry } from './registry.ts'
import { fileName } from './schema-files.ts'

export interface CatalogueColumn extends Column {
  readonly doc?: string
  /** As the schema has it, by Avro's names, such as `float` or `enum`; absent where a map says what it is. */
  readonly type?: Leaf['kind']
  /** Of an enum: all that readings may have, those too that only older versions had. */
  readonly symbols?: readonly string[]
  /** Whether a device may send it as null. */
  readonly nullable?: boolean
  /** A reading may be without it: it may be null, or is an empty tag, or was stored by a version that had it not, or by a map. */
  readonly optional: boolean
  /** The first version that has it. */
  readonly since?: number
}

export interface CatalogueVersion
  extends Pick<RegisteredSchema, 'version' | 'fingerprint' | 'batchFingerprint' | 'id' | 'batchId'> {
  /** Below the folder of the schemas: an `.avsc`, a `.proto`, or both. */
  readonly files: readonly string[]
  /** Of its payloads in Avro's single-object encoding, in hexadecimal. */
  readonly firstBytes: string
  readonly batchFirstBytes: string
}

/** A way to publish the stream's readings under its own topics. */
export interface CatalogueFraming extends Publishing {
  readonly framing: string
  readonly name: string
  readonly topic: string
  /** Of several readings in one payload. */
  readonly batchTopic: string
  /** Of MQTT 5. */
  readonly contentTypes: readonly string[]
}

export interface CatalogueStream extends Pick<Stream, 'version' | 'timeField' | 'precision' | 'isGathered'> {
  readonly stream: string
  readonly doc?: string
  readonly columns: readonly CatalogueColumn[]
  /** The oldest first; none of a stream that only maps make. */
  readonly versions: readonly CatalogueVersion[]
  readonly framings: readonly CatalogueFraming[]
  readonly maps: readonly MapSource[]
}

export function catalogueOf(registry: Registry): CatalogueStream[] {
  const framings = FRAMINGS.map((Class) => new Class(registry))
  return registry.streams.map((stream) => streamOf(stream, registry, framings))
}

function streamOf(stream: Stream, registry: Registry, framings: readonly Framing[]): CatalogueStream {
  const { name, version, timeField, precision, isGathered, columns } = stream
  const definitions = registry.definitions(name)
  const newest = definitions.at(-1)
  return {
    stream: name,
    version,
    ...(newest?.doc !== undefined && { doc: newest.doc }),
    timeField,
    precision,
    ...(isGathered && { isGathered }),
    columns: newest
      ? newest.places.map((place) => columnOf(place, newest, definitions))
      : columns.map((column) => ({ ...column, optional: true })),
    versions: registry.versions(name).map(versionOf),
    framings: framings.flatMap((framing) => framingOf(framing, name)),
    maps: registry.foreign?.mapsOf(name) ?? [],
  }
}

function columnOf({ column, path, leaf }: Place, newest: Definition, all: readonly Definition[]): CatalogueColumn {
  const fields = fieldsAlong(newest, path)
  // A map's keys have what is said of it.
  const doc = fields.findLast(
    (field) => field.doc !== undefined && (field === fields.at(-1) || field.shape.kind === 'map'),
  )?.doc
  const its = all.map(({ places }) => places.find((each) => each.column.name === column.name)?.leaf)
  const since = its.findIndex((each) => each !== undefined) + 1
  const symbols = symbolsOf(its.filter((each) => each !== undefined))
  // An empty tag is left out like null.
  const isEmptyTag = column.tag && leaf.kind !== 'enum'
  const nullable = fields.some(({ nullBranch }) => nullBranch !== undefined)
  const optional = nullable || isEmptyTag || its.includes(undefined)
  const { kind: type } = leaf
  return { ...column, ...(doc !== undefined && { doc }), type, ...(symbols && { symbols }), nullable, optional, since }
}

/** From the top; a field of a kind that has no fields is the last. */
function fieldsAlong({ shape }: Definition, path: readonly string[]): Field[] {
  const fields: Field[] = []
  let record: Pick<Definition['shape'], 'fields'> | undefined = shape
  for (const name of path) {
    const field: Field | undefined = record?.fields.find((each) => each.name === name)
    if (field === undefined) break
    fields.push(field)
    record = 'fields' in field.shape ? field.shape : undefined
  }
  return fields
}

/** Undefined where a version takes other texts than symbols. */
function symbolsOf(leaves: readonly Leaf[]): readonly string[] | undefined {
  const symbols = new Set<string>()
  for (const leaf of [...leaves].reverse()) {
    if (leaf.kind !== 'enum') return undefined
    for (const symbol of leaf.symbols) symbols.add(symbol)
  }
  return [...symbols]
}

function versionOf(registered: RegisteredSchema): CatalogueVersion {
  const { version, fingerprint, batchFingerprint, id, batchId, format, protobuf } = registered
  const formats = format === 'avsc' && protobuf !== undefined ? (['avsc', 'proto'] as const) : [format]
  const files = formats.map((each) => fileName({ ...registered, format: each }))
  return { version, files, fingerprint, batchFingerprint, ...avroFirstBytes(registered), id, batchId }
}

function framingOf(framing: Framing, stream: string): CatalogueFraming | [] {
  const publishing = framing.publishing(stream)
  if (publishing === undefined) return []
  const [one, batch = one] = framing.numbers.map(namesOf)
  const topic = `devices/{device}/telemetry/${stream}`
  const below = (level: string | undefined) => (level === undefined ? topic : `${topic}/${level}`)
  return {
    framing: framing.key,
    name: framing.name,
    topic: below(one?.level),
    batchTopic: below(batch?.level),
    contentTypes: one?.contentTypes ?? [],
    ...publishing,
  }
}
