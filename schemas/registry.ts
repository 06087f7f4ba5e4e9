/**
 * Owns the registered schemas of a process: streams, their versions, and which of them a fingerprint names
 * (docs/schemas.md). A version is an `.avsc`, a `.proto` or both.
 *
 * Always true: made whole and linted, or not at all, and never changed (`current-schemas.ts` puts another in its place); no two
 * schemas have one fingerprint. Every version decodes to the newest one's columns through a resolver made at load.
 * Bound: two codecs a version (record and batch), all made at load; nothing grows with traffic.
 */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../platform/errors.ts'
import { READING_TIME_MIN_MS } from '../platform/limits.ts'
import { PACKAGE_DIR } from '../platform/package.ts'
import { AvroCodec, avroType, type OtherFingerprint, type Version } from './avro-codec.ts'
import { checkVersions, type FindingCode } from './compatibility.ts'
import { type Definition, SchemaError } from './definition.ts'
import type { OtherSpelling } from './fingerprint.ts'
import type { Foreign, MakeForeign, NewColumns } from './foreign.ts'
import { driftError, Lock, type Locked, type Released } from './lock.ts'
import { ProtobufCodec } from './protobuf-codec.ts'
import { checkProtoEvolution } from './protobuf-evolution.ts'
import type { Stream } from './reading.ts'
import { whyUnreadable } from './resolution.ts'
import { readSchemaFiles, refuse, type SchemaFile, type SchemaFiles, type SchemaFormat } from './schema-files.ts'
import { quote } from './values.ts'
import { byVersion, defineVersion, type StreamVersion } from './version.ts'

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
  /** What defines it, or with a `.proto` beside it defines it first. */
  readonly format: SchemaFormat
  /** The `.avsc` file, parsed; without one, what stands for the `.proto`. */
  readonly schema: object
  /** The text of the `.proto` file. */
  readonly protobuf?: string
  /** By which Confluent's wire format names the record schema, and an array of it; undefined until it is locked. */
  readonly id: number | undefined
  readonly batchId: number | undefined
}

interface Registered {
  readonly files: readonly SchemaFile[]
  readonly stream: Stream
  readonly versions: readonly RegisteredSchema[]
  /** By version, from 1. */
  readonly records: readonly AvroCodec[]
  readonly batches: readonly AvroCodec[]
  readonly newest: Definition
  /** By the newest `.proto`, if there is any. */
  readonly protobuf: ProtobufCodec | undefined
}

export class Registry {
  /** Those with a schema, and then those that maps make. */
  readonly streams: readonly Stream[]
  readonly foreign: Foreign | undefined
  /** No reading's time is before it, milliseconds. */
  readonly readingTimeMinMs: number
  readonly #byName: ReadonlyMap<string, Registered>
  readonly #made: ReadonlyMap<string, Stream>
  /** By the low half of the fingerprint; a list, for two may share it. */
  readonly #byFingerprint = new Map<number, Indexed[]>()
  readonly #byId = new Map<number, AvroCodec>()
  readonly #known: string

  private constructor(
    registered: readonly Registered[],
    readingTimeMinMs: number,
    foreignOf: (registry: Registry) => Foreign | undefined,
    before: Registry | undefined,
  ) {
    this.readingTimeMinMs = readingTimeMinMs
    this.#byName = new Map(registered.map((one) => [one.stream.name, one]))
    this.#known = [...this.#byName.keys()].join(', ')
    this.foreign = foreignOf(this)
    const made = (this.foreign?.streams ?? []).map((stream) => {
      const known = before?.stream(stream.name)
      return isDeepStrictEqual(known, stream) ? (known as Stream) : stream
    })
    this.#made = new Map(made.map((stream) => [stream.name, stream]))
    this.streams = [...registered.map(({ stream }) => stream), ...made]
    const codecs = registered.flatMap(({ records, batches }) => [...records, ...batches])
    for (const codec of codecs) this.#index(codec)
    // After all that are right: a fingerprint by the specification has it before one that is not.
    for (const codec of codecs) for (const other of codec.otherFingerprints) this.#indexOther(codec, other)
    for (const { versions, records, batches } of registered) {
      for (const [index, { id, batchId }] of versions.entries()) {
        const [record, batch] = [records[index], batches[index]]
        if (id !== undefined && record !== undefined) this.#byId.set(id, record)
        if (batchId !== undefined && batch !== undefined) this.#byId.set(batchId, batch)
      }
    }
  }

