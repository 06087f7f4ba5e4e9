/**
 * Owns which registry is in force in a thread, and how the next one comes into force while it runs: the folder of the schemas is
 * looked at, and who decodes asks here for each message.
 *
 * Always true: a registry is replaced whole, by one that all of its files make; while they make none, the one before stays, and it
 * is told why. A message whose schema is not known is a reason to look at once: so a device may send by a version as soon as
 * its file is there, and no process is behind another.
 * Bounds: a look a second, and `UNKNOWN_LOOKS` for unknown schemas, whatever comes. A look that finds nothing takes a stat(2) a file.
 */

import { isDeepStrictEqual } from 'node:util'
import { ConfigError } from '../platform/config-file.ts'
import type { ConfigText } from '../platform/config-folder.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/logger.ts'
import { TokenBucket } from '../platform/token-bucket.ts'
import { candidateOf, errorsIn, requireNone, writeCandidate } from './candidate.ts'
import { FOREIGN, SPARKPLUG } from './content-type.ts'
import { Decoder } from './decoder.ts'
import { SchemaError } from './definition.ts'
import { type MakeForeign, NewColumns } from './foreign.ts'
import type { Contents, Message, Remark } from './framing.ts'
import { Lock, type Released } from './lock.ts'
import { changeLock } from './lock-file.ts'
import { type Reading, Rejection } from './reading.ts'
import { type RegisteredSchema, Registry } from './registry.ts'
import { fileName, readSchemaFiles, type SchemaFile, type SchemaFiles, stampOf } from './schema-files.ts'

/** What is new is promised within two seconds: one to see it, and one for all who are to know. */
const LOOK_MS = 1_000
/** Of two that add a version at once one has to look again. */
const ADD_TRIES_MAX = 10
/** Looks for unknown schemas: what is not known after so many is found by the next that may be, or by the clock. */
const UNKNOWN_LOOKS = { capacity: 20, perSecond: 20 }

export interface CurrentSchemasOptions {
  readonly directory: string
  /** No reading's time is before it, milliseconds; undefined: as by default. */
  readonly readingTimeMinMs?: number | undefined
  /** What another thread has read of the folder; it is read here if they are not given. */
  readonly files?: SchemaFiles
  /** There are no maps of foreign topics if it is not given. */
  readonly foreign?: ForeignOptions
}

export interface ForeignOptions {
  readonly make: MakeForeign
  /** Has maps used that are newer than what was seen when the message came; another process may have taken it by them. */
  readonly lookAfter?: (receivedAt: number) => void
}

export class CurrentSchemas {
  readonly name = 'schemas'
  readonly #directory: string
  readonly #readingTimeMinMs: number | undefined
  readonly #foreign: ForeignOptions | undefined
  readonly #listeners: (() => void)[] = []
  #files: SchemaFiles
  #decoder: Decoder
  /** Of the folder when `#files` were read. */
  #stamp: string
  /** Of a folder whose files make no registry, and why. */
  #refused: { readonly stamp: string; readonly problem: string } | undefined
  #told = ''
  readonly #looksLeft = new TokenBucket(UNKNOWN_LOOKS)
  #looking: NodeJS.Timeout | undefined
  #logger: Logger | undefined

  /** Throws `SchemaError` as `Registry.load` does. */
  constructor({ directory, readingTimeMinMs, files, foreign }: CurrentSchemasOptions) {
    this.#directory = directory
    this.#readingTimeMinMs = readingTimeMinMs
    this.#foreign = foreign
    this.#stamp = stampOf(directory)
    this.#files = files ?? readSchemaFiles(directory)
    this.#decoder = new Decoder(Registry.of(this.#files, readingTimeMinMs, undefined, foreign?.make))
  }

  get registry(): Registry {
    return this.#decoder.registry
  }

  /** What the registry is made of: another thread makes the same of it. */
  get files(): SchemaFiles {
    return this.#files
  }

  get directory(): string {
    return this.#directory
  }

  /** `listener` is called when another registry has come into force. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  decode(message: Message): readonly Reading[] | Rejection {
    let decoded = this.#decoder.decode(message)
    if (this.#isKnownNow(decoded, message)) decoded = this.#decoder.decode(message)
    while (decoded instanceof NewColumns && this.learn(decoded)) decoded = this.#decoder.decode(message)
    return decoded
  }

  /** As `Decoder.glance`. */
  glance(message: Message): Rejection | undefined {
    const found = this.#decoder.glance(message)
    return this.#isKnownNow(found, message) ? this.#decoder.glance(message) : found
  }

  remark(message: Message): Remark | undefined {
    return this.#decoder.remark(message)
  }

  show(message: Message): Contents {
    return this.#decoder.show(message)
  }

  /** As `Decoder.forApps`. */
  forApps(message: Message, readings: readonly Reading[]): Buffer | undefined {
    return this.#decoder.forApps(message, readings)
  }

  /** Whether another registry has come into force since a schema was found unknown, or a map to have no use for the message. */
  #isKnownNow(outcome: readonly Reading[] | Rejection | undefined, { framing, receivedAt }: Message): boolean {
    if (framing === FOREIGN || framing === SPARKPLUG) {
      const { registry } = this
      const isUnfit = outcome instanceof Rejection ? !(outcome instanceof NewColumns) : outcome?.length === 0
      if (isUnfit) this.#foreign?.lookAfter?.(receivedAt)
      return this.registry !== registry
    }
    if (!(outcome instanceof Rejection) || outcome.code !== 'unknown-schema') return false
    const now = performance.now()
    if (this.#looksLeft.tokens(now) < 1) return false
    this.#looksLeft.take(now)
    return this.look()
  }

