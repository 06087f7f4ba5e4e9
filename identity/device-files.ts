/**
 * Owns what the files in `config/devices` say (docs/devices-as-files.md): which devices there are and what is expected of each, and who has
 * a user name and a password. An entry may say both.
 *
 * Always true: all that the files say is in force, or what they said before. A file is read once while its text is the same: one of
 * 5,000 devices takes 0.8 s, nearly all in the YAML library, in which nothing else is done. Bound: by what it puts in force.
 */

import { ConfigError, readConfig } from '../platform/config-file.ts'
import type { ConfigText } from '../platform/config-folder.ts'
import {
  DECLARATION_KEYS,
  DeclaredDevices,
  type DeclaredEntry,
  readDeclaration,
  readDevices,
} from './declared-devices.ts'
import { readUser, USER_KEYS, type User, Users } from './users.ts'

const KEYS = [...USER_KEYS, ...DECLARATION_KEYS]

interface Entry extends DeclaredEntry {
  readonly user: User | undefined
}

export class DeviceFiles {
  readonly users = new Users()
  readonly declared = new DeclaredDevices()
  /** By file name and text. */
  #read: ReadonlyMap<string, readonly Entry[]> = new Map()

  /** Puts what these files say in force. Throws a `ConfigError`, and changes nothing. */
  use(files: readonly ConfigText[]): void {
    const entries = this.#entriesOf(files)
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

  #entriesOf(files: readonly ConfigText[]): readonly Entry[] {
    const read = new Map<string, readonly Entry[]>()
    try {
      for (const { file, text } of files) {
        const key = `${file}\n${text}`
        read.set(key, this.#read.get(key) ?? readEntries(file, text))
      }
    } finally {
      this.#read = read
    }
    return [...read.values()].flat()
  }
}

function readEntries(file: string, text: string): readonly Entry[] {
  return readConfig(file, text).map((item) => {
    const keys = item.entries('a device', KEYS)
    const { line } = item
    const declaration = readDeclaration(keys)
    if (keys.has('user')) {
      const user = readUser(item, keys)
      const isOfUser = !DECLARATION_KEYS.some((key) => keys.has(key))
      return { file, line, user, devices: [user.principal.device], declaration, isOfUser }
    }
    if (keys.has('password') || keys.has('subscribe')) item.refuse('it has no user')
    return { file, line, user: undefined, devices: readDevices(item, keys), declaration, isOfUser: false }
  })
}
