/**
 * Owns what the files in `config/devices` say (docs/devices-as-files.md): which devices there are and what is expected of each, and who has
 * a user name and a password. An entry may say both.
 *
 * Always true: all that the files say is in force, or what they said before. A file is read once while its text is the same: one of
 * 5,000 devices takes 0.8 s, nearly all in the YAML library; what is prepared is read by parts, with other work in between.
 * Bounds: by what it puts in force; `SLICE_MS` at a time.
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { ConfigError, type ConfigValue, readConfig, readConfigByParts } from '../platform/config-file.ts'
import type { ConfigText } from '../platform/config-folder.ts'
import {
  DECLARATION_KEYS,
  DeclaredDevices,
  type DeclaredEntry,
  readDeclaration,
  readDevices,
} from './declared-devices.ts'
import { readUser, USER_KEYS, type User, Users } from './users.ts'

/** Nothing else is done for so long while a file is prepared, and for one part more. */
const SLICE_MS = 5

const KEYS = [...USER_KEYS, ...DECLARATION_KEYS]

interface Entry extends DeclaredEntry {
  readonly user: User | undefined
}

export class DeviceFiles {
  readonly users = new Users()
  readonly declared = new DeclaredDevices()
  /** By file name and text. */
  #read: ReadonlyMap<string, readonly Entry[]> = new Map()
  /** Likewise, of files that are not in force yet, or their faults. */
  #prepared: ReadonlyMap<string, readonly Entry[] | ConfigError> = new Map()

  /** Puts what these files say in force. Throws a `ConfigError`, and changes nothing. */
  use(files: readonly ConfigText[]): void {
    const read = new Map<string, readonly Entry[]>()
    try {
      this.#enforce(this.#entriesOf(files, read))
    } catch (error) {
      // What it was before is put in force next.
      this.#read = new Map([...this.#read, ...read])
      throw error
    }
    this.#read = read
    this.#prepared = new Map()
  }

  #enforce(entries: readonly Entry[]): void {
    const names = new Set<string>()
    const users: User[] = []
    for (const { user, file, line } of entries) {
      if (user === undefined) continue
      if (names.has(user.name)) throw new ConfigError(file, line, `the user ${user.name} is there twice`)
      names.add(user.name)
      users.push(user)
    }
    this.declared.use(entries)
    this.users.use(users)
  }

  /** Reads what will be put in force next. What is wrong with a file is told when it is. */
  async prepare(files: readonly ConfigText[]): Promise<void> {
    const prepared = new Map<string, readonly Entry[] | ConfigError>()
    for (const { file, text } of files) {
      const key = `${file}\n${text}`
      if (this.#read.has(key)) continue
      try {
        prepared.set(key, await readEntriesInSlices(file, text))
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        prepared.set(key, error)
      }
    }
    this.#prepared = prepared
  }

  /** Each that is read goes into `read`. */
  #entriesOf(files: readonly ConfigText[], read: Map<string, readonly Entry[]>): readonly Entry[] {
    for (const { file, text } of files) {
      const key = `${file}\n${text}`
      const known = this.#read.get(key) ?? this.#prepared.get(key)
      if (known instanceof ConfigError) throw known
      read.set(key, known ?? readEntries(file, text))
    }
    return [...read.values()].flat()
  }
}

async function readEntriesInSlices(file: string, text: string): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  let began = performance.now()
  for (const items of readConfigByParts(file, text)) {
    entries.push(...items.map(readEntry))
    if (performance.now() - began < SLICE_MS) continue
    await nextTurn()
    began = performance.now()
  }
  return entries
}

const readEntries = (file: string, text: string): readonly Entry[] => readConfig(file, text).map(readEntry)

function readEntry(item: ConfigValue): Entry {
  const keys = item.entries('a device', KEYS)
  const { file, line } = item
  const declaration = readDeclaration(keys)
  if (keys.has('user')) {
    const user = readUser(item, keys)
    const isOfUser = !DECLARATION_KEYS.some((key) => keys.has(key))
    return { file, line, user, devices: [user.principal.device], declaration, isOfUser }
  }
  if (keys.has('password') || keys.has('subscribe')) item.refuse('it has no user')
  return { file, line, user: undefined, devices: readDevices(item, keys), declaration, isOfUser: false }
}