  /** Looks at the folder; true if another registry is in force. */
  look(): boolean {
    const stamp = stampOf(this.#directory)
    if (stamp === this.#stamp) this.#refused = undefined
    if (stamp === this.#stamp || stamp === this.#refused?.stamp) return false
    try {
      const { maps } = this.#files
      const changed = this.adopt({ ...readSchemaFiles(this.#directory), ...(maps && { maps }) })
      this.#stamp = stamp
      this.#refused = undefined
      return changed
    } catch (error) {
      if (!(error instanceof SchemaError || error instanceof ConfigError)) throw error
      this.#refused = { stamp, problem: error.message }
      return false
    }
  }

  /**
   * Registers the next version of a stream, or its first; what says the same as one that is registered is that. Throws `SchemaError`
   * `schema-invalid`, `schema-incompatible`, or `schemas-unwritable` if the folder takes none.
   */
  add(text: string): { readonly registered: RegisteredSchema; readonly isNew: boolean } {
    for (let tries = 0; tries < ADD_TRIES_MAX; tries++) {
      this.look()
      if (this.#refused !== undefined) throw new SchemaError('schemas-unwritable', this.#refused.problem)
      const candidate = candidateOf(text, this.registry)
      if (candidate.same !== undefined) return { registered: candidate.same, isNew: false }
      requireNone(errorsIn(candidate, this.#files.files))
      this.#requireMapsTake(candidate.file)
      if (!writeCandidate(this.#directory, candidate)) continue
      this.look()
      this.#release()
      const { stream, version } = candidate.file
      const registered = this.registry.versions(stream)[version - 1]
      if (registered !== undefined) return { registered, isNew: true }
    }
    throw new SchemaError(
      'schemas-unwritable',
      this.#refused?.problem ?? 'others register schemas all the time: try again',
    )
  }

  /** Throws `SchemaError` `schema-incompatible` for a version that the maps in force cannot be used with. */
  #requireMapsTake(file: SchemaFile): void {
    const files = { ...this.#files, files: [...this.#files.files, file] }
    try {
      Registry.of(files, this.#readingTimeMinMs, this.registry, this.#foreign?.make)
    } catch (cause) {
      if (!(cause instanceof ConfigError)) throw cause
      throw new SchemaError('schema-incompatible', `a map does not go with it: ${cause.message}`, { cause })
    }
  }

  /** Has these maps be in force, and no others. Throws a `ConfigError`, and then nothing changes. */
  useMaps(maps: readonly ConfigText[]): void {
    this.adopt({ ...this.#files, maps })
  }

  /**
   * Has these files be in force; false if they are. Throws `SchemaError` or `ConfigError` if they make no registry, and then nothing
   * changes.
   */
  adopt(files: SchemaFiles): boolean {
    if (isDeepStrictEqual(files, this.#files)) return false
    const before = this.registry
    const registry = Registry.of(files, this.#readingTimeMinMs, before, this.#foreign?.make)
    const come = newFiles(before.released(this.#files.files), registry.released(files.files))
    this.#files = files
    if (come.length > 0) this.#logger?.info(`from now on there is ${come.join(', ')}`)
    this.#use(registry)
    return true
  }

  /** Has a registry with these columns be in force; false if they are no help. */
  learn(found: NewColumns): boolean {
    const before = this.registry.stream(found.stream)
    const registry = this.registry.learn(found)
    if (registry.stream(found.stream) === before) return false
    this.#use(registry)
    return true
  }

  #use(registry: Registry): void {
    this.#decoder = new Decoder(registry)
    for (const listener of this.#listeners) listener()
  }

  /** Looks at the folder from now on, releases what is new in it, and tells what cannot be used. Does not keep the process alive. */
  watch(logger: Logger): void {
    this.#logger = logger
    this.#release()
    this.#looking ??= setInterval(() => this.#lookAndTell(), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#looking)
  }

  /** What is wrong is told at the second look: a file is there before it is whole. */
  #lookAndTell(): void {
    const before = this.#refused
    this.look()
    if (this.#refused === undefined) this.#release()
    else if (this.#refused === before) this.#tell(`${before.problem}; the schemas of before stay in force`)
  }

  /** What a running platform has taken is released: from then on messages may have been sent by it. */
  #release(): void {
    if (Lock.read(this.#files).unlocked(this.#files.files).length === 0) {
      this.#tell('')
      return
    }
    try {
      const changed = changeLock(this.#directory, (lock, files) => {
        const registry = Registry.of(files, this.#readingTimeMinMs, this.registry)
        return lock.with(registry.released(files.files))
      })
      if (changed !== undefined) this.look()
      this.#tell('')
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error
      this.#tell(`new versions are used, but not released, so nobody would notice if they changed: ${messageOf(error)}`)
    }
  }

  #tell(problem: string): void {
    if (problem !== '' && problem !== this.#told) this.#logger?.error(problem)
    this.#told = problem
  }
}

/** The names of files that have come, a `.proto` beside an `.avsc` too, and of those that define another schema than before. */
function newFiles(before: readonly Released[], now: readonly Released[]): string[] {
  const known = new Set(before.map((file) => `${fileName(file)} ${file.fingerprint}`))
  return now.filter((file) => !known.has(`${fileName(file)} ${file.fingerprint}`)).map(fileName)
}
