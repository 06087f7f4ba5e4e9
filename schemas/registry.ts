/**
 * Owns the registered schemas of a process: streams, their versions, and which of them a fingerprint names
 * (docs/schemas.md).
 *
 * Always true: loaded once, whole and linted, or not at all; no two schemas have one fingerprint. Every version decodes to
 * the newest one's columns through a resolver made at load.
 * Bound: two codecs a version (record and batch), all made at load; nothing grows with traffic.
 */

import { type Dirent, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../platform/errors.ts'
import { READING_TIME_MIN_MS, STREAM_NAME_CHARS_MAX } from '../platform/limits.ts'
import { PACKAGE_DIR } from '../platform/package.ts'
import { AvroCodec, avroType, type OtherFingerprint, type Version } from './avro-codec.ts'
import { type Definition, defineSchema, SchemaError } from './definition.ts'
import { checkEvolution } from './evolution.ts'
import type { OtherSpelling } from './fingerprint.ts'
import type { Stream } from './reading.ts'
import { whyUnreadable } from './resolution.ts'
import { quote } from './values.ts'

export { SchemaError }

/** The directory of the schemas that come with the platform. */
export const SHIPPED_SCHEMAS_DIR = join(PACKAGE_DIR, 'schemas')

export interface RegisteredSchema {
  readonly stream: string
  readonly version: number
  /** Of the record schema: sixteen hexadecimal digits, the most significant byte first. On the wire it is little-endian. */
  readonly fingerprint: string
  /** Likewise of an array of it, by which a payload of several readings is named. */
  readonly batchFingerprint: string
  /** The `.avsc` file, parsed. */
  readonly schema: object
}

interface Registered {
  readonly stream: Stream
  readonly versions: readonly RegisteredSchema[]
  /** By version, from 1. */
  readonly records: readonly AvroCodec[]
  readonly batches: readonly AvroCodec[]
  readonly newest: Definition
}

const STREAM_NAME = new RegExp(`^[a-z][a-z0-9_]{0,${STREAM_NAME_CHARS_MAX - 1}}$`)
const VERSION_FILE = /^([1-9]\d{0,5})\.avsc$/

export class Registry {
  readonly streams: readonly Stream[]
  /** No reading's time is before it, milliseconds. */
  readonly readingTimeMinMs: number
  readonly #byName: ReadonlyMap<string, Registered>
  /** By the low half of the fingerprint; a list, for two may share it. */
  readonly #byFingerprint = new Map<number, Indexed[]>()
  readonly #known: string

  private constructor(registered: readonly Registered[], readingTimeMinMs: number) {
    this.readingTimeMinMs = readingTimeMinMs
    this.streams = registered.map(({ stream }) => stream)
    this.#byName = new Map(registered.map((one) => [one.stream.name, one]))
    this.#known = this.streams.map(({ name }) => name).join(', ')
    const codecs = registered.flatMap(({ records, batches }) => [...records, ...batches])
    for (const codec of codecs) this.#index(codec)
    // After all that are right: a fingerprint by the specification has it before one that is not.
    for (const codec of codecs) for (const other of codec.otherFingerprints) this.#indexOther(codec, other)
  }

  /** Reads `<directory>/<stream>/<n>.avsc`. Throws `SchemaError` naming the file and what would be right. */
  static load(directory: string, readingTimeMinMs = READING_TIME_MIN_MS): Registry {
    const names: string[] = []
    for (const entry of list(directory)) {
      if (entry.name.endsWith('.avsc')) {
        refuse(join(directory, entry.name), 'a schema stands in the folder of its stream, as in environment/1.avsc')
      }
      if (entry.isDirectory() && !entry.name.startsWith('.')) names.push(entry.name)
    }
    if (names.length === 0) refuse(directory, 'holds no schemas; expected are <stream>/<n>.avsc')
    const registered = names.sort().map((name) => loadStream(directory, name, readingTimeMinMs))
    return new Registry(registered, readingTimeMinMs)
  }

  stream(name: string): Stream | undefined {
    return this.#byName.get(name)?.stream
  }

  /** Oldest first; empty for an unknown stream. */
  versions(name: string): readonly RegisteredSchema[] {
    return this.#byName.get(name)?.versions ?? []
  }

  /** The newest version of a stream. */
  newest(name: string): Definition | undefined {
    return this.#byName.get(name)?.newest
  }

  /** By the halves of a fingerprint as they are read from a payload: a signed number of 32 bits each. */
  codec(low: number, high: number): AvroCodec | undefined {
    return this.#find(low, high)?.codec
  }

  /** The library whose fingerprint this is, where it is not the specification's. */
  spelling(low: number, high: number): OtherSpelling | undefined {
    return this.#find(low, high)?.spelling
  }

  /** What the sender is told who names a stream that is not registered. */
  unknownStream(name: string): string {
    return `no stream is named ${quote(name)}; registered are ${this.#known}`
  }

  /**
   * Records, shaped as the given version's schema, in single-object encoding; an array becomes a batch. Times and values
   * are not judged as a decoder does, only types. Throws `SchemaError`: `unknown-stream`, `unknown-version`, `record-invalid`.
   */
  encode(stream: string, records: object | readonly object[], version?: number): Buffer {
    const registered = this.#byName.get(stream)
    if (!registered) throw new SchemaError('unknown-stream', this.unknownStream(stream))
    const codecs = Array.isArray(records) ? registered.batches : registered.records
    const codec = codecs[(version ?? codecs.length) - 1]
    if (!codec) {
      throw new SchemaError('unknown-version', `${stream} has no version ${version}; it has 1 to ${codecs.length}`)
    }
    return codec.encode(records)
  }

  #find(low: number, high: number): Indexed | undefined {
    const found = this.#byFingerprint.get(low)
    if (found === undefined) return undefined
    for (const each of found) if (each.high === high) return each
    return undefined
  }

  #index(codec: AvroCodec): void {
    const { low, high } = halves(codec.fingerprint)
    const other = this.codec(low, high)
    if (other) {
      const { stream, version } = codec.definition
      throw new SchemaError(
        'schema-invalid',
        `${stream}/${version}.avsc: has the fingerprint ${codec.hex} of ${other.definition.stream}/${other.definition.version}.avsc, so payloads could not be told apart; remove one, or change a field's name or type`,
      )
    }
    this.#add(low, { high, codec })
  }

  #indexOther(codec: AvroCodec, { fingerprint, spelling }: OtherFingerprint): void {
    const { low, high } = halves(fingerprint)
    const known = this.#find(low, high)
    if (known === undefined) this.#add(low, { high, codec, spelling })
  }

  #add(low: number, indexed: Indexed): void {
    const found = this.#byFingerprint.get(low)
    if (found) found.push(indexed)
    else this.#byFingerprint.set(low, [indexed])
  }
}