  /** Reads `<directory>/<stream>/<n>.avsc` and `<n>.proto`. Throws `SchemaError` naming the file and what would be right. */
  static load(directory: string, readingTimeMinMs = READING_TIME_MIN_MS): Registry {
    return Registry.of(readSchemaFiles(directory), readingTimeMinMs)
  }

  /**
   * Throws `SchemaError` likewise; `schema-drift` if a released version is not as it was. A stream that is as it was in `before`
   * is the same object: of a hundred only the one that changed is compiled. `makeForeign` reads its maps, and what it throws is thrown;
   * without it there are none.
   */
  static of(
    files: SchemaFiles,
    readingTimeMinMs = READING_TIME_MIN_MS,
    before?: Registry,
    makeForeign?: MakeForeign,
  ): Registry {
    const lock = Lock.read(files)
    const drift = lock.drift(files)
    if (drift.length > 0) throw driftError(files.directory, drift)
    const streams = [...new Set(files.files.map(({ stream }) => stream))]
    const registered = streams.map((name) => {
      const ofStream = files.files.filter(({ stream }) => stream === name)
      const known = before?.readingTimeMinMs === readingTimeMinMs ? before.#byName.get(name) : undefined
      if (known !== undefined && isDeepStrictEqual(known.files, ofStream)) return withIds(known, lock)
      return registerStream(join(files.directory, name), name, ofStream, lock, readingTimeMinMs)
    })
    return new Registry(registered, readingTimeMinMs, (registry) => makeForeign?.(files.maps ?? [], registry), before)
  }

  stream(name: string): Stream | undefined {
    return this.#byName.get(name)?.stream ?? this.#made.get(name)
  }

