/**
 * Owns the files of a folder of schemas as they were read at one time: `<stream>/<n>.avsc` and `<n>.proto`, and `lock.json` beside the streams.
 *
 * Always true: streams and versions stand in order, and the versions of a stream are 1 to n. It is plain data, so that a thread
 * can be given what another has read, and both make the same registry of it. What the files say is not looked at here.
 */

import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ConfigText } from '../platform/config-folder.ts'
import { messageOf } from '../platform/errors.ts'
import { STREAM_NAME_CHARS_MAX } from '../platform/limits.ts'
import { SchemaError } from './definition.ts'

/** Of the folder: what was released (lock.ts). */
export const LOCK_FILE = 'lock.json'

/** A version is defined by an `.avsc`, by a `.proto`, or by both. */
export type SchemaFormat = 'avsc' | 'proto'

export interface SchemaFile {
  readonly stream: string
  readonly version: number
  readonly format: SchemaFormat
  /** With ends of lines as on Unix and no byte order mark: what a checkout makes of those changes no schema. */
  readonly text: string
}

export interface SchemaFiles {
  readonly directory: string
  readonly files: readonly SchemaFile[]
  /** The text of `lock.json`; undefined if there is none. */
  readonly lock: string | undefined
  /** The files of maps that are in force with them, from another folder; none if they are left out. */
  readonly maps?: readonly ConfigText[]
}

const STREAM_NAME = new RegExp(`^[a-z][a-z0-9_]{0,${STREAM_NAME_CHARS_MAX - 1}}$`)
const SCHEMA_FILE = /\.(avsc|proto)$/
const VERSION_FILE = /^([1-9]\d{0,5})\.(avsc|proto)$/

export const isStreamFolder = (name: string): boolean => STREAM_NAME.test(name)

/** Where a version stands below its folder; by this name the lock knows it. */
export const fileName = ({ stream, version, format }: Pick<SchemaFile, 'stream' | 'version' | 'format'>) =>
  `${stream}/${version}.${format}`

/** Throws `SchemaError` `schema-invalid` naming the file and what would be right. */
export function readSchemaFiles(directory: string): SchemaFiles {
  const names: string[] = []
  for (const entry of list(directory)) {
    if (SCHEMA_FILE.test(entry.name)) {
      refuse(join(directory, entry.name), 'a schema stands in the folder of its stream, as in environment/1.avsc')
    }
    if (entry.isDirectory() && !entry.name.startsWith('.')) names.push(entry.name)
  }
  if (names.length === 0) refuse(directory, 'holds no schemas; expected are <stream>/<n>.avsc or <n>.proto')
  const files = names.sort().flatMap((stream) => filesOf(directory, stream))
  const lock = join(directory, LOCK_FILE)
  return { directory, files, lock: existsSync(lock) ? read(lock) : undefined }
}

/** Another text when a file of the folder has come, gone or changed. Never throws: what cannot be looked at is part of it. */
export function stampOf(directory: string): string {
  const parts: string[] = []
  const note = (path: string) => {
    const { mtimeMs, size, ino } = statSync(path)
    parts.push(path.slice(directory.length), String(mtimeMs), String(size), String(ino))
  }
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.name === LOCK_FILE || SCHEMA_FILE.test(entry.name)) note(path)
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue
      parts.push(entry.name)
      for (const name of readdirSync(path)) if (SCHEMA_FILE.test(name)) note(join(path, name))
    }
  } catch (error) {
    parts.push(messageOf(error))
  }
  return parts.join(' ')
}

export function refuse(file: string, what: string, cause?: unknown): never {
  throw new SchemaError('schema-invalid', `${file}: ${what}`, { cause })
}

function filesOf(directory: string, stream: string): SchemaFile[] {
  const folder = join(directory, stream)
  if (!isStreamFolder(stream)) {
    refuse(
      folder,
      `"${stream}" cannot be a stream: a name starts with a-z, then a-z, 0-9, _, ${STREAM_NAME_CHARS_MAX} in all`,
    )
  }
  const versions = versionsIn(folder)
  if (versions.length === 0) refuse(folder, 'holds no schema; expected is 1.avsc or 1.proto')
  return versions.map(({ version, format }) => {
    return { stream, version, format, text: read(join(folder, `${version}.${format}`)) }
  })
}

/** 1 to n, of a version its `.avsc` first: a hole would make "the newest version" a matter of opinion between machines. */
function versionsIn(folder: string): Pick<SchemaFile, 'version' | 'format'>[] {
  const versions: Pick<SchemaFile, 'version' | 'format'>[] = []
  for (const { name } of list(folder)) {
    if (!SCHEMA_FILE.test(name)) continue
    const [, version, format] = VERSION_FILE.exec(name) ?? []
    if (version === undefined) refuse(join(folder, name), 'a schema is named by its version: 1.avsc, 2.avsc and so on')
    versions.push({ version: Number(version), format: format as SchemaFormat })
  }
  versions.sort((a, b) => a.version - b.version || (a.format < b.format ? -1 : 1))
  let before = 0
  for (const { version, format } of versions) {
    if (version > before + 1) refuse(join(folder, `${version}.${format}`), `version ${before + 1} is missing before it`)
    before = version
  }
  return versions
}

function list(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (cause) {
    return refuse(directory, `cannot be read: ${messageOf(cause)}`, cause)
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
      .replace(/^\uFEFF/, '')
      .replaceAll('\r\n', '\n')
  } catch (cause) {
    return refuse(file, `cannot be read: ${messageOf(cause)}`, cause)
  }
}