interface Indexed {
  readonly high: number
  readonly codec: AvroCodec
  readonly spelling?: OtherSpelling
}

/** As they are read from a payload: signed, of 32 bits each. */
function halves(fingerprint: bigint) {
  return { low: Number(BigInt.asIntN(32, fingerprint)), high: Number(BigInt.asIntN(32, fingerprint >> 32n)) }
}

function refuse(file: string, what: string, cause?: unknown): never {
  throw new SchemaError('schema-invalid', `${file}: ${what}`, { cause })
}

function list(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (cause) {
    return refuse(directory, `cannot be read: ${messageOf(cause)}`, cause)
  }
}

function loadStream(directory: string, name: string, readingTimeMinMs: number): Registered {
  const folder = join(directory, name)
  if (!STREAM_NAME.test(name)) {
    refuse(
      folder,
      `"${name}" cannot be a stream: a name starts with a-z, then a-z, 0-9, _, ${STREAM_NAME_CHARS_MAX} in all`,
    )
  }
  const file = (version: number) => join(folder, `${version}.avsc`)
  const definitions = versionsIn(folder).map((version) =>
    defineSchema(file(version), name, version, readFileSync(file(version), 'utf8')),
  )
  checkEvolution(file, definitions)
  const versions = definitions.map((definition) => typed(file(definition.version), definition))
  const newest = versions.at(-1) ?? refuse(folder, 'holds no schema; expected is 1.avsc')
  const codecs = (batch: boolean) =>
    versions.map((writer) => compile(file(writer.definition.version), writer, newest, batch, readingTimeMinMs))
  const records = codecs(false)
  const batches = codecs(true)
  return {
    stream: streamOf(newest.definition),
    versions: records.map(({ definition, hex }, index) => ({
      stream: name,
      version: definition.version,
      fingerprint: hex,
      batchFingerprint: batches[index]?.hex ?? '',
      schema: definition.schema,
    })),
    records,
    batches,
    newest: newest.definition,
  }
}

/** 1 to n: a hole would make "the newest version" a matter of opinion between machines. */
function versionsIn(folder: string): number[] {
  const versions: number[] = []
  for (const { name } of list(folder)) {
    if (!name.endsWith('.avsc')) continue
    const version = VERSION_FILE.exec(name)?.[1]
    if (version === undefined) refuse(join(folder, name), 'a schema is named by its version: 1.avsc, 2.avsc and so on')
    versions.push(Number(version))
  }
  versions.sort((a, b) => a - b)
  for (const [index, version] of versions.entries()) {
    if (version !== index + 1) refuse(join(folder, `${version}.avsc`), `version ${index + 1} is missing before it`)
  }
  return versions
}

function typed(file: string, definition: Definition): Version {
  try {
    return { definition, type: avroType(definition.schema) }
  } catch (cause) {
    return refuse(file, `is not valid Avro: ${messageOf(cause)}`, cause)
  }
}

function compile(file: string, writer: Version, newest: Version, batch: boolean, readingTimeMinMs: number): AvroCodec {
  try {
    return new AvroCodec(writer, newest, batch, readingTimeMinMs)
  } catch (cause) {
    const { version } = newest.definition
    const why = whyUnreadable(writer.definition, newest.definition) ?? messageOf(cause)
    return refuse(file, `version ${version} cannot read it: ${why}`, cause)
  }
}

function streamOf({ stream, version, timeField, precision, places }: Definition): Stream {
  return { name: stream, version, timeField, precision, columns: places.map(({ column }) => column) }
}