  /** The same with columns that a message on a foreign topic has shown. */
  learn(found: NewColumns): Registry {
    return new Registry([...this.#byName.values()], this.readingTimeMinMs, () => this.foreign?.learn(found), this)
  }

  /** Oldest first; empty for an unknown stream. */
  versions(name: string): readonly RegisteredSchema[] {
    return this.#byName.get(name)?.versions ?? []
  }

  /** Likewise, as what each version says. */
  definitions(name: string): readonly Definition[] {
    return this.#byName.get(name)?.records.map(({ definition }) => definition) ?? []
  }

  /** The newest version of a stream. */
  newest(name: string): Definition | undefined {
    return this.#byName.get(name)?.newest
  }

  /** What decodes a stream's Protobuf; undefined if it has no `.proto`. */
  protobuf(name: string): ProtobufCodec | undefined {
    return this.#byName.get(name)?.protobuf
  }

  /** By the halves of a fingerprint as they are read from a payload: a signed number of 32 bits each. */
  codec(low: number, high: number): AvroCodec | undefined {
    return this.#find(low, high)?.codec
  }

  /** By the id that the lock gave a version's record schema, or an array of it. */
  byId(id: number): AvroCodec | undefined {
    return this.#byId.get(id)
  }

  /** What is to be locked of the files that this registry is made of. */
  released(files: readonly SchemaFile[]): Released[] {
    return files.flatMap((file) => {
      const registered = this.versions(file.stream)[file.version - 1]
      if (registered === undefined) return []
      const { fingerprint, batchFingerprint } = registered
      return [{ ...file, fingerprint, batchFingerprint }]
    })
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
    if (other !== undefined && hasOtherKeys(other.definition, codec.definition)) {
      const indexed = this.#byFingerprint.get(low) ?? []
      this.#byFingerprint.set(
        low,
        indexed.map((each) => (each.codec === other ? { high, codec } : each)),
      )
    } else if (other) {
      const { stream, version } = codec.definition
      throw new SchemaError(
        'schema-invalid',
        `${stream}/${version}.avsc: has the fingerprint ${codec.hex} of ${other.definition.stream}/${other.definition.version}.avsc, so payloads could not be told apart; remove one, or change a field's name or type`,
      )
    } else this.#add(low, { high, codec })
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

/** Of what a fingerprint sees two versions are the same, and one has other keys of a map: then the newer reads both. */
function hasOtherKeys(one: Definition, other: Definition): boolean {
  const columns = ({ places }: Definition) => places.map(({ column }) => column.name)
  return one.stream === other.stream && !isDeepStrictEqual(columns(one), columns(other))
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

function registerStream(
  folder: string,
  name: string,
  files: readonly SchemaFile[],
  lock: Lock,
  readingTimeMinMs: number,
): Registered {
  const nameOf = ({ version, format }: SchemaFile) => join(folder, `${version}.${format}`)
  const defined = byVersion(files).map((ofVersion) => defineVersion(ofVersion, nameOf))
  requireCompatible(defined, lock)
  const protos = defined.flatMap(({ proto }) => proto ?? [])
  checkProtoEvolution(protos)
  const definitions = defined.map(({ definition }) => definition)
  const formatOf = (version: number) => defined[version - 1]?.format ?? 'avsc'
  const file = (version: number) => defined[version - 1]?.file ?? folder
  const versions = definitions.map((definition) => typed(file(definition.version), definition))
  const newest = versions.at(-1) ?? refuse(folder, 'holds no schema; expected is 1.avsc')
  const codecs = (batch: boolean) =>
    versions.map((writer) => compile(file(writer.definition.version), writer, newest, batch, readingTimeMinMs))
  const records = codecs(false)
  const batches = codecs(true)
  const proto = protos.at(-1)
  const registered = {
    files,
    stream: streamOf(newest.definition),
    versions: records.map(({ definition, hex }, index) => {
      const { version, schema } = definition
      const fingerprints = { fingerprint: hex, batchFingerprint: batches[index]?.hex ?? '' }
      const format = formatOf(version)
      const locked = lock.of({ stream: name, version, format })
      if (locked !== undefined) requireLocked(file(version), fingerprints, locked)
      const text = protos.find((each) => each.version === version)?.text
      const protobuf = text !== undefined && { protobuf: text }
      return { stream: name, version, format, ...fingerprints, schema, ...protobuf, id: undefined, batchId: undefined }
    }),
    records,
    batches,
    newest: newest.definition,
    protobuf: proto && new ProtobufCodec(proto, newest.definition, readingTimeMinMs),
  }
  return withIds(registered, lock)
}

/** What a column means is the same in all versions, also in those of before there was a lock. */
const MEANINGS: readonly FindingCode[] = ['time', 'type', 'tag', 'unit']

/** A new version may do nothing wrong to devices in the field; what was released before there was such a check stays. */
function requireCompatible(versions: readonly StreamVersion[], lock: Lock): void {
  const isLocked = (version: StreamVersion | undefined) =>
    version !== undefined && lock.of({ ...version.definition, format: version.format }) !== undefined
  const isNew = (file: string) => {
    const index = versions.findIndex((each) => each.file === file)
    return !isLocked(versions[index]) && isLocked(versions[index - 1])
  }
  for (const { file, line, severity, code, what, devices, mend } of checkVersions(versions)) {
    if (severity !== 'error' || !(MEANINGS.includes(code) || isNew(file))) continue
    refuse(`${file}:${line}`, `${what}: ${mend}. Otherwise ${devices}`)
  }
}

function withIds(registered: Registered, lock: Lock): Registered {
  const versions = registered.versions.map((version) => {
    const { id, batchId } = lock.of(version) ?? {}
    return { ...version, id, batchId }
  })
  return { ...registered, versions }
}

function requireLocked(file: string, is: Pick<Locked, 'fingerprint' | 'batchFingerprint'>, locked: Locked): void {
  if (is.fingerprint === locked.fingerprint && is.batchFingerprint === locked.batchFingerprint) return
  throw new SchemaError(
    'lock-invalid',
    `${file}: has the fingerprints ${is.fingerprint} and ${is.batchFingerprint}, and the lock says ${locked.fingerprint} and ` +
      `${locked.batchFingerprint}: the lock was changed by hand; take it from your version control`,
  )
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
